# SPDX-License-Identifier: Apache-2.0
"""What is done to each sample of a batch: drawn as a value that can be logged and replayed.

Belongs here: drawing, JSON, and where a voxel goes. Does not belong here: voxels (and torch).

The convention, in voxels from the centre of the crop (which lies between the two middle voxels
where their number is even): a sample is mirrored, scaled, turned and then shifted,

    p_out = turn(angle) @ (scale * mirror * p_in) + shift,

so a shift means voxels of the result, and a scale above 1 makes things larger. A positive angle
turns the columns' axis towards the rows': clockwise on a slice whose rows run downward. Where a
``Frame`` wants other voxels than the sample's, p_in and p_out are in those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.crops.augmentation_settings import FOR_CROPS, AugmentationSettings
from lung_pipeline.crops.frame import Frame
from lung_pipeline.errors import SettingError

Floats = npt.NDArray[np.float64]

_COLUMNS = {"mirror_irc": 3, "shift_irc": 3, "scale": 0, "angle_deg": 0, "noise_seeds": 0}
"""The fields that have a row for each sample, and its length (0: a single number)."""


@dataclass(frozen=True, slots=True, eq=False)
class Augmentation:
    """What is done to each sample of a batch."""

    mirror_irc: Floats
    """-1 where an axis is mirrored, else 1, shape (batch, 3)."""

    shift_irc: Floats
    """By how many voxels the result is shifted along each axis, shape (batch, 3)."""

    scale: Floats
    """How many times as large things become, shape (batch,)."""

    angle_deg: Floats
    """By how many degrees a slice is turned, shape (batch,)."""

    noise_hu: float
    """Standard deviation of the noise, of all samples."""

    noise_seeds: npt.NDArray[np.int64]
    """Each sample's own seed, shape (batch,): its noise does not depend on its neighbours."""

    def __len__(self) -> int:
        """The number of samples."""
        return len(self.scale)

    @property
    def is_turned(self) -> bool:
        """Whether any sample is turned, so that rows and columns mix."""
        return bool(self.angle_deg.any())

    def part(self, samples: slice) -> Augmentation:
        """The augmentation of some of the samples, as of a part of a batch."""
        rows = {name: getattr(self, name)[samples] for name in _COLUMNS}
        return Augmentation(noise_hu=self.noise_hu, **rows)

    def source_positions(
        self, axis: int, size: int, frame: Frame | None = None, *, is_scaled: bool = True
    ) -> Floats:
        """Where along an axis each voxel of an unturned result comes from, (batch, voxels).

        Args:
            axis: 0 for slices, 1 for rows, 2 for columns.
            size: voxels of a sample along it.
            frame: what is wanted of it; None: all.
            is_scaled: false along the slices of a patch, which are not resampled.
        """
        wanted, step = (size, 1.0) if frame is None else (frame.shape_irc[axis], frame.steps(axis))
        scale = self.scale[:, None] if is_scaled else 1.0
        from_center = np.arange(wanted) - (wanted - 1) / 2 - self.shift_irc[:, axis, None]
        return (size - 1) / 2 + self.mirror_irc[:, axis, None] * from_center * step / scale

    def as_json(self) -> dict[str, Any]:
        """Lists and numbers only; ``from_json`` gives the same augmentation to the bit."""
        rows = {name: getattr(self, name).tolist() for name in _COLUMNS}
        return {**rows, "noise_hu": self.noise_hu}


def draw(
    batch_size: int, rng: np.random.Generator, settings: AugmentationSettings = FOR_CROPS
) -> Augmentation:
    """Draw an augmentation for each sample of a batch.

    Every effect is drawn, whatever its strength: turning one off leaves the others as they were.
    """
    coins = rng.random((batch_size, 3))
    unit_irc = rng.uniform(-1, 1, (batch_size, 3))
    unit_scale, unit_angle = rng.uniform(-1, 1, (2, batch_size))
    noise_seeds = rng.integers(2**31, size=batch_size)
    is_on = (settings.mirror_slices, settings.mirror_rows, settings.mirror_columns)
    reach_irc = (settings.shift_slices, settings.shift_rows, settings.shift_columns)
    return Augmentation(
        mirror_irc=np.where((coins < 0.5) & is_on, -1.0, 1.0),
        shift_irc=unit_irc * reach_irc,
        scale=1 + settings.scaling * unit_scale,
        angle_deg=settings.rotation_deg * unit_angle,
        noise_hu=settings.noise_hu,
        noise_seeds=noise_seeds,
    )


def from_json(record: Mapping[str, Any]) -> Augmentation:
    """The augmentation that ``as_json`` wrote down.

    Raises:
        SettingError: it is none, or its fields are not of one batch.
    """
    try:
        rows: dict[str, Any] = {name: np.asarray(record[name], np.float64) for name in _COLUMNS}
        rows["noise_seeds"] = np.asarray(record["noise_seeds"], np.int64)
        drawn = Augmentation(noise_hu=float(record["noise_hu"]), **rows)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    for name, width in _COLUMNS.items():
        values = getattr(drawn, name)
        expected = (drawn.scale.size, width) if width else (drawn.scale.size,)
        if values.shape != expected:
            raise _unreadable(f"'{name}' of shape {values.shape}, not {expected}")
        if not np.isfinite(values).all():
            raise _unreadable(f"'{name}' that is not finite")
    return drawn


def _unreadable(what: str) -> SettingError:
    names = ", ".join(field.name for field in fields(Augmentation))
    return SettingError(
        value=what,
        place="augmentation of a batch",
        rule=f"it must have {names}, with a row for each sample",
        cure="Draw it again from the same seed.",
    )
