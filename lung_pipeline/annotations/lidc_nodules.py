# SPDX-License-Identifier: Apache-2.0
"""The readers' marks behind each nodule of LUNA16's reference.

LUNA16's annotations.csv has a centre and a diameter, averaged over at least three readers, and
nothing of what they thought. Here each row finds its readers again, and with them their ratings
and outlines.

Where the patient's space is known (``pixel_frame.py``) a row takes the readers' nodule whose
centroid lies nearest, within the row's radius; nodules of at least three readers come first. Where
it is not, only the slice position is left: a row takes the one nodule of at least three readers
that reaches its height, if there is just one; where several do, none is taken. Each row says how it
was matched.

Belongs here: the match. Does not belong here: what ratings mean (``rules.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lung_pipeline.annotations.malignancy import FROM_LIDC, NO_CONTOURS
from lung_pipeline.annotations.neighbours import nearest
from lung_pipeline.annotations.pixel_frame import PixelFrame
from lung_pipeline.annotations.reads import NOT_RATED

if TYPE_CHECKING:
    import pandas as pd

BY_SLICE, NOT_MATCHED = "slice position", ""
"""What ``matched_by`` says where no frame was known, and where no nodule was found."""

FEWEST_READERS = 3
"""Readers of a nodule of LUNA16's reference (A. A. A. Setio et al., Med. Image Anal. 42, 2017)."""

SLICE_MARGIN_MM = 1.5
"""How far beyond the outermost outlines a centre may lie: half of LIDC's most common slice."""

_POINT = ["x_mm", "y_mm", "z_mm"]


def nodules_table(reads: pd.DataFrame, frames: Mapping[str, PixelFrame]) -> pd.DataFrame:
    """The readers' nodules, one row each, of as many series as there are.

    Args:
        reads: ``reads.reads_table``.
        frames: for each series whose frame is known.

    Returns:
        series_uid, lidc_nodule, num_reads, ratings ("4,2,4", by reader; unrated reads left out),
        z_low_mm, z_high_mm and the mean of the reads' centroids as x_mm, y_mm, z_mm; x and y are
        NaN where the frame is not known.
    """
    import pandas as pd

    placed = reads.assign(x_mm=np.nan, y_mm=np.nan)
    for series_uid, of_series in reads.groupby("series_uid"):
        if frame := frames.get(str(series_uid)):
            points = frame.to_xyz_mm(of_series["column"], of_series["row"], of_series["z_mm"])
            placed.loc[of_series.index, ["x_mm", "y_mm", "z_mm"]] = points
    nodules = placed.sort_values("reader").groupby(["series_uid", "lidc_nodule"])
    table = nodules.agg(
        num_reads=("read", "size"),
        z_low_mm=("z_low_mm", "min"),
        z_high_mm=("z_high_mm", "max"),
        x_mm=("x_mm", "mean"),
        y_mm=("y_mm", "mean"),
        z_mm=("z_mm", "mean"),
    )
    texts = [
        ",".join(str(rating) for rating in given if rating != NOT_RATED)
        for _, given in nodules["malignancy"]
    ]
    return table.assign(ratings=pd.Series(texts, index=table.index, dtype="str")).reset_index()


def match_nodules(
    annotations: pd.DataFrame, nodules: pd.DataFrame, frames: Mapping[str, PixelFrame]
) -> pd.DataFrame:
    """The readers' nodule of each annotation.

    Args:
        annotations: rows with series_uid, x_mm, y_mm, z_mm, diameter_mm.
        nodules: ``nodules_table`` made with the same frames.
        frames: for each series whose frame is known.

    Returns:
        The annotations with lidc_nodule (``NO_CONTOURS`` where none), ratings, ratings_from,
        distance_mm (NaN where unknown) and matched_by (the frame's source, ``BY_SLICE`` or
        ``NOT_MATCHED``).
    """
    has_frame = annotations["series_uid"].isin(list(frames)).to_numpy()
    position = np.full(len(annotations), -1)
    position[has_frame] = _nearest_centroid(annotations[has_frame], nodules)
    position[~has_frame] = _only_at_height(annotations[~has_frame], nodules)
    found = position >= 0
    # The row after the last stands for "none".
    taken = nodules.reset_index(drop=True).reindex(np.where(found, position, len(nodules)))
    sources = [
        frames[uid].source if uid in frames else BY_SLICE for uid in annotations["series_uid"]
    ]
    apart_mm = taken[_POINT].to_numpy(np.float64) - annotations[_POINT].to_numpy()
    return annotations.assign(
        lidc_nodule=taken["lidc_nodule"].fillna(NO_CONTOURS).astype("int64").to_numpy(),
        ratings=taken["ratings"].fillna("").to_numpy(),
        ratings_from=np.where(found, FROM_LIDC, ""),
        distance_mm=np.sqrt((apart_mm**2).sum(axis=1)),
        matched_by=np.where(found, sources, NOT_MATCHED),
    )


def _nearest_centroid(annotations: pd.DataFrame, nodules: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The row of the nodule nearest to each annotation, within its radius; -1 where none is.

    A nodule of fewer readers than LUNA16 asks for is taken only where no other is: where a reader
    marked one nodule twice, his second mark may lie nearer to the mean of all.
    """
    has_place = nodules["x_mm"].notna().to_numpy()
    enough = (nodules["num_reads"] >= FEWEST_READERS).to_numpy()
    first = _nearest_of(np.flatnonzero(has_place & enough), annotations, nodules)
    second = _nearest_of(np.flatnonzero(has_place), annotations, nodules)
    return np.where(first >= 0, first, second)


def _nearest_of(
    rows: npt.NDArray[np.int64], annotations: pd.DataFrame, nodules: pd.DataFrame
) -> npt.NDArray[np.int64]:
    if not len(rows) or not len(annotations):
        return np.full(len(annotations), -1)
    radius_mm = annotations["diameter_mm"].to_numpy() / 2
    position, _ = nearest(annotations, nodules.iloc[rows], within_mm=float(radius_mm.max()))
    apart_mm = nodules[_POINT].to_numpy()[rows][position] - annotations[_POINT].to_numpy()
    same = nodules["series_uid"].to_numpy()[rows][position] == annotations["series_uid"].to_numpy()
    near = np.linalg.norm(apart_mm, axis=1) <= radius_mm
    return np.where(same & near, rows[position], -1)


def _only_at_height(annotations: pd.DataFrame, nodules: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The row of the one nodule of enough readers at each annotation's height; -1 where not one."""
    enough = nodules[nodules["num_reads"] >= FEWEST_READERS]
    position = np.full(len(annotations), -1)
    for row, (series_uid, z_mm) in enumerate(annotations[["series_uid", "z_mm"]].to_numpy()):
        of_series = enough[enough["series_uid"] == series_uid]
        reaches = (of_series["z_low_mm"] - SLICE_MARGIN_MM <= z_mm) & (
            z_mm <= of_series["z_high_mm"] + SLICE_MARGIN_MM
        )
        if reaches.sum() == 1:
            position[row] = of_series.index[reaches.to_numpy()][0]
    return position
