# SPDX-License-Identifier: Apache-2.0
"""DICOM output as others read it: highdicom's reader, dicom3tools' validator, a real CT.

``dciodvfy`` and ``dcentvfy`` hold files against the standard; both are in Debian's ``dicom3tools``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import numpy as np
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.dicom.files import CT_NAME, SEG_NAME, SR_NAME, write_dicom

hd = pytest.importorskip("highdicom")

_KNOWN_WARNINGS = (
    # Empty is allowed in these files; a DICOMDIR on a disc would want more.
    "Missing attribute or value that would be needed to build DICOMDIR",
    # Our own codes, named as such in CodingSchemeIdentificationSequence.
    "Unrecognized defined term <99LUNGPIPELINE>",
    # The tool's own table: it counts AccessionNumber of a report to another module.
    "Different information entities for attribute - Element=<AccessionNumber>",
)


@pytest.fixture(scope="module", params=["series", "one file", "de-identified"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that is written for each kind of source, and ``scan`` beside it."""
    folder = tmp_path_factory.mktemp("written")
    is_file = request.param == "one file"
    scan = (phantoms.write_mhd if is_file else phantoms.write_series)(folder / "scan")
    volume = read_ct(scan)
    findings = [
        phantoms.finding_of(ball, density=density)
        for ball, density in zip(phantoms.BALLS, ("part-solid", "ground glass"), strict=True)
    ]
    out = folder / "out"
    is_deidentified = request.param == "de-identified"
    write_all(out, scan, volume, findings, phantoms.masks_in(volume), is_deidentified)
    if request.param == "series":
        shutil.copytree(scan, out / CT_NAME)  # the slices all refer to, under the others' name
    return out


def write_all(
    out: Path,
    scan: Path,
    volume: CtVolume,
    findings: list[Finding],
    masks: list[FindingMask],
    is_deidentified: bool,
) -> None:
    write_dicom(
        out,
        scan=scan,
        volume=volume,
        diagnosis=phantoms.diagnosis_of(*findings),
        masks=masks,
        is_deidentified=is_deidentified,
        made_at=phantoms.MADE_AT,
    )


def complaints(tool: str, *files: Path) -> list[str]:
    """What a tool of dicom3tools says, without the warnings that are known and explained."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed (Debian: apt-get install dicom3tools)")
    said = subprocess.run([tool, *map(str, files)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    return [
        line
        for line in lines
        if line.startswith(("Error", "Warning", "Abort"))
        and not any(known in line for known in _KNOWN_WARNINGS)
    ]


@pytest.mark.parametrize("name", [SEG_NAME, SR_NAME, f"{CT_NAME}/0010.dcm"])
def test_dciodvfy_finds_no_error(written: Path, name: str) -> None:
    if not (written / name).exists():
        pytest.skip("the source's own slices are not ours to check")
    assert complaints("dciodvfy", written / name) == []


def test_dciodvfy_would_find_an_error(written: Path, tmp_path: Path) -> None:
    seg = phantoms.read(written, SEG_NAME)
    del seg.SegmentSequence
    seg.save_as(tmp_path / "broken.dcm")
    assert any(
        "SegmentSequence" in line for line in complaints("dciodvfy", tmp_path / "broken.dcm")
    )


def test_dcentvfy_finds_all_files_of_one_patient_and_study(written: Path) -> None:
    assert complaints("dcentvfy", *sorted(written.rglob("*.dcm"))) == []


def test_report_of_a_scan_without_nodules_is_valid(tmp_path: Path) -> None:
    scan = phantoms.write_series(tmp_path / "scan")
    write_all(tmp_path / "out", scan, read_ct(scan), [], [], False)
    assert complaints("dciodvfy", tmp_path / "out" / SR_NAME) == []


def test_highdicom_reads_the_segments_as_they_were_drawn(written: Path) -> None:
    seg = hd.seg.segread(written / SEG_NAME)
    truth = [phantoms.inside(phantoms.PLAIN, ball, phantoms.PLAIN) for ball in phantoms.BALLS]
    check_volume(seg, truth, phantoms.PLAIN)
    assert seg.get_tracking_ids()
    assert len(seg.get_tracking_ids()) == 2


def check_volume(seg: Any, truth: list[Any], grid: VoxelGrid) -> None:
    """Every voxel that highdicom places into the patient is one of the truth's, and all are."""
    for number, mask in enumerate(truth, start=1):
        volume = seg.get_volume(segment_numbers=[number])
        found_xyz_mm = volume.map_indices_to_reference(np.argwhere(volume.array[..., 0]))
        found = np.zeros(grid.shape_irc, dtype=bool)
        found[tuple(grid.voxel_of(found_xyz_mm).T)] = True
        np.testing.assert_array_equal(found, mask)


def test_highdicom_reads_the_report(written: Path) -> None:
    report = hd.sr.srread(written / SR_NAME)
    seg = hd.seg.segread(written / SEG_NAME)
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 2
    for number, (group, ball) in enumerate(zip(groups, phantoms.BALLS, strict=True), start=1):
        assert group.finding_type.meaning == "Nodule"
        assert group.finding_sites[0].value.meaning == "Lung"
        assert group.tracking_uid == seg.SegmentSequence[number - 1].TrackingUID
        (volume,) = group.get_measurements(name=hd.sr.CodedConcept("118565006", "SCT", "Volume"))
        assert volume.value == pytest.approx(ball.volume_mm3)


@pytest.fixture(scope="module")
def lidc(reference_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[CtVolume, Path]:
    """The real CT with three made-up balls; written beside nothing of it."""
    scan = reference_data / "lidc" / "LIDC-IDRI-0003"
    volume, out = read_ct(scan), tmp_path_factory.mktemp("lidc")
    findings = [phantoms.finding_of(ball, volume.original_grid) for ball in LIDC_BALLS]
    masks = [mask_of(ball, volume) for ball in LIDC_BALLS]
    write_all(out, scan, volume, findings, masks, False)
    return volume, out


LIDC_BALLS = (
    phantoms.Ball((31.2, 200.4, 150.1), 12.0),
    phantoms.Ball((70.0, 301.7, 340.3), 9.0),
    phantoms.Ball((111.6, 256.0, 128.9), 15.0),
)


def mask_of(ball: phantoms.Ball, volume: CtVolume) -> FindingMask:
    start = tuple(
        int(middle) - size for middle, size in zip(ball.center_irc, (9, 22, 22), strict=True)
    )
    box = VoxelGrid(
        (19, 45, 45),
        volume.grid.spacing_irc_mm,
        tuple(volume.grid.irc_to_xyz_mm([start])[0].tolist()),
        volume.grid.direction,
    )
    return FindingMask(start, phantoms.inside(box, ball, volume.original_grid))


def test_balls_on_a_real_ct_are_read_back(lidc: tuple[CtVolume, Path]) -> None:
    volume, out = lidc
    seg, report = phantoms.read(out, SEG_NAME), phantoms.read(out, SR_NAME)
    for number, (ball, group) in enumerate(
        zip(LIDC_BALLS, phantoms.groups(report), strict=True), start=1
    ):
        truth_xyz_mm = volume.original_grid.irc_to_xyz_mm([ball.center_irc])[0]
        center_xyz_mm, volume_mm3 = phantoms.segment_on_its_own(seg, number)
        # Half a voxel: slices are 2.5 mm apart, pixels .82 mm.
        assert (np.abs(center_xyz_mm - truth_xyz_mm) < [0.41, 0.41, 1.25]).all()
        assert volume_mm3 == pytest.approx(ball.volume_mm3, rel=0.02)
        (point,) = phantoms.named(group, "Center")
        np.testing.assert_allclose(point.GraphicData, truth_xyz_mm, atol=1e-4)


def test_files_of_a_real_ct_are_valid_and_its_patients(lidc: tuple[CtVolume, Path]) -> None:
    _, out = lidc
    for name in (SEG_NAME, SR_NAME):
        assert complaints("dciodvfy", out / name) == []
        one = phantoms.read(out, name)
        assert (one.PatientID, one.StudyDate) == ("LIDC-IDRI-0003", "20000101")
        assert one.StudyInstanceUID.startswith("1.3.6.1.4.1.14519.5.2.1.6279.6001.")


def test_files_of_a_real_ct_belong_to_its_study(
    lidc: tuple[CtVolume, Path], reference_data: Path
) -> None:
    _, out = lidc
    slices = sorted((reference_data / "lidc" / "LIDC-IDRI-0003").glob("00000*.dcm"))
    found = complaints("dcentvfy", *slices, out / SEG_NAME, out / SR_NAME)
    # Optional, of no use to an archive, and better left where it is.
    assert {re.findall(r"Element=<(\w+)>", line)[0] for line in found} <= {"LastMenstrualDate"}
