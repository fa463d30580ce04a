# SPDX-License-Identifier: Apache-2.0
"""One small CT through all steps, with networks whose answers can be foretold."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.crops.frame import Floats, Frame
from lung_pipeline.ct.geometry import IDENTITY, Matrix3, VoxelGrid, canonical_axes
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.pipeline import examine

SHAPE_IRC = (20, 40, 44)
SPACING_IRC_MM = (2.0, 1.0, 0.8)
GRID = VoxelGrid(SHAPE_IRC, SPACING_IRC_MM, (-30.0, 10.0, 200.0))
LUNG_HU = -850

BLOCKS = {(6, 12, 15): 50, (13, 25, 30): 300}
"""Centre voxel and HU of two blocks of 3 x 5 x 5 voxels."""


class _Denser(nn.Module):
    """Marks pixels of the middle slice above -500 HU."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, slices_hu: Tensor) -> Tensor:
        return (slices_hu[:, 3:4] > -500).float() * 40 - 20


class _OfCentre(nn.Module):
    """Yes with the probability that stands, in thousandths, in the centre voxel."""

    def __init__(self, times: float = 1.0) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.times = times

    def forward(self, crops_hu: Tensor) -> Tensor:
        yes = self.times * crops_hu[:, 0, 16, 24, 24] / 1000
        return torch.stack([torch.log(1 - yes), torch.log(yes)], dim=1)


class _OfSpacing(CropNetwork):
    """Yes with the probability slice + 2 row + 4 column spacing in mm, over 100."""

    sees_close_ups = True

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def frame(self, spacing_irc_mm: Floats | None) -> Frame:
        assert spacing_irc_mm is not None
        self.yes = torch.from_numpy(spacing_irc_mm @ [0.01, 0.02, 0.04])
        return super().frame(spacing_irc_mm)

    def forward(self, crops_hu: Tensor) -> Tensor:
        yes = self.yes
        assert len(yes) == len(crops_hu)
        return torch.stack([torch.log(1 - yes), torch.log(yes)], dim=1)


def _models(malignancy: nn.Module | None = None) -> Models:
    return Models(*(cast("Any", model) for model in (_Denser(), _OfCentre(), malignancy)))


def _scan() -> np.ndarray:
    voxels_hu = np.full(SHAPE_IRC, LUNG_HU, dtype=np.int16)
    for (index, row, column), hu in BLOCKS.items():
        voxels_hu[index - 1 : index + 2, row - 2 : row + 3, column - 2 : column + 3] = hu
    return voxels_hu


def _found(voxels_hu: VoxelsHu, models: Models) -> list[Finding]:
    return list(examine(voxels_hu, GRID, GRID, "1.2", models).findings)


def test_blocks_are_found_in_millimetres_voxels_and_with_their_probabilities() -> None:
    findings = _found(_scan(), _models(_OfCentre(times=2.0)))
    for finding, (center, hu) in zip(findings, BLOCKS.items(), strict=True):
        index, row, column = center
        assert finding.series_uid == "1.2"
        assert (finding.index, finding.row, finding.column) == pytest.approx(center)
        place = (finding.x_mm, finding.y_mm, finding.z_mm)
        assert place == pytest.approx((-30 + 0.8 * column, 10 + row, 200 + 2 * index))
        assert finding.nodule_probability == pytest.approx(hu / 1000, abs=1e-5)
        assert finding.malignancy_probability == pytest.approx(2 * hu / 1000, abs=1e-5)
        volume_mm3 = 3 * 5 * 5 * 2 * 1 * 0.8
        assert finding.diameter_mm == pytest.approx((6 * volume_mm3 / np.pi) ** (1 / 3), rel=0.05)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_the_models_are_told_how_large_voxels_are(is_mirrored: bool) -> None:
    models = _models(_OfSpacing())
    found = examine(_scan(), GRID, GRID, "1.2", models, is_mirrored=is_mirrored).findings
    told = [finding.malignancy_probability for finding in found]
    assert told == pytest.approx([(2.0 + 2 * 1.0 + 4 * 0.8) / 100] * 2, abs=1e-6)


def test_without_a_malignancy_model_there_is_no_malignancy() -> None:
    findings = _found(_scan(), _models())
    assert [finding.malignancy_probability for finding in findings] == [None, None]


def test_lung_without_anything_has_no_finding() -> None:
    empty = np.full(SHAPE_IRC, LUNG_HU, dtype=np.int16)
    assert _found(empty, _models()) == []


FLIPPED: Matrix3 = ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
SAGITTAL: Matrix3 = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))


@pytest.mark.parametrize("direction", [IDENTITY, FLIPPED, SAGITTAL])
def test_voxels_are_those_of_the_file_however_its_axes_run(direction: Matrix3) -> None:
    """A file is drawn, turned to canonical order as reading does, and diagnosed."""
    original_grid = VoxelGrid(SHAPE_IRC, (1.5, 1.2, 1.0), (5.0, -6.0, 7.0), direction)
    change = canonical_axes(original_grid)
    turned = change.turn_voxels(_scan())
    found = examine(turned, change.turn_grid(original_grid), original_grid, "1", _models())
    by_density = sorted(found.findings, key=lambda finding: finding.nodule_probability)
    assert len(by_density) == 2
    for finding, center in zip(by_density, BLOCKS, strict=True):
        assert (finding.index, finding.row, finding.column) == pytest.approx(center)
        expected_xyz_mm = original_grid.irc_to_xyz_mm([center])[0]
        found_xyz_mm = (finding.x_mm, finding.y_mm, finding.z_mm)
        assert found_xyz_mm == pytest.approx(tuple(expected_xyz_mm))


def test_a_block_in_the_corner_is_classified_in_the_middle_of_its_crop() -> None:
    voxels_hu = np.full(SHAPE_IRC, LUNG_HU, dtype=np.int16)
    voxels_hu[:3, :5, :5] = 700
    [finding] = _found(voxels_hu, _models())
    assert (finding.index, finding.row, finding.column) == pytest.approx((1, 2, 2))
    assert finding.nodule_probability == pytest.approx(0.7, abs=1e-5)
