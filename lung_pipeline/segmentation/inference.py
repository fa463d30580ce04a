# SPDX-License-Identifier: Apache-2.0
"""A trained network over a volume, or over the parts of it that matter, some slices at a time.

Belongs here: which slices are seen together, and in which precision. Does not belong here: which
parts matter (``diagnosis/steps/parts.py``), and networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.errors import ModelError
from lung_pipeline.learning.device import AUTO, inference_dtype
from lung_pipeline.segmentation.folded import FoldedUNet
from lung_pipeline.segmentation.probability_box import Probabilities, ProbabilityBox
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, UNet

BATCH_PIXELS = 2**18
"""Pixels computed together, one slice of 512 x 512: on a CPU more falls out of the cache."""

BYTES_A_PIXEL, MOST_CUDA_PIXELS = 1024, 2**21
"""On CUDA: what a pixel takes at most in the book's U-Net (layers of 16 to 96 channels, reckoned
and not measured: no card was at hand), and the most pixels together, which keeps below 4 GB."""

Part = tuple[slice, slice, slice]
"""A box of a volume: slices, rows and columns, each with a start and a stop."""

_Marker = Callable[[Tensor], Tensor]


@torch.inference_mode()
def segment(
    model: nn.Module,
    voxels_hu: VoxelsHu,
    parts: Sequence[Part] | None = None,
    on_share: Callable[[float], None] = lambda share: None,
    *,
    precision: str = AUTO,
    is_mirrored: bool = False,
) -> ProbabilityBox:
    """The probability that a voxel belongs to a nodule, in a box around all parts.

    Beyond the first and the last slice the edge slice is repeated, as in training. float16 holds a
    probability to 0.0005, which is finer than bfloat16 computed it.

    Args:
        model: one of ``networks.NETWORKS``.
        voxels_hu: the volume, shape (index, row, column).
        parts: boxes that are looked at, no two on one voxel; by default the whole volume.
        on_share: told the share of slices that are done.
        precision: ``auto`` or ``float32``.
        is_mirrored: each picture is also seen left for right, and the mean of both is taken.

    Returns:
        The smallest box that holds all parts; 0 where nothing was looked at.

    Raises:
        ModelError: the model gives NaN.
    """
    device = next(model.parameters()).device
    model.eval()
    dtype = inference_dtype(device, precision)
    folded = FoldedUNet(model, dtype) if isinstance(model, UNet) else None
    parts = parts or [_whole(voxels_hu)]
    start = tuple(min(part[axis].start for part in parts) for axis in range(3))
    stop = tuple(max(part[axis].stop for part in parts) for axis in range(3))
    values = np.zeros(np.subtract(stop, start), dtype=np.float16)
    done, total = 0, sum(part[0].stop - part[0].start for part in parts)
    for part in parts:
        marker = folded if folded and _is_inside(part, voxels_hu) else _plainly(model, dtype)
        marker = _both_ways(marker) if is_mirrored else marker
        place = tuple(slice(s.start - o, s.stop - o) for s, o in zip(part, start, strict=True))
        for chosen, found in _probabilities(marker, voxels_hu, part, device):
            values[place][chosen] = found
            done += len(found)
            on_share(done / total)
    return ProbabilityBox((start[0], start[1], start[2]), values)


def windows_of_slices(voxels_hu: VoxelsHu, indices: Iterable[int]) -> VoxelsHu:
    """For each index the slices around it, shape (n, 7, row, column), edge slices repeated."""
    around = np.arange(-CONTEXT_SLICES, CONTEXT_SLICES + 1)
    wanted = np.fromiter(indices, dtype=np.int64)[:, None] + around
    return voxels_hu[np.clip(wanted, 0, len(voxels_hu) - 1)]


def _probabilities(
    marker: _Marker, voxels_hu: VoxelsHu, part: Part, device: torch.device
) -> Iterable[tuple[slice, Probabilities]]:
    """Some slices of a part at a time: which of its slices, and what was found on them."""
    slices, rows, columns = part
    seen = voxels_hu[:, rows, columns]
    at_once = max(1, _batch_pixels(device) // seen[0].size)
    for start in range(slices.start, slices.stop, at_once):
        stop = min(start + at_once, slices.stop)
        windows_hu = torch.from_numpy(windows_of_slices(seen, range(start, stop)))
        logits = marker(windows_hu.to(device).float())
        if logits.isnan().any():  # below any threshold they would be lost, and so would a nodule
            raise ModelError(
                value="NaN",
                place=f"slices {start} to {stop - 1}",
                rule="a probability must be a number",
                cure="The weights are broken, or the card is: take another model, or device.",
            )
        found = torch.sigmoid(logits.float()[:, 0]).half().cpu().numpy()
        yield slice(start - slices.start, stop - slices.start), found


def _batch_pixels(device: torch.device) -> int:
    """As many pixels as the cache holds, or half of the card's free memory."""
    if device.type != "cuda":
        return BATCH_PIXELS
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return min(MOST_CUDA_PIXELS, free_bytes // 2 // BYTES_A_PIXEL)


def _plainly(model: nn.Module, dtype: torch.dtype) -> _Marker:
    """The network itself."""

    def mark(slices_hu: Tensor) -> Tensor:
        is_mixed = dtype != torch.float32
        with torch.autocast(slices_hu.device.type, dtype=torch.bfloat16, enabled=is_mixed):
            return model(slices_hu)

    return mark


def _both_ways(marker: _Marker) -> _Marker:
    """The mean of the logits of a picture and of its mirror image."""
    return lambda slices_hu: (marker(slices_hu) + marker(slices_hu.flip(-1)).flip(-1)) / 2


def _whole(voxels_hu: VoxelsHu) -> Part:
    index, row, column = (slice(0, size) for size in voxels_hu.shape)
    return index, row, column


def _is_inside(part: Part, voxels_hu: VoxelsHu) -> bool:
    """Whether a part keeps off the edges of its slices, where folding would be seen."""
    sizes = voxels_hu.shape[1:]
    return all(s.start > 0 and s.stop < size for s, size in zip(part[1:], sizes, strict=True))
