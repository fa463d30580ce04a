# SPDX-License-Identifier: Apache-2.0
"""Whole slices small enough for a page that holds hundreds of them: JPEG, by a budget of bytes.

Belongs here: how a slice is encoded. Does not belong here: which slices are shown (``slices.py``).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.reporting.overlay import Picture, window_picture

MEAN_BYTES = 21_000
"""What a slice may take on average. 140 slices take 4 MB of a page, 300 take 8 MB."""

QUALITIES = (85, 75, 70, 60, 50, 35, 20, 10, 5)
"""Of JPEG, the best first. At 70 a slice of a real chest is off by 2.5 grey values (root mean
square). WebP needs a quarter fewer bytes for that, and nine times as long."""

_NUM_TRIED = 9
"""Slices the quality is chosen by; sizes differ little from slice to slice."""


def slice_uri(voxels_hu: VoxelsHu, index: int, quality: int) -> str:
    """A slice in the lung window as a ``data:`` address, one pixel a voxel."""
    jpeg = _jpeg(window_picture(voxels_hu[index]), quality)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def affordable_quality(voxels_hu: VoxelsHu, indices: Sequence[int]) -> int:
    """The best quality at which these slices take no more than ``MEAN_BYTES`` on average."""
    step = max(1, len(indices) // _NUM_TRIED)
    pictures = [window_picture(voxels_hu[index]) for index in indices[step // 2 :: step]]
    for quality in QUALITIES:
        if sum(len(_jpeg(picture, quality)) for picture in pictures) <= MEAN_BYTES * len(pictures):
            return quality
    return QUALITIES[-1]


def _jpeg(picture: Picture, quality: int) -> bytes:
    from PIL import Image

    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, format="JPEG", quality=quality, optimize=True)
    return encoded.getvalue()
