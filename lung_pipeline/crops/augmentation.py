# SPDX-License-Identifier: Apache-2.0
"""Crops and patches as they might have been: mirrored, shifted, scaled, turned, noisy.

Belongs here: what a drawn augmentation does to voxels, on their device, each sample in its own
way. Does not belong here: how it is drawn, and the convention of its axes (``augmentation_draw``).

Turning is about the head-foot axis, so a whole turn, scaling and shift is one resampling of a
slice's rows and columns, the same for all slices of a sample, and one along the slices: a quarter
of the time of a resampling in three dimensions, with the same result. (In the reference design one
matrix serves a batch, and its shift never acts, because it is written into a row that is cut off.)

Beyond the border an image's edge is repeated: a corner filled with air would be in nearly every
turned sample and in no scan, and would move the mean that the networks' first batch norm learns.
A mask is empty there. Images are interpolated linearly; a mask takes the nearest voxel, because
half of a linear mask rounds corners off: a nodule of one voxel would lose a third of its area.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from lung_pipeline.crops.augmentation_draw import Augmentation, Floats, draw, from_json
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.frame import Frame
from lung_pipeline.crops.noise import with_noise
from lung_pipeline.errors import SettingError

__all__ = ["Augmentation", "apply", "draw", "framed", "from_json"]


@overload
def apply(
    images_hu: Tensor, augmentation: Augmentation, *, frame: Frame | None = ...
) -> Tensor: ...
@overload
def apply(
    images_hu: Tensor, augmentation: Augmentation, masks: Tensor, *, frame: Frame | None = ...
) -> tuple[Tensor, Tensor]: ...


def apply(
    images_hu: Tensor,
    augmentation: Augmentation,
    masks: Tensor | None = None,
    *,
    frame: Frame | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Resample each sample with its mask, then add noise to the image.

    Args:
        images_hu: HU of any type: crops (batch, 1, index, row, column), or the slices of patches
            (batch, slice, row, column), whose order is mirrored and which are not resampled.
        augmentation: drawn for as many samples.
        masks: of crops in their shape; of patches, the middle slice's (batch, 1, row, column).
        frame: what is wanted of crops; None: all. What comes into it from outside is not lost.

    Returns:
        The images as float32, with the masks, in their own type, where there are any. Where
        nothing is to be done they are the tensors given; those are never changed.

    Raises:
        ValueError: drawn for another number of samples, or a frame that has no middle or is not
            for crops.
        SettingError: slices of a patch are to be shifted.
    """
    _refuse_misfit(images_hu, augmentation, frame)
    with torch.no_grad():
        plane = _plane_grid(augmentation, images_hu, frame) if augmentation.is_turned else None
        moved = _moved(images_hu, augmentation, frame, plane, is_mask=False)
        if augmentation.noise_hu:
            seeds = augmentation.noise_seeds.tolist()
            moved = with_noise(moved, augmentation.noise_hu, seeds)
        if masks is None:
            return moved
        marks = _moved(masks, augmentation, frame, plane, is_mask=True)
        return moved, marks.to(masks.dtype)


def framed(crops_hu: Tensor, frame: Frame) -> Tensor:
    """Crops in HU, (batch, 1, index, row, column), in a frame and otherwise as they are."""
    nothing = draw(len(crops_hu), np.random.default_rng(0), OFF)
    return apply(crops_hu, nothing, frame=frame)


def _refuse_misfit(images_hu: Tensor, augmentation: Augmentation, frame: Frame | None) -> None:
    if len(images_hu) != len(augmentation):
        raise ValueError(f"{len(images_hu)} samples, but {len(augmentation)} were drawn for")
    if frame is not None:
        _refuse_frame(images_hu, frame)
    if images_hu.ndim == 4 and augmentation.shift_irc[:, 0].any():
        raise SettingError(
            value=f"up to {np.abs(augmentation.shift_irc[:, 0]).max():.3g} slices",
            place="augmentation of patches, shift_slices",
            rule="the slices of a patch cannot be shifted",
            cure="Set shift_slices to 0.",
        )


def _refuse_frame(crops_hu: Tensor, frame: Frame) -> None:
    if crops_hu.ndim != 5:
        raise ValueError("a frame is for crops")
    if frame.step_irc is not None:
        return
    edges = np.subtract(crops_hu.shape[2:], frame.shape_irc)
    if (edges < 0).any() or (edges % 2).any():
        raise ValueError(f"no middle of {frame.shape_irc} voxels in {tuple(crops_hu.shape[2:])}")


def _moved(
    images: Tensor,
    augmentation: Augmentation,
    frame: Frame | None,
    plane: Tensor | None,
    *,
    is_mask: bool,
) -> Tensor:
    """Everything but noise, as float32; a patch's slices are put in order while they are small."""
    is_crop = images.ndim == 5
    slices = images[:, 0] if is_crop else images  # (batch, index, row, column)
    of_slices = augmentation.source_positions(0, slices.shape[1], frame, is_scaled=is_crop)
    if not is_crop:
        slices = _along(slices, 1, of_slices, is_mask=is_mask)
    slices = slices.float()
    if plane is not None:
        slices = _in_plane(slices, plane, is_mask=is_mask)
    else:
        for axis in (1, 2):
            positions = augmentation.source_positions(axis, slices.shape[axis + 1], frame)
            slices = _along(slices, axis + 1, positions, is_mask=is_mask)
    return _along(slices, 1, of_slices, is_mask=is_mask)[:, None] if is_crop else slices


def _along(slices: Tensor, dim: int, positions: Floats, *, is_mask: bool) -> Tensor:
    """Resample one dimension; whole positions give the voxels there to the bit."""
    last = slices.shape[dim] - 1
    if np.array_equal(positions, np.tile(np.arange(last + 1.0), (len(slices), 1))):
        return slices
    if is_mask:
        nearest = np.floor(positions + 0.5)
        inside = _beside((nearest >= 0) & (nearest <= last), slices, dim)
        return _taken(slices, dim, nearest.clip(0, last)) * inside
    clipped = positions.clip(0, last)
    lower = np.floor(clipped)
    if (lower == clipped).all():
        return _taken(slices, dim, lower)
    upper = _taken(slices, dim, np.minimum(lower + 1, last))
    weight = _beside((clipped - lower).astype(np.float32), slices, dim)
    return _taken(slices, dim, lower).lerp(upper, weight)


def _taken(slices: Tensor, dim: int, places: Floats) -> Tensor:
    """The voxels at (batch, n) whole places along a dimension, of each sample its own."""
    first = np.arange(len(slices))[:, None] * slices.shape[dim]
    index = torch.from_numpy(first + places.astype(np.int64)).to(slices.device)
    # Whole lines are copied at once, which is faster than voxels each by its own index.
    lines = slices.movedim(dim, 1).flatten(0, 1).index_select(0, index.flatten())
    return lines.unflatten(0, index.shape).movedim(1, dim).contiguous()


def _beside(values: npt.NDArray[Any], slices: Tensor, dim: int) -> Tensor:
    """(batch, n) values in a shape that goes with the slices along a dimension."""
    shape = [len(slices), 1, 1, 1]
    shape[dim] = -1
    return torch.from_numpy(values).to(slices.device).reshape(shape)


def _in_plane(slices: Tensor, plane: Tensor, *, is_mask: bool) -> Tensor:
    """Resample rows and columns together; all slices of a sample take the same way."""
    return functional.grid_sample(
        slices,
        plane,
        mode="nearest" if is_mask else "bilinear",
        padding_mode="zeros" if is_mask else "border",
        align_corners=False,
    )


def _plane_grid(augmentation: Augmentation, images: Tensor, frame: Frame | None) -> Tensor:
    """Where each voxel comes from, as ``grid_sample`` wants it: (batch, row, column, [x, y]).

    Turned about one axis, a place is a sum: what its row gives, and what its column gives. Each is
    worked out in double precision and the two are added in one pass, as complex numbers (x + iy).
    torch's ``affine_grid`` would be at the mercy of TF32, whose ten bits misplace voxels by a
    twentieth.
    """
    num_rows, num_columns = images.shape[-2:]
    wanted_rows, wanted_columns = images.shape[-2:] if frame is None else frame.shape_irc[1:]
    steps = np.divide(augmentation.mirror_irc, augmentation.scale[:, None])
    if frame is not None and frame.step_irc is not None:
        steps *= frame.step_irc
    turn = np.exp(-1j * np.deg2rad(augmentation.angle_deg))[:, None]
    x = _from_center(wanted_columns) - augmentation.shift_irc[:, 2, None]
    y = _from_center(wanted_rows) - augmentation.shift_irc[:, 1, None]
    units = steps[:, 2, None] * 2 / num_columns, steps[:, 1, None] * 2 / num_rows
    of_columns, of_rows = _scaled(turn * x, *units), _scaled(turn * (1j * y), *units)
    rows, columns = (torch.from_numpy(of).to(images.device) for of in (of_rows, of_columns))
    return torch.view_as_real(rows[:, :, None] + columns[:, None, :])


def _scaled(places: npt.NDArray[Any], x: Floats, y: Floats) -> npt.NDArray[np.complex64]:
    return (places.real * x + 1j * places.imag * y).astype(np.complex64)


def _from_center(size: int) -> Floats:
    return np.arange(size, dtype=np.float64) - (size - 1) / 2
