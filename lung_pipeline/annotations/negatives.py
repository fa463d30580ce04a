# SPDX-License-Identifier: Apache-2.0
"""Which candidates are negatives: what a classifier may be taught as "no nodule".

Not those in an annotated nodule, for they show it. Not those on an excluded finding either: in
LUNA16 that is what fewer than three of four readers marked, or what they marked as something else
than a nodule, and its evaluation takes a hit there for neither right nor wrong. And of several
detectors' marks on one place only one, or that place would be learnt and counted several times.

Belongs here: the choice, and where every candidate went. Does not belong here: the search for
neighbours (``neighbours.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lung_pipeline.annotations.luna import EXCLUDED_DIAMETER_MM
from lung_pipeline.annotations.neighbours import first_of_clusters, inside_any

if TYPE_CHECKING:
    import pandas as pd

NEAR_DUPLICATE_MM = 1.0
"""Negatives no farther apart are one: their crops are the same but for a voxel or two."""


def choose_negatives(
    candidates: pd.DataFrame, nodules: pd.DataFrame, excluded: pd.DataFrame | None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The candidates of class 0 that are negatives, near-duplicates merged.

    A candidate that lies both in a nodule and on an excluded finding counts for the nodule. What
    then is left hangs together where steps of at most ``NEAR_DUPLICATE_MM`` lead from one to the
    next, and of each such cluster the first in the order of z, y, x stays.

    Args:
        candidates: rows with series_uid, x_mm, y_mm, z_mm, is_nodule.
        nodules: rows with series_uid, x_mm, y_mm, z_mm, diameter_mm; borders belong to them.
        excluded: likewise, a negative diameter where it is unknown; None where there are none.

    Returns:
        The rows that stay, each series in the order of z, y, x; and the counts
        ``candidates_of_class_1``, ``negatives_inside_nodules``, ``negatives_on_excluded``,
        ``near_duplicates_merged``, which with the rows add up to all candidates.
    """
    of_class_0 = candidates[~candidates["is_nodule"].to_numpy(dtype=bool)]
    is_marked = _in_any(of_class_0, nodules if excluded is None else _both(nodules, excluded))
    # In two steps, because the search through all candidates is what takes time.
    inside_nodules = int(_in_any(of_class_0[is_marked], nodules).sum())
    outside = of_class_0[~is_marked]
    negatives = outside.iloc[first_of_clusters(outside, NEAR_DUPLICATE_MM)]
    return negatives, {
        "candidates_of_class_1": len(candidates) - len(of_class_0),
        "negatives_inside_nodules": inside_nodules,
        "negatives_on_excluded": int(is_marked.sum()) - inside_nodules,
        "near_duplicates_merged": len(outside) - len(negatives),
    }


def _in_any(candidates: pd.DataFrame, marks: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return inside_any(candidates, marks, marks["diameter_mm"].to_numpy(dtype=np.float64) / 2)


def _both(nodules: pd.DataFrame, excluded: pd.DataFrame) -> pd.DataFrame:
    """All marks, those of unknown diameter with the one LUNA16's evaluation gives them."""
    import pandas as pd

    columns = ["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"]
    is_unknown = excluded["diameter_mm"] < 0
    known = excluded.assign(
        diameter_mm=excluded["diameter_mm"].astype("float64").mask(is_unknown, EXCLUDED_DIAMETER_MM)
    )
    return pd.concat([nodules[columns], known[columns]], ignore_index=True)
