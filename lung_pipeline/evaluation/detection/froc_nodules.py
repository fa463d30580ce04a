# SPDX-License-Identifier: Apache-2.0
"""Every nodule with what hit it, so that a figure can be looked into one by one.

Belongs here: the table. Does not belong here: which finding is the hit (``matching.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.evaluation.detection.matching import Matches

if TYPE_CHECKING:
    import pandas as pd

FOUND, MISSED = "found", "missed"
"""The two fates of a nodule."""

_POINT = ["x_mm", "y_mm", "z_mm"]


def nodule_table(matches: Matches, nodules: pd.DataFrame, findings: pd.DataFrame) -> pd.DataFrame:
    """One row a nodule, in the order given.

    Args:
        matches: what ``match`` gave for the next two.
        nodules: series_uid, x_mm, y_mm, z_mm, diameter_mm.
        findings: series_uid, x_mm, y_mm, z_mm, score.

    Returns:
        The nodule's columns; ``fate``, found or missed; of the hit its ``score``, its place
        (``hit_x_mm`` and so on) and its ``distance_mm`` from the nodule's centre, NaN where it was
        missed; and ``num_double_hits``, the further findings on it.
    """
    is_found = matches.nodule_finding >= 0
    hits = np.full((len(nodules), 3), np.nan)
    hits[is_found] = findings[_POINT].to_numpy(dtype=np.float64)[matches.nodule_finding[is_found]]
    centers = nodules[_POINT].to_numpy(dtype=np.float64)
    return nodules[["series_uid", *_POINT, "diameter_mm"]].assign(
        fate=np.where(is_found, FOUND, MISSED),
        score=matches.nodule_score,
        **{f"hit_{axis}": hits[:, place] for place, axis in enumerate(_POINT)},
        distance_mm=np.linalg.norm(hits - centers, axis=1),
        num_double_hits=np.maximum(matches.nodule_num_findings - 1, 0),
    )
