# SPDX-License-Identifier: Apache-2.0
"""Scans known by their voxels, whatever their files are called and of which format they are.

The hash of a scan's files does not find a scan that was given another name: a MetaIO header names
its voxels' file, and every DICOM slice its series. Crops show that two scans are one only where
both have candidates. What is stored of a scan has neither name nor format.

Belongs here: that. Does not belong here: what it means for a split (``leakage.py``).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lung_pipeline.ct.store import open_volume
from lung_pipeline.home import Home

if TYPE_CHECKING:
    import pandas as pd

LOOKS = ("num_slices", "slice_spacing_mm", "pixel_spacing_mm", "lowest_hu", "highest_hu")
"""The columns of the table of volumes in which two copies of a scan agree."""


def with_voxels(home: Home, series: pd.DataFrame) -> pd.DataFrame:
    """The series with a column ``voxels``, which two have in common where they are one scan.

    Only scans that look alike are read, and of these the middle slice: its noise is no other's.

    Args:
        home: where the volumes are.
        series: subset, series_uid and ``LOOKS``.
    """
    known_by = series["subset"] + "/" + series["series_uid"]
    are_alike = series.groupby(list(LOOKS))["series_uid"].transform("size") > 1
    for row in series.index[are_alike]:
        known_by[row] = _middle_sha256(home, *series.loc[row, ["subset", "series_uid"]])
    return series.assign(voxels=known_by)


def _middle_sha256(home: Home, subset: str, series_uid: str) -> str:
    volume = open_volume(home.volume(subset, series_uid))
    slices, rows, columns = volume.grid.shape_irc
    middle = volume.read_window((slices // 2, 0, 0), (slices // 2 + 1, rows, columns))
    return hashlib.sha256(middle.tobytes()).hexdigest()
