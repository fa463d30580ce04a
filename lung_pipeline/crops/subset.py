# SPDX-License-Identifier: Apache-2.0
"""Step 1 over one LUNA subset: cut the crop of each candidate from the stored volumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.subset import CANDIDATES
from lung_pipeline.crops.store import crops_stand, open_crops, write_crops
from lung_pipeline.crops.windows import CROP_SHAPE_IRC, cut_window
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.store import StoredVolume, open_volume
from lung_pipeline.ct.subset import VOLUMES
from lung_pipeline.errors import AnnotationError
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table

if TYPE_CHECKING:
    import pandas as pd

_PLACE = ["x_mm", "y_mm", "z_mm"]

CUTTER_VERSION = 1
"""Another number cuts every crop anew: raise it when a window would show something else."""


def make_crops(
    home: Home, subset: str, on_series: Callable[[str], None] = lambda series_uid: None
) -> tuple[int, str]:
    """Cut the crops of a subset's candidates; those of the same candidates and volumes stay.

    Returns:
        Their number and the fingerprint.

    Raises:
        AnnotationError: a nodule lies off its scan.
        StoreError: a volume is not there.
    """
    table = read_table(home.manifest(CANDIDATES, subset))

    def cut(rows: pd.DataFrame) -> VoxelsHu:
        series_uid = str(rows["series_uid"].iloc[0])
        on_series(series_uid)
        # Read once: a series has hundreds of candidates, and windows overlap.
        volume = open_volume(home.volume(subset, series_uid))
        centers_irc = _centers(volume, rows)
        _refuse_off_the_scan(volume, rows, centers_irc)
        voxels_hu = volume.read_all()
        return np.stack([cut_window(voxels_hu, center_irc) for center_irc in centers_irc])

    origin = {
        "stage": "crops",
        "shape_irc": list(CROP_SHAPE_IRC),
        "cutter": CUTTER_VERSION,
        "candidates": _fingerprint_of(home.manifest(CANDIDATES, subset)),
        "volumes": _fingerprint_of(home.manifest(VOLUMES, subset)),
    }
    if crops_stand(home.crops(subset), origin):
        return len(table), fingerprint(table, origin)
    return len(table), write_crops(home.crops(subset), table, cut, origin)


def crops_that_differ(home: Home, subset: str) -> list[str]:
    """Candidates whose crop is not the window of the volume around them; all are compared."""
    crops = open_crops([home.crops(subset)])
    different: list[str] = []
    for series_uid, rows in crops.index.groupby("series_uid", sort=False):
        volume = open_volume(home.volume(subset, str(series_uid)))
        voxels_hu = volume.read_all()
        for row, center in zip(rows.index, _centers(volume, rows), strict=True):
            if not np.array_equal(crops.read([row])[0], cut_window(voxels_hu, center)):
                different.append(str(rows.loc[row, "candidate_id"]))
    return different


def _fingerprint_of(path: Path) -> str:
    return fingerprint(read_table(path), read_origin(path))


def _centers(volume: StoredVolume, rows: pd.DataFrame) -> np.ndarray:
    """The voxels that hold the candidates, (n, 3)."""
    return volume.grid.voxel_of(rows[_PLACE].to_numpy())


def _refuse_off_the_scan(volume: StoredVolume, rows: pd.DataFrame, centers_irc: np.ndarray) -> None:
    """A window off the scan is plain air, and a model would learn that as a nodule."""
    off = rows[rows["is_nodule"].to_numpy() & ~volume.grid.contains_irc(centers_irc)]
    if len(off):
        nodule = off.iloc[0]
        raise AnnotationError(
            value=f"{nodule[_PLACE].tolist()} mm",
            place=f"annotated centre (x, y, z) of nodule {nodule['candidate_id']}",
            rule=f"a nodule must lie inside its scan of shape {volume.grid.shape_irc}",
            cure="Check that annotation and scan belong together, in one frame of coordinates.",
        )
