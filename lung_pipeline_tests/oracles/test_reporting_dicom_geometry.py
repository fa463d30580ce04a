# SPDX-License-Identifier: Apache-2.0
"""Nodules read back from DICOM lie where they were drawn, whatever way the scan was stored.

The oracle is the formula of the ball: its centre and volume in the patient, never seen by the
code. Read back is with pydicom and the equation of the standard.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dicom_phantoms as phantoms
import numpy as np
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.reporting.dicom.files import SEG_NAME, SR_NAME, write_dicom

pytest.importorskip("highdicom")

DIRECTIONS = phantoms.directions()
HALF_A_VOXEL_MM = min(phantoms.SPACING_IRC_MM) / 2


def written(scan: Path, grid: VoxelGrid, out: Path) -> tuple[Any, Any]:
    volume = read_ct(scan)
    findings = [phantoms.finding_of(ball, grid) for ball in phantoms.BALLS]
    write_dicom(
        out,
        scan=scan,
        volume=volume,
        diagnosis=phantoms.diagnosis_of(*findings),
        masks=phantoms.masks_in(volume, grid),
        is_deidentified=False,
        made_at=phantoms.MADE_AT,
    )
    return phantoms.read(out, SEG_NAME), phantoms.read(out, SR_NAME)


def check(seg: Any, report: Any, grid: VoxelGrid) -> None:
    pairs = zip(phantoms.BALLS, phantoms.groups(report), strict=True)
    for number, (ball, group) in enumerate(pairs, start=1):
        truth_xyz_mm = grid.irc_to_xyz_mm([ball.center_irc])[0]
        center_xyz_mm, volume_mm3 = phantoms.segment_on_its_own(seg, number)
        assert np.abs(center_xyz_mm - truth_xyz_mm).max() < HALF_A_VOXEL_MM
        assert volume_mm3 == pytest.approx(ball.volume_mm3, rel=0.02)
        (point,) = phantoms.named(group, "Center")
        np.testing.assert_allclose(point.GraphicData, truth_xyz_mm, atol=1e-4)
        assert point.ReferencedFrameOfReferenceUID == seg.FrameOfReferenceUID


def test_there_are_48_orders_of_axes_and_three_oblique_ones() -> None:
    assert len(set(DIRECTIONS.values())) == 51
    handed = [round(np.linalg.det(np.array(matrix))) for matrix in DIRECTIONS.values()]
    assert handed.count(-1) == 25


@pytest.mark.slow
@pytest.mark.parametrize("name", DIRECTIONS)
def test_nodules_of_a_series_are_read_back_in_place(tmp_path: Path, name: str) -> None:
    grid = phantoms.grid_along(DIRECTIONS[name])
    seg, report = written(phantoms.write_series(tmp_path / "scan", grid), grid, tmp_path / "out")
    check(seg, report, grid)
    assert not (tmp_path / "out" / "derived_ct").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", DIRECTIONS)
def test_nodules_of_one_file_are_read_back_in_place(tmp_path: Path, name: str) -> None:
    grid = phantoms.grid_along(DIRECTIONS[name])
    seg, report = written(phantoms.write_mhd(tmp_path / "scan", grid), grid, tmp_path / "out")
    check(seg, report, grid)
    # The slices made for it hold each voxel at its place, too.
    derived, original = (
        read_ct(tmp_path / "out" / "derived_ct"),
        read_ct(tmp_path / "scan" / "1.2.840.77.mhd"),
    )
    np.testing.assert_array_equal(derived.voxels_hu, original.voxels_hu)
    np.testing.assert_allclose(derived.grid.origin_xyz_mm, original.grid.origin_xyz_mm, atol=1e-6)
    np.testing.assert_allclose(derived.grid.direction, original.grid.direction, atol=1e-6)
