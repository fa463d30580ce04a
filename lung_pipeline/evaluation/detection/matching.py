# SPDX-License-Identifier: Apache-2.0
"""Which finding lies on which nodule, by the rule of LUNA16's own scorer.

The rule, in words:

- A finding hits a nodule when it lies nearer to its centre than half its diameter; a finding at
  exactly the radius does not.
- Several hits on one nodule count once, with the best score; the others count neither way.
- One finding may hit two nodules that overlap: both are found.
- A finding on no nodule, but within the radius of an excluded mark, counts neither way.
- What is left is a false positive.

(LUNA16's evaluation script ``noduleCADEvaluationLUNA16.py``; Setio et al. 2017,
doi:10.1016/j.media.2017.06.015.)

Belongs here: distances and fates. Does not belong here: thresholds and rates (``froc.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.annotations.luna import EXCLUDED_DIAMETER_MM
from lung_pipeline.errors import AnnotationError

if TYPE_CHECKING:
    import pandas as pd

HIT, DOUBLE_HIT, EXCLUDED, FALSE_POSITIVE = "hit", "double hit", "excluded", "false positive"
"""The four fates of a finding."""

_CENTER = ["x_mm", "y_mm", "z_mm"]

_APART_MM = 1e6
"""Series are set this far apart along a fourth axis, so that one search serves all of them."""

_Integers = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What became of each nodule and of each finding, row by row of the tables given."""

    nodule_score: _Floats
    """For each nodule the best score of a finding on it; NaN when it was missed."""

    nodule_finding: _Integers
    """For each nodule the row of that finding; -1 when it was missed."""

    nodule_num_findings: _Integers
    """For each nodule how many findings lie on it, the best one included."""

    nodule_series: _Integers
    """For each nodule its series, as a place in ``series_uids``."""

    finding_fate: npt.NDArray[np.str_]
    """For each finding one of the four fates."""

    finding_score: _Floats
    """For each finding its score."""

    finding_series: _Integers
    """For each finding its series, as a place in ``series_uids``."""

    series_uids: tuple[str, ...]
    """The series that were looked at, sorted."""

    silent_series_uids: tuple[str, ...]
    """Those of them without a single finding: perhaps never scored, so worth a warning."""

    @property
    def num_nodules(self) -> int:
        """How many nodules there are to be found."""
        return len(self.nodule_score)

    @property
    def counts(self) -> dict[str, int]:
        """Nodules hit and missed, and what became of the findings that are no best hit."""
        missed = int(np.isnan(self.nodule_score).sum())
        return {
            "hits": self.num_nodules - missed,
            "missed": missed,
            "on_excluded": int((self.finding_fate == EXCLUDED).sum()),
            "double_hits": int((self.finding_fate == DOUBLE_HIT).sum()),
            "false_positives": int((self.finding_fate == FALSE_POSITIVE).sum()),
            "silent_series": len(self.silent_series_uids),
        }


def match(
    findings: pd.DataFrame,
    nodules: pd.DataFrame,
    excluded: pd.DataFrame | None = None,
    *,
    series_uids: Sequence[str] | None = None,
) -> Matches:
    """Match findings with nodules (the rule stands at the head of this file).

    Args:
        findings: columns series_uid, x_mm, y_mm, z_mm (LPS), score (any order-preserving number).
        nodules: columns series_uid, x_mm, y_mm, z_mm, diameter_mm.
        excluded: marks that count neither way, columns as ``nodules``.
        series_uids: the series that were looked at; by default those the first two tables name.

    Returns:
        Fates in the order of the rows. Among equal scores on one nodule the nearer finding is the
        hit, and then the earlier row.

    Raises:
        AnnotationError: a number that is not finite, or a row of a series outside the list.
    """
    looked_at = _series_looked_at(findings, nodules, series_uids)
    codes = {uid: code for code, uid in enumerate(looked_at)}
    found_at = _points(findings, codes, "findings")
    scores = _finite(findings, ["score"], "findings")[:, 0]

    nodule, finding, distance = _pairs(nodules, found_at, codes, "nodules")
    # Sorted by nodule, then from the best hit down: the first row of each nodule is its hit.
    order = np.lexsort((finding, distance, -scores[finding], nodule))
    hit_nodules, first = np.unique(nodule[order], return_index=True)
    best = np.full(len(nodules), -1)
    best[hit_nodules] = finding[order][first]

    fate = np.full(len(findings), FALSE_POSITIVE)
    if excluded is not None:
        fate[_pairs(_of(excluded, looked_at), found_at, codes, "excluded")[1]] = EXCLUDED
    # A finding on a nodule stays there, even where an excluded mark overlaps the nodule.
    fate[finding] = DOUBLE_HIT
    fate[best[hit_nodules]] = HIT
    return Matches(
        nodule_score=np.where(best >= 0, np.append(scores, np.nan)[best], np.nan),
        nodule_finding=best,
        nodule_num_findings=np.bincount(nodule, minlength=len(nodules)),
        nodule_series=_places(nodules, codes, "nodules"),
        finding_fate=fate,
        finding_score=scores,
        finding_series=_places(findings, codes, "findings"),
        series_uids=looked_at,
        silent_series_uids=tuple(sorted(set(looked_at) - set(findings["series_uid"]))),
    )


def _pairs(
    marks: pd.DataFrame, found_at: _Floats, codes: dict[str, int], name: str
) -> tuple[_Integers, _Integers, _Floats]:
    """All (mark, finding) with the finding within the mark's radius, and the squared distances."""
    from scipy.spatial import cKDTree

    diameter_mm = _finite(marks, ["diameter_mm"], name)[:, 0]
    radius_mm = np.where(diameter_mm < 0, EXCLUDED_DIAMETER_MM, diameter_mm) / 2
    centers = _points(marks, codes, name)
    # The search takes a hair too much; the strict comparison below decides.
    near = cKDTree(found_at).query_ball_point(centers, radius_mm * (1 + 1e-9))
    mark = np.repeat(np.arange(len(marks)), [len(rows) for rows in near])
    finding = np.concatenate([*near, []]).astype(np.int64)
    distance_squared = ((centers[mark] - found_at[finding]) ** 2).sum(axis=1)
    within = distance_squared < radius_mm[mark] ** 2
    return mark[within], finding[within], distance_squared[within]


def _points(table: pd.DataFrame, codes: dict[str, int], name: str) -> _Floats:
    """Shape (n, 4): the centre in mm, and the series as a place far from every other series."""
    apart_mm = _places(table, codes, name) * _APART_MM
    return np.column_stack([_finite(table, _CENTER, name), apart_mm])


def _places(table: pd.DataFrame, codes: dict[str, int], name: str) -> _Integers:
    """Each row's series, as a place in the sorted list."""
    series = table["series_uid"].map(codes).to_numpy(dtype=np.float64)
    if np.isnan(series).any():
        raise AnnotationError(
            value=table["series_uid"][np.isnan(series)].iloc[0],
            place=f"table of {name}, column series_uid",
            rule="every row must belong to a series of the list",
            cure="Leave out the rows of other series first, so that the counts stay plain.",
        )
    return series.astype(np.int64)


def _finite(table: pd.DataFrame, columns: list[str], name: str) -> _Floats:
    values = table[columns].to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise AnnotationError(
            value=values[bad][0].tolist(),
            place=f"table of {name}, row {int(bad.argmax())}, {', '.join(columns)}",
            rule="positions, diameters and scores must be finite numbers",
            cure="Check the file the table was read from.",
        )
    return values


def _series_looked_at(
    findings: pd.DataFrame, nodules: pd.DataFrame, series_uids: Sequence[str] | None
) -> tuple[str, ...]:
    named: Any = series_uids
    if named is None:
        named = {*findings["series_uid"], *nodules["series_uid"]}
    return tuple(sorted({str(uid) for uid in named}))


def _of(table: pd.DataFrame, series_uids: tuple[str, ...]) -> pd.DataFrame:
    """The rows of these series; marks elsewhere cannot excuse anything."""
    return table[table["series_uid"].isin(series_uids)]
