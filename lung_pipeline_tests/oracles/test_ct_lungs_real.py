# SPDX-License-Identifier: Apache-2.0
"""The lungs of real scans: a published mask, the readers' nodules, a scan that is no chest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from lung_pipeline.annotations.consensus import consensus_voxels
from lung_pipeline.annotations.lidc import read_lidc
from lung_pipeline.annotations.reads import reads_table
from lung_pipeline.ct.lungs import Lungs, find_lungs
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.steps.measures import Measures, measured

Nodule = tuple[np.ndarray, float]
"""The voxels on which its readers agree, and the median of the texture they gave, 1 to 5."""


@pytest.fixture(scope="module")
def ct(reference_data: Path) -> CtVolume:
    return read_ct(reference_data / "lidc" / "LIDC-IDRI-0003")


@pytest.fixture(scope="module")
def lungs(ct: CtVolume) -> Lungs:
    return find_lungs(ct.voxels_hu, ct.grid)


@pytest.fixture(scope="module")
def nodules(reference_data: Path, ct: CtVolume) -> list[Nodule]:
    """All that a reader drew in LIDC-IDRI-0003: LUNA16's three, and one of one reader."""
    marks = read_lidc(reference_data / "lidc" / "LIDC-IDRI-0003")
    reads, _ = reads_table(marks)
    message = marks.series[ct.series_uid]
    found = []
    for _, group in reads.groupby("lidc_nodule"):
        outlines = [list(message.reads[number].contours) for number in group["read"]]
        voxels = consensus_voxels(outlines, ct.original_grid, ct.grid)
        found.append((voxels, float(group["texture"].median())))
    return found


def _measured(ct: CtVolume, voxels: np.ndarray) -> Measures:
    start = voxels.min(axis=0)
    box = np.zeros(voxels.max(axis=0) - start + 1, dtype=np.bool_)
    box[tuple((voxels - start).T)] = True
    index, row, column = start.tolist()
    return measured(FindingMask((index, row, column), box), ct.voxels_hu, ct.grid.spacing_irc_mm)


def test_a_published_mask_is_met(reference_data: Path) -> None:
    ct = read_ct(reference_data / "formats" / "ct-64.nrrd")
    image = SimpleITK.ReadImage(str(reference_data / "formats" / "wholeLung-64.nrrd"))
    theirs = SimpleITK.GetArrayFromImage(image) > 0
    lungs = find_lungs(ct.voxels_hu, ct.grid)
    assert lungs.step_irc == (1, 1, 1)
    both, either = (lungs.mask & theirs).sum(), lungs.mask.sum() + theirs.sum()
    assert 2 * both / either > 0.96
    # Next to nothing is missed; ours has the hilum and the crevices beside the heart as well.
    assert both / theirs.sum() > 0.995
    assert (lungs.is_cut_below, lungs.is_cut_above) == (False, False)


def test_an_abdomen_with_gas_and_the_bases_of_lungs_has_none(reference_data: Path) -> None:
    ct = read_ct(reference_data / "formats" / "example_ct_sm.nii.gz")
    assert find_lungs(ct.voxels_hu, ct.grid).volume_ml == 0


def test_the_lungs_of_a_grown_person_are_found_whole(lungs: Lungs) -> None:
    assert 5000 < lungs.volume_ml < 7000
    assert (lungs.is_cut_below, lungs.is_cut_above) == (False, False)
    start, stop = lungs.box(0.0) or pytest.fail("no lungs")
    # Neither bowel gas in the first slices nor the windpipe in the last is among them.
    assert 3 < start[0] < 12
    assert 118 < stop[0] < 126


def test_the_readers_nodules_lie_inside_with_all_their_voxels(
    lungs: Lungs, nodules: list[Nodule]
) -> None:
    assert len(nodules) == 4
    for voxels, _ in nodules:
        assert lungs.depth_mm([voxels.mean(axis=0)])[0] > 3
        assert lungs.depth_mm(voxels).min() > -2


def test_luna16_centres_lie_inside(reference_data: Path, ct: CtVolume, lungs: Lungs) -> None:
    table = pd.read_csv(reference_data / "luna16" / "annotations.csv")
    rows = table[table["seriesuid"] == ct.series_uid]
    points_irc = ct.grid.xyz_mm_to_irc(rows[["coordX", "coordY", "coordZ"]].to_numpy())
    depths_mm = lungs.depth_mm(points_irc)
    assert len(depths_mm) == 3
    assert depths_mm.min() > 3


@pytest.mark.parametrize(("first", "stop"), [(0, 70), (30, 100), (60, 140)])
def test_part_of_the_scan_has_the_same_lungs(
    ct: CtVolume, lungs: Lungs, first: int, stop: int
) -> None:
    grid = replace(ct.grid, shape_irc=(stop - first, *ct.grid.shape_irc[1:]))
    part = find_lungs(ct.voxels_hu[first:stop], grid)
    whole = lungs.mask[first:stop]
    # The closing's blocks begin elsewhere, which moves the border by a cell at most.
    assert 2 * (part.mask & whole).sum() / (part.mask.sum() + whole.sum()) > 0.96
    assert (part.is_cut_below, part.is_cut_above) == (first > 10, stop < 120)


def test_the_density_of_a_nodule_is_the_texture_its_readers_gave(
    ct: CtVolume, nodules: list[Nodule]
) -> None:
    # LIDC's scale: 1 is ground glass, 3 part-solid, 5 solid.
    told = [(_measured(ct, voxels).density, texture) for voxels, texture in nodules]
    assert sorted(texture for _, texture in told) == [1, 4, 5, 5]
    assert all(density == ("solid" if texture > 3 else "ground glass") for density, texture in told)


def test_the_diameter_of_a_readers_mask_is_luna16s(
    reference_data: Path, ct: CtVolume, nodules: list[Nodule]
) -> None:
    table = pd.read_csv(reference_data / "luna16" / "annotations.csv")
    theirs_mm = sorted(table.loc[table["seriesuid"] == ct.series_uid, "diameter_mm"])
    ours = [_measured(ct, voxels) for voxels, texture in nodules if texture > 3]
    assert sorted(m.diameter_mm for m in ours) == pytest.approx(theirs_mm, abs=0.6)
    assert all(m.longest_axial_mm > m.diameter_mm for m in ours)
