# SPDX-License-Identifier: Apache-2.0
"""How strongly samples are changed, effect by effect; zero (or false) turns one off.

Belongs here: strengths, checked where they enter, free of torch. Does not belong here: what is
drawn of them (``augmentation_draw``), nor what it does to voxels (``augmentation``).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AugmentationSettings(BaseModel):
    """How strongly crops and patches are mirrored, shifted, scaled, turned and made noisy."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mirror_slices: bool = True
    """Mirror along the body in half of the samples: what lay above lies below."""

    mirror_rows: bool = True
    """Mirror front and back in half of the samples."""

    mirror_columns: bool = True
    """Mirror left and right in half of the samples."""

    shift_slices: float = Field(default=1.6, ge=0)
    """Shift along the body by up to so many slices; the slices of a patch cannot be shifted."""

    shift_rows: float = Field(default=2.4, ge=0)
    """Shift to the front or the back by up to so many voxels."""

    shift_columns: float = Field(default=2.4, ge=0)
    """Shift to the left or the right by up to so many voxels."""

    scaling: float = Field(default=0.15, ge=0, le=0.9)
    """Larger or smaller by up to this share, along all axes of a crop, in the plane of a patch."""

    rotation_deg: float = Field(default=180.0, ge=0, le=180)
    """Turn about the head-foot axis by up to so many degrees, to either side."""

    noise_hu: float = Field(default=15.0, ge=0)
    """Standard deviation of the added noise; 15 HU is about that of a low-dose chest CT."""


OFF = AugmentationSettings(
    mirror_slices=False,
    mirror_rows=False,
    mirror_columns=False,
    shift_slices=0,
    shift_rows=0,
    shift_columns=0,
    scaling=0,
    rotation_deg=0,
    noise_hu=0,
)
"""Nothing is changed; with one field changed, that effect acts alone."""

FOR_CROPS = AugmentationSettings()
"""Every effect: a finding's centre is known to a voxel or two, and its size is never the same."""

FOR_PATCHES = AugmentationSettings(shift_slices=0, shift_rows=0, shift_columns=0)
"""No shift: a patch is cut at a random place of its region already, and there without a border."""
