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
        moved = _moved(images_hu.float(), augmentation, frame, is_mask=False)
        if augmentation.noise_hu:
            seeds = augmentation.noise_seeds.tolist()
            moved = with_noise(moved, augmentation.noise_hu, seeds)
        if masks is None:
            return moved
        marks = _moved(masks.float(), augmentation, frame, is_mask=True)
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
    images: Tensor, augmentation: Augmentation, frame: Frame | None, *, is_mask: bool
) -> Tensor:
    """Everything but noise."""
    is_crop = images.ndim == 5
    slices = images[:, 0] if is_crop else images  # (batch, index, row, column)
    if augmentation.is_turned:
        slices = _in_plane(slices, augmentation, frame, is_mask=is_mask)
    else:
        for axis in (1, 2):
            positions = augmentation.source_positions(axis, slices.shape[axis + 1], frame)
            slices = _along(slices, axis + 1, positions, is_mask=is_mask)
    of_slices = augmentation.source_positions(0, slices.shape[1], frame, is_scaled=is_crop)
    slices = _along(slices, 1, of_slices, is_mask=is_mask)
    return slices[:, None] if is_crop else slices


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
    index = torch.from_numpy(places.astype(np.int64)).to(slices.device)
    samples = torch.arange(len(slices), device=slices.device)[:, None]
    return slices.movedim(dim, 1)[samples, index].movedim(1, dim).contiguous()


def _beside(values: npt.NDArray[Any], slices: Tensor, dim: int) -> Tensor:
    """(batch, n) values in a shape that goes with the slices along a dimension."""
    shape = [len(slices), 1, 1, 1]
    shape[dim] = -1
    return torch.from_numpy(values).to(slices.device).reshape(shape)


def _in_plane(
    slices: Tensor, augmentation: Augmentation, frame: Frame | None, *, is_mask: bool
) -> Tensor:
    """Resample rows and columns together; all slices of a sample take the same way."""
    return functional.grid_sample(
        slices,
        _plane_grid(augmentation, slices, frame),
        mode="nearest" if is_mask else "bilinear",
        padding_mode="zeros" if is_mask else "border",
        align_corners=False,
    )


def _plane_grid(augmentation: Augmentation, slices: Tensor, frame: Frame | None) -> Tensor:
    """Where each voxel comes from, as ``grid_sample`` wants it: (batch, row, column, [x, y]).

    Sums of products instead of torch's ``affine_grid``, whose matrix product is at the mercy of
    TF32: ten bits would misplace voxels by a twentieth.
    """
    num_rows, num_columns = slices.shape[2:]
    wanted_rows, wanted_columns = slices.shape[2:] if frame is None else frame.shape_irc[1:]
    angle = np.deg2rad(augmentation.angle_deg)
    numbers = [np.cos(angle), np.sin(angle), augmentation.scale]
    to_source = augmentation.mirror_irc.copy()
    if frame is not None and frame.step_irc is not None:
        to_source *= frame.step_irc
    values = np.stack([*numbers, *to_source.T[1:], *augmentation.shift_irc.T[1:]])
    per_sample = torch.from_numpy(values).float().to(slices.device)
    cos, sin, scale, to_source_y, to_source_x, shift_y, shift_x = per_sample[:, :, None, None]
    x = _from_center(wanted_columns, slices)[None, None, :] - shift_x
    y = _from_center(wanted_rows, slices)[None, :, None] - shift_y
    x_in = to_source_x * (cos * x + sin * y) / scale
    y_in = to_source_y * (cos * y - sin * x) / scale
    return torch.stack([x_in * (2 / num_columns), y_in * (2 / num_rows)], dim=-1)


def _from_center(size: int, slices: Tensor) -> Tensor:
    return torch.arange(size, device=slices.device, dtype=torch.float32) - (size - 1) / 2
