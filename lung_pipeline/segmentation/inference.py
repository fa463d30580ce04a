# SPDX-License-Identifier: Apache-2.0
"""A trained U-Net over a whole volume, some slices at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.learning.device import mixed_precision
from lung_pipeline.segmentation.unet import CONTEXT_SLICES

BATCH_PIXELS = 2**18
"""Pixels computed together, one slice of 512 x 512: on a CPU more falls out of the cache."""

Probabilities = npt.NDArray[np.float16]
"""Probability of nodule tissue, shape (index, row, column)."""


@torch.inference_mode()
def segment(
    model: nn.Module,
    voxels_hu: VoxelsHu,
    on_share: Callable[[float], None] = lambda share: None,
) -> Probabilities:
    """The probability that a voxel belongs to a nodule, shape as ``voxels_hu``.

    Beyond the first and the last slice the edge slice is repeated, as in training. float16 holds a
    probability to 0.0005, which is finer than bfloat16 computed it. ``on_share`` is told the share
    of slices that are done.
    """
    device = next(model.parameters()).device
    model.eval()
    probabilities = np.empty(voxels_hu.shape, dtype=np.float16)
    batch_slices = max(1, BATCH_PIXELS // voxels_hu[0].size)
    for start in range(0, len(voxels_hu), batch_slices):
        chosen = range(start, min(start + batch_slices, len(voxels_hu)))
        slices_hu = torch.from_numpy(windows_of_slices(voxels_hu, chosen)).to(device)
        with mixed_precision(device):
            logits = model(slices_hu.float())
        probabilities[chosen.start : chosen.stop] = _as_array(torch.sigmoid(logits.float()[:, 0]))
        on_share(chosen.stop / len(voxels_hu))
    return probabilities


def windows_of_slices(voxels_hu: VoxelsHu, indices: Iterable[int]) -> VoxelsHu:
    """For each index the slices around it, shape (n, 7, row, column), edge slices repeated."""
    around = np.arange(-CONTEXT_SLICES, CONTEXT_SLICES + 1)
    wanted = np.asarray(list(indices))[:, None] + around
    return voxels_hu[np.clip(wanted, 0, len(voxels_hu) - 1)]


def _as_array(tensor: Tensor) -> Probabilities:
    return tensor.half().cpu().numpy()
