# SPDX-License-Identifier: Apache-2.0
"""What DICOM files say of each nodule and of the scan: segments, figures, codes and words."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from dicom_writing import slices_through, sources, texts, write

from lung_pipeline.ct.reading import read_ct
from lung_pipeline.diagnosis.patient import RESEARCH_ONLY, Rule, RuleVerdict
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.verdict.rules import NoisyOr
from lung_pipeline.reporting.dicom.files import SEG_NAME, SR_NAME

pytest.importorskip("highdicom")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return phantoms.write_series(tmp_path / "scan")


def test_frames_refer_to_the_slices_the_nodule_lies_in(tmp_path: Path, series: Path) -> None:
    write(tmp_path, series)
    seg = phantoms.read(tmp_path, SEG_NAME)
    for number, ball in enumerate(phantoms.BALLS, start=1):
        assert sources(seg, number) == slices_through(ball)
    positions = {
        one.SOPInstanceUID: one.ImagePositionPatient
        for one in map(pydicom.dcmread, series.iterdir())
    }
    for group in seg.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        found = group.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(found, positions[source.ReferencedSOPInstanceUID], atol=1e-6)


def test_segments_are_coded_as_nodules_of_the_lung(tmp_path: Path, series: Path) -> None:
    write(tmp_path, series)
    seg = phantoms.read(tmp_path, SEG_NAME)
    assert (seg.SegmentationType, seg.BitsAllocated) == ("BINARY", 1)
    for segment in seg.SegmentSequence:
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "27925004"
        assert segment.AnatomicRegionSequence[0].CodeValue == "39607008"
        assert segment.SegmentAlgorithmName == "lung-segmentation + lung-nodule"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert "v3 (0a1b2c)" in algorithm.AlgorithmParameters
    labels = [segment.SegmentLabel for segment in seg.SegmentSequence]
    assert labels == ["Nodule 1", "Nodule 2"]


def test_figures_of_each_nodule_are_read_back(tmp_path: Path, series: Path) -> None:
    write(tmp_path, series)
    seg, report = phantoms.read(tmp_path, SEG_NAME), phantoms.read(tmp_path, SR_NAME)
    pairs = zip(phantoms.BALLS, phantoms.groups(report), strict=True)
    for number, (ball, group) in enumerate(pairs, start=1):
        figures = phantoms.figures(group)
        assert {name: unit for name, (_, unit) in figures.items()} == {
            "Diameter": "mm",
            "Long axis": "mm",
            "Volume": "mm3",
            "Attenuation Coefficient": "[hnsf'U]",
            "Certainty of Finding": "1",
            "Probability of cancer": "1",
        }
        assert [value for value, _ in figures.values()] == pytest.approx(
            [2 * ball.radius_mm, 1.9 * ball.radius_mm, ball.volume_mm3, 40.5, 0.91, 0.37]
        )
        (reference,) = phantoms.named(group, "Referenced Segment")
        assert reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert reference.ReferencedSOPSequence[0].ReferencedSegmentNumber == number
        (tracking,) = phantoms.named(group, "Tracking Unique Identifier")
        assert seg.SegmentSequence[number - 1].TrackingUID == tracking.UID
        images = phantoms.named(group, "Source Image for Segmentation")
        assert {one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in images} == (
            slices_through(ball)
        )


def test_figures_that_are_not_known_are_left_out(tmp_path: Path, series: Path) -> None:
    unmeasured = phantoms.finding_of(
        phantoms.BALLS[0], malignancy_probability=None, volume_mm3=math.nan, mean_hu=math.nan,
        longest_axial_mm=math.nan, density="",
    )  # fmt: skip
    write(tmp_path, series, findings=[unmeasured])
    (group,) = phantoms.groups(phantoms.read(tmp_path, SR_NAME))
    assert set(phantoms.figures(group)) == {"Diameter", "Certainty of Finding"}
    assert phantoms.named(group, "Density") == []


@pytest.mark.parametrize(
    ("density", "code"),
    [
        ("solid", ("99LUNGPIPELINE", "solid")),
        ("part-solid", ("99LUNGPIPELINE", "part-solid")),
        ("ground glass", ("DCM", "112120")),
    ],
)
def test_density_is_coded(
    tmp_path: Path, series: Path, density: str, code: tuple[str, str]
) -> None:
    write(tmp_path, series, findings=[phantoms.finding_of(phantoms.BALLS[0], density=density)])
    (item,) = phantoms.named(phantoms.read(tmp_path, SR_NAME), "Density")
    concept = item.ConceptCodeSequence[0]
    assert (concept.CodingSchemeDesignator, concept.CodeValue) == code


def test_verdict_rule_and_notice_stand_in_the_report(tmp_path: Path, series: Path) -> None:
    write(tmp_path, series)
    words = texts(phantoms.read(tmp_path, SR_NAME))
    assert "Verdict: benign. 2 of 2 findings count as nodules." in words
    assert "Rule 'any-malignant-nodule': malignant if any finding" in words
    assert "segmentation: lung-segmentation v3 (0a1b2c)" in words
    assert RESEARCH_ONLY in words


def test_only_findings_that_count_as_nodules_are_written(tmp_path: Path, series: Path) -> None:
    whole = phantoms.inside(phantoms.PLAIN, phantoms.BALLS[1], phantoms.PLAIN)
    below = phantoms.finding_of(phantoms.BALLS[0], nodule_probability=0.49)
    write(tmp_path, series, findings=[below, phantoms.finding_of(phantoms.BALLS[1])])
    seg, report = phantoms.read(tmp_path, SEG_NAME), phantoms.read(tmp_path, SR_NAME)
    assert len(seg.SegmentSequence) == len(phantoms.groups(report)) == 1
    (group,) = phantoms.groups(report)
    assert phantoms.figures(group)["Diameter"][0] == 2 * phantoms.BALLS[1].radius_mm
    assert seg.pixel_array.sum() == whole.sum()
    images = phantoms.named(group, "Source Image for Segmentation")
    assert len(images) == len(slices_through(phantoms.BALLS[1]))


def test_nodules_that_overlap_keep_all_their_voxels(tmp_path: Path, series: Path) -> None:
    volume = read_ct(series)
    first, _ = phantoms.masks_in(volume)
    index, row, column = first.start_irc
    masks = [first, FindingMask((index + 1, row, column), first.voxels)]
    write(tmp_path, series, volume=volume, masks=masks)
    seg = phantoms.read(tmp_path, SEG_NAME)
    volumes = [phantoms.segment_on_its_own(seg, number)[1] for number in (1, 2)]
    assert volumes == pytest.approx([first.voxels.sum() * volume.grid.voxel_volume_mm3] * 2)
    assert seg.SegmentsOverlap == "YES"


def test_distance_of_slices_is_told_where_there_are_slices_without_a_nodule(
    tmp_path: Path, series: Path
) -> None:
    volume = read_ct(series)
    masks = [replace(mask, voxels=mask.voxels[2:3]) for mask in phantoms.masks_in(volume)]
    write(tmp_path, series, volume=volume, masks=masks)
    shared = phantoms.read(tmp_path, SEG_NAME).SharedFunctionalGroupsSequence[0]
    (measures,) = shared.PixelMeasuresSequence
    assert (measures.SpacingBetweenSlices, measures.SliceThickness) == (0.9, 0.9)


def test_cautions_and_what_other_rules_say_stand_in_the_report(
    tmp_path: Path, series: Path
) -> None:
    findings = [phantoms.finding_of(ball) for ball in phantoms.BALLS]
    diagnosis = phantoms.diagnosis_of(*findings)
    verdicts = [RuleVerdict(rule, "benign", None) for rule in (Rule(), NoisyOr())]
    diagnosis = replace(
        diagnosis,
        verdicts=tuple(verdicts),
        cautions=("lungs cut off below",),
        thresholds_from="a run",
    )
    write(tmp_path, series, diagnosis=diagnosis)
    words = texts(phantoms.read(tmp_path, SR_NAME))
    assert "Caution: lungs cut off below" in words
    assert f"By rule '{NoisyOr().name}': benign." in words
    assert "Thresholds: a run." in words
