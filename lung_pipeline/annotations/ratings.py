# SPDX-License-Identifier: Apache-2.0
"""The ratings of each annotated nodule, from the best source there is.

The readers' own XML comes first. Where it has no mark for a nodule, or is not there, the ratings
of annotations_with_malignancy.csv are used, where that is. Every row says which it was.

Belongs here: which source is believed. Does not belong here: labels (``malignancy.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lung_pipeline.annotations.lidc_nodules import match_nodules, nodules_table
from lung_pipeline.annotations.malignancy import FROM_CSV, SAME_NODULE_MM
from lung_pipeline.annotations.neighbours import nearest
from lung_pipeline.annotations.pixel_frame import PixelFrame

if TYPE_CHECKING:
    import pandas as pd


def gather_ratings(
    annotations: pd.DataFrame,
    reads: pd.DataFrame,
    frames: Mapping[str, PixelFrame],
    from_csv: pd.DataFrame | None,
) -> pd.DataFrame:
    """The annotations with what their readers said.

    Args:
        annotations: rows with series_uid, x_mm, y_mm, z_mm, diameter_mm.
        reads: ``reads.reads_table``; may be empty.
        frames: for each series whose pixels' place is known.
        from_csv: ``luna.read_ratings``; None where there are none.

    Returns:
        ``match_nodules``' columns; where the readers' XML has no ratings for a nodule, those of
        the csv, with ratings_from saying so.
    """
    matched = match_nodules(annotations, nodules_table(reads, frames), frames)
    if from_csv is None:
        return matched
    position, found = nearest(annotations, from_csv, within_mm=SAME_NODULE_MM)
    instead = found & (matched["ratings"] == "").to_numpy()
    texts = from_csv["ratings"].iloc[position[instead]].to_numpy()
    matched.loc[instead, "ratings"] = texts
    matched.loc[instead, "ratings_from"] = FROM_CSV
    return matched
