# SPDX-License-Identifier: Apache-2.0
"""The nodules that one set of models finds and another misses, one by one.

A figure says how much two sets differ; which nodules those are says why, and whether a person
would mind: a malignant one of 20 mm lost weighs more than a doubtful one of 4 mm won.

Belongs here: which nodules changed. Does not belong here: figures (``comparison.py``) and pictures
(``reporting``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ChangedNodule:
    """A nodule that is found by one of two systems alone, each at its own operating point."""

    candidate_id: str
    """Its row among the candidates, by which its crop is found."""

    subset: str
    """The subset its series lies in."""

    series_uid: str
    """The series it lies in."""

    patient_id: str
    """Whose it is."""

    center_xyz_mm: tuple[float, float, float]
    """Where it lies in patient space (LPS)."""

    diameter_mm: float
    """The diameter of the readers' mark."""

    is_malignant: bool | None
    """What the readers' rule says; None where it says nothing."""

    ratings: str
    """The readers' ratings, such as "4,2,4"; empty where nobody rated."""

    score_a: float | None
    """The best score of a finding of the first system on it; None where there is none at all."""

    score_b: float | None
    """The same of the second."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ChangedNodule:
        """The nodule as ``dataclasses.asdict`` gave it."""
        x_mm, y_mm, z_mm = record["center_xyz_mm"]
        return cls(**{**record, "center_xyz_mm": (x_mm, y_mm, z_mm)})


def changed_nodules(
    nodules: pd.DataFrame,
    score_a: npt.NDArray[np.float64],
    score_b: npt.NDArray[np.float64],
    is_changed: npt.NDArray[np.bool_],
) -> tuple[ChangedNodule, ...]:
    """Some rows of a table of nodules, largest first.

    Args:
        nodules: columns of the candidates' table.
        score_a: of the first system's best finding on each, shape (n,), NaN where there is none.
        score_b: the same of the second.
        is_changed: which rows, shape (n,).
    """
    scored = nodules.assign(score_a=score_a, score_b=score_b)[is_changed]
    ordered = scored.sort_values(["diameter_mm", "candidate_id"], ascending=[False, True])
    plain = ordered.astype(object).where(ordered.notna(), None)
    rows: list[Any] = plain.to_dict(orient="records")
    return tuple(_changed(row) for row in rows)


def _changed(row: Mapping[str, Any]) -> ChangedNodule:
    return ChangedNodule(
        candidate_id=str(row["candidate_id"]),
        subset=str(row["subset"]),
        series_uid=str(row["series_uid"]),
        patient_id=str(row["patient_id"]),
        center_xyz_mm=(float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"])),
        diameter_mm=float(row["diameter_mm"]),
        is_malignant=None if row["is_malignant"] is None else bool(row["is_malignant"]),
        ratings=str(row["ratings"]),
        score_a=_known(row["score_a"]),
        score_b=_known(row["score_b"]),
    )


def _known(score: float | None) -> float | None:
    return None if score is None else float(score)
