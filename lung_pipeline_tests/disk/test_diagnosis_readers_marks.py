# SPDX-License-Identifier: Apache-2.0
"""What readers drew, as voxels of the scan: against a phantom's truth and on a real scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.ct.reading import read_ct, scans_in
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.verdict.readers import lidc_of_scan
from lung_pipeline.diagnosis.verdict.readers_marks import COLUMNS, ReadersMarks, marks_on
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.phantom.plan import plan_scan

SEED = 4


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> tuple[CtVolume, Path]:
    """A scan with nodules, and the archive of its readers' XML."""
    raw = tmp_path_factory.mktemp("phantom") / "raw"
    write_luna_folder(raw, num_subsets=1, scans_per_subset=1, seed=SEED)
    [scan] = scans_in(raw / "subset0")
    [xml] = [path for path in raw.iterdir() if "XML" in path.name]
    return read_ct(scan), xml


def _marks(phantom: tuple[CtVolume, Path]) -> ReadersMarks:
    volume, xml = phantom
    marks = marks_on(volume, lidc_of_scan(xml, volume.series_uid))
    assert marks is not None
    return marks


def test_marks_lie_on_the_phantoms_nodules_with_their_size(
    phantom: tuple[CtVolume, Path],
) -> None:
    marks = _marks(phantom)
    assert tuple(marks.table.columns) == COLUMNS
    assert set(marks.table["series_uid"]) == {phantom[0].series_uid}
    plan = plan_scan(SEED, 0, 0, "small")
    drawn = plan.patient.nodules
    places = plan.to_patient_space(np.array([nodule.centre_xyz_mm for nodule in drawn]))
    sizes_mm = np.array([nodule.diameter_mm for nodule in drawn])
    # What one or two readers alone took for a nodule is none.
    assert 0 < len(marks.table) <= len(drawn)
    for x_mm, y_mm, z_mm, diameter_mm in marks.table[list(COLUMNS[1:])].itertuples(index=False):
        apart_mm = np.linalg.norm(places - (x_mm, y_mm, z_mm), axis=1)
        assert apart_mm.min() < 1.5
        # Readers of a phantom draw half a millimetre in or out.
        assert diameter_mm == pytest.approx(sizes_mm[apart_mm.argmin()], abs=2.5)


def test_a_mask_is_its_rows_voxels(phantom: tuple[CtVolume, Path]) -> None:
    volume, marks = phantom[0], _marks(phantom)
    assert len(marks.masks) == len(marks.table)
    for mask, place in zip(marks.masks, marks.table[["x_mm", "y_mm", "z_mm"]].values, strict=True):
        voxels_irc = np.argwhere(mask.voxels) + mask.start_irc
        middle_xyz_mm = volume.grid.irc_to_xyz_mm([voxels_irc.mean(axis=0)])[0]
        np.testing.assert_allclose(middle_xyz_mm, place)
        # The box is tight: every face of it touches the mask.
        for axis in range(3):
            along = mask.voxels.any(axis=tuple({0, 1, 2} - {axis}))
            assert along[0]
            assert along[-1]


def test_pixels_that_a_converter_turned_are_not_the_readers(
    phantom: tuple[CtVolume, Path],
) -> None:
    volume, xml = phantom
    grid = volume.original_grid
    (a, b, c), (d, e, f), last = grid.direction
    turned = replace(grid, direction=((a, -b, c), (d, -e, f), last))
    lidc = lidc_of_scan(xml, volume.series_uid)
    assert marks_on(replace(volume, original_grid=turned), lidc) is None


def test_real_scan_has_the_nodules_that_luna16_measured(reference_data: Path) -> None:
    folder = reference_data / "lidc" / "LIDC-IDRI-0003"
    volume = read_ct(folder)
    marks = marks_on(volume, lidc_of_scan(folder / "072.xml", volume.series_uid))
    assert marks is not None
    # A fourth was drawn by one reader alone, and is not in LUNA16's reference.
    assert sorted(marks.table["diameter_mm"]) == pytest.approx([8.8, 12.8, 21.5], abs=0.5)
