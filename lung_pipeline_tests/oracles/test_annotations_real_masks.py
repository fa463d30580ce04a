# SPDX-License-Identifier: Apache-2.0
"""Masks from real readers' outlines: what they enclose, and what tissue lies there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Polygon
from scipy import ndimage

from lung_pipeline.annotations.consensus import Voxels, consensus_voxels
from lung_pipeline.annotations.contours import Contour, enclosed, interior
from lung_pipeline.annotations.lidc import LidcMarks, read_lidc
from lung_pipeline.annotations.luna import read_annotations
from lung_pipeline.annotations.pixel_frame import GridFrame
from lung_pipeline.annotations.reads import reads_table
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.segmentation.masks import grow_mask

SERIES_UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.170706757615202213033480003264"

DENSE_HU = -600
"""Above it is tissue rather than lung: the nodules of this patient are solid."""


@pytest.fixture(scope="module")
def ct(reference_data: Path) -> CtVolume:
    return read_ct(reference_data / "lidc" / "LIDC-IDRI-0003")


@pytest.fixture(scope="module")
def marks(reference_data: Path) -> LidcMarks:
    return read_lidc(reference_data / "lidc" / "LIDC-IDRI-0003")


@pytest.fixture(scope="module")
def nodules(reference_data: Path) -> pd.DataFrame:
    """LUNA16's three nodules of the series, the largest first."""
    table = read_annotations(reference_data / "luna16" / "annotations.csv")
    of_series = table[table["series_uid"] == SERIES_UID]
    return of_series.sort_values("diameter_mm", ascending=False, ignore_index=True)


@pytest.fixture(scope="module")
def readers_of(
    ct: CtVolume, marks: LidcMarks, nodules: pd.DataFrame
) -> list[tuple[float, list[list[Contour]]]]:
    """For each of the three: how far the nearest group's centroid lies, and its outlines."""
    reads, _ = reads_table(marks)
    frame = GridFrame(ct.original_grid)
    points_xyz_mm = frame.to_xyz_mm(reads["column"], reads["row"], reads["z_mm"])
    groups = pd.DataFrame(points_xyz_mm).groupby(reads["lidc_nodule"]).mean()
    found = []
    for center_xyz_mm in nodules[["x_mm", "y_mm", "z_mm"]].to_numpy():
        apart_mm = np.sqrt(((groups - center_xyz_mm) ** 2).sum(axis=1))
        numbers = reads.loc[reads["lidc_nodule"] == apart_mm.idxmin(), "read"]
        message = marks.series[SERIES_UID]
        contours = [list(message.reads[number].contours) for number in numbers]
        found.append((float(apart_mm.min()), contours))
    return found


def _masks(
    ct: CtVolume, readers_of: list[tuple[float, list[list[Contour]]]], level: float
) -> list[Voxels]:
    return [
        consensus_voxels(readers, ct.original_grid, ct.grid, level) for _, readers in readers_of
    ]


def _dense_shares(ct: CtVolume, masks: list[Voxels]) -> list[float]:
    return [float((ct.voxels_hu[tuple(mask.T)] > DENSE_HU).mean()) for mask in masks]


def _diameters_mm(ct: CtVolume, masks: list[Voxels]) -> list[float]:
    """Of the balls of equal volume."""
    return [float(np.cbrt(6 / np.pi * len(mask) * ct.grid.voxel_volume_mm3)) for mask in masks]


def test_each_nodule_of_luna16_has_a_group_of_reads_at_its_place(
    readers_of: list[tuple[float, list[list[Contour]]]],
) -> None:
    assert [round(apart_mm, 1) for apart_mm, _ in readers_of] == [0.3, 0.2, 0.1]
    assert all(apart_mm < 3.5 for apart_mm, _ in readers_of)
    assert [len(readers) for _, readers in readers_of] == [4, 4, 4]


def test_masks_lie_on_dense_tissue(
    ct: CtVolume, readers_of: list[tuple[float, list[list[Contour]]]]
) -> None:
    shares = _dense_shares(ct, _masks(ct, readers_of, 0.5))
    assert [round(share, 3) for share in shares] == [0.976, 0.886, 0.870]
    assert min(shares) >= 0.85
    # What all four enclose has no rim of half a voxel of air.
    assert min(_dense_shares(ct, _masks(ct, readers_of, 1.0))) > 0.95


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("step", [-1, 1])
def test_moved_by_a_voxel_the_masks_lie_less_well(
    ct: CtVolume, readers_of: list[tuple[float, list[list[Contour]]]], axis: int, step: int
) -> None:
    masks = _masks(ct, readers_of, 0.5)
    moved = np.concatenate(masks)
    moved[:, axis] += step
    share = _dense_shares(ct, [np.concatenate(masks)])[0]
    assert _dense_shares(ct, [moved])[0] < share - 0.015


def test_diameters_are_near_luna16s(
    ct: CtVolume, nodules: pd.DataFrame, readers_of: list[tuple[float, list[list[Contour]]]]
) -> None:
    told_mm = nodules["diameter_mm"].tolist()
    assert told_mm == pytest.approx([21.45, 12.82, 8.79], abs=0.01)
    found_mm = _diameters_mm(ct, _masks(ct, readers_of, 0.5))
    assert found_mm == pytest.approx([21.62, 13.11, 9.25], abs=0.01)
    for level, low, high in ((0.0, 1.09, 1.25), (0.5, 1.0, 1.06), (1.0, 0.8, 0.97)):
        ratios = np.divide(_diameters_mm(ct, _masks(ct, readers_of, level)), told_mm)
        assert ((low < ratios) & (ratios < high)).all()


def test_grown_boxes_are_wider_than_what_the_readers_enclose(
    ct: CtVolume, nodules: pd.DataFrame, readers_of: list[tuple[float, list[list[Contour]]]]
) -> None:
    dice = []
    for mask, row in zip(_masks(ct, readers_of, 0.5), nodules.itertuples(), strict=True):
        index, row_of, column = ct.grid.voxel_of([(row.x_mm, row.y_mm, row.z_mm)])[0].tolist()
        center = (index, row_of, column)
        grown = grow_mask(ct.voxels_hu, center, float(row.diameter_mm), ct.grid.spacing_irc_mm)
        common = np.count_nonzero(grown[tuple(mask.T)])
        assert common / len(mask) > 0.94
        assert np.count_nonzero(grown) > len(mask)
        dice.append(2 * common / (np.count_nonzero(grown) + len(mask)))
    assert dice == pytest.approx([0.722, 0.905, 0.895], abs=0.001)


def _differs(contour: Contour) -> tuple[bool, bool, bool]:
    """Whether the inside holds outline, is not matplotlib's, is not all that is shut off."""
    corner = np.array([contour.columns.min() - 1, contour.rows.min() - 1])
    ring = np.column_stack([contour.columns, contour.rows]) - corner
    wall = np.zeros(ring.max(axis=0) + 2, dtype=bool)
    wall[tuple(ring.T)] = True
    rows, columns = interior(contour)
    found = np.zeros_like(wall)
    found[columns - corner[0], rows - corner[1]] = True
    others = np.argwhere(~wall)
    polygon = Polygon(np.concatenate([ring, ring[:1]]).astype(float))
    expected = polygon.contains_points(others) if len(ring) > 2 else np.zeros(len(others), bool)
    shut_off = ndimage.binary_fill_holes(wall) & ~wall
    return (
        bool((found & wall).any()),
        not np.array_equal(found[tuple(others.T)], expected),
        not np.array_equal(found, shut_off),
    )


def _is_unbroken(contour: Contour) -> bool:
    ring = np.column_stack([contour.columns, contour.rows]).astype(int)
    return bool(np.abs(ring - np.roll(ring, 1, axis=0)).max() <= 1)


def _held_against_oracles(marks: LidcMarks) -> tuple[int, int, np.ndarray]:
    """Outlines, those with a gap, and how many of the unbroken ones differ in each way."""
    contours = [
        contour
        for message in marks.series.values()
        for read in message.reads
        for contour in read.contours
    ]
    unbroken = [contour for contour in contours if _is_unbroken(contour)]
    differing = np.sum([_differs(contour) for contour in unbroken], axis=0)
    return len(contours), len(contours) - len(unbroken), differing


def test_inside_of_each_outline_of_a_series_is_the_oracles(marks: LidcMarks) -> None:
    num_contours, num_broken, differing = _held_against_oracles(marks)
    assert (num_contours, num_broken) == (76, 1)
    # One touches itself: what it shuts off besides is a bay, which lies outside.
    assert differing.tolist() == [0, 0, 1]


@pytest.mark.slow
def test_inside_of_each_outline_of_every_fifth_series_is_the_oracles(reference_data: Path) -> None:
    series_uids = (reference_data / "luna16" / "seriesuids.csv").read_text().split()
    archive = read_lidc(reference_data / "lidc" / "LIDC-XML-only.zip", set(series_uids[::5]))
    num_contours, num_broken, differing = _held_against_oracles(archive)
    assert (num_contours, num_broken) == (8_314, 76)
    # Some outlines touch themselves: the bay they close, a few pixels, is outside all the same.
    assert differing.tolist() == [0, 0, 9]


def test_reads_of_the_folder_and_of_the_archive_are_the_same(
    reference_data: Path, marks: LidcMarks
) -> None:
    archive = read_lidc(reference_data / "lidc" / "LIDC-XML-only.zip", {SERIES_UID})
    for one, other in zip(
        marks.series[SERIES_UID].reads, archive.series[SERIES_UID].reads, strict=True
    ):
        assert one.characteristics == other.characteristics
        np.testing.assert_array_equal(enclosed(one.contours).keys, enclosed(other.contours).keys)
