# SPDX-License-Identifier: Apache-2.0
"""Networks that see density alone: what they say of a drawn scan can be worked out by hand."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.segmentation.unet import CONTEXT_SLICES


class MarksDense(nn.Module):
    """In place of a U-Net: even at ``even_hu``, surer where the middle slice is denser."""

    def __init__(self, even_hu: float = -500.0) -> None:
        super().__init__()
        self.even_hu = nn.Parameter(torch.tensor(even_hu))

    def forward(self, slices_hu: Tensor) -> Tensor:
        return (slices_hu[:, CONTEXT_SLICES : CONTEXT_SLICES + 1] - self.even_hu) / 100


class LooksAtCentre(nn.Module):
    """In place of a classifier: even at ``even_hu`` in the middle voxel, surer when denser."""

    def __init__(self, even_hu: float) -> None:
        super().__init__()
        self.even_hu = nn.Parameter(torch.tensor(even_hu))

    def forward(self, crops_hu: Tensor) -> Tensor:
        index, row, column = (size // 2 for size in CROP_SHAPE_IRC)
        yes = (crops_hu[:, 0, index, row, column] - self.even_hu) / 50
        return torch.stack([torch.zeros_like(yes), yes], dim=1)


def dense_models(*, with_malignancy: bool = True, marks_from_hu: float = -500.0) -> Models:
    """A nodule from -100 HU on, malignant from 0 HU on."""
    judge = LooksAtCentre(0.0) if with_malignancy else None
    return Models(
        MarksDense(marks_from_hu), *(cast("Any", one) for one in (LooksAtCentre(-100.0), judge))
    )
