# SPDX-License-Identifier: Apache-2.0
"""Step 5 over one LUNA subset, first half: the findings of each of its series.

A series that cannot be looked at costs nobody else's findings: it stands in the table's origin with
its reason, beside those that were looked at. So a series without findings is told from one that
nobody looked at, and from one that came to the subset later.

Belongs here: which series, the tables, and what they say of the series. Does not belong here: how
one series is looked at (``stored_series.py``), and verdicts (``subset_patients.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.subset import CANDIDATES
from lung_pipeline.ct.subset import series_with_volume
from lung_pipeline.diagnosis.findings import COLUMNS, Finding, findings_table
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.steps.mask_files import write_masks
from lung_pipeline.diagnosis.stored_series import LookedAt, look_at
from lung_pipeline.diagnosis.traces.surroundings import surroundings_table
from lung_pipeline.diagnosis.traces.trace import AnnotatedNodule, TracedNodule, trace_table
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table
from lung_pipeline.writing import remove, written_whole

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class SeriesSeen:
    """What the findings of a subset say of its series."""

    looked_at: dict[str, list[str]]
    """For each series that was looked at what to bear in mind of it, in words."""

    problems: dict[str, str]
    """For each series that could not be looked at, why."""


def find_in_subset(
    home: Home,
    subset: str,
    models: Models,
    named: Mapping[str, str],
    on_series: Callable[[str], None] = lambda series_uid: None,
) -> tuple[pd.DataFrame, str]:
    """Find nodules in all series of a subset; returns the table and its fingerprint.

    The voxels of each series' findings go to a file as soon as they are known; findings are small.
    Where the subset has candidates, two tables are written beside it: the way of each annotated
    nodule, and what lies around each finding.

    Args:
        home: where the volumes are.
        subset: which.
        models: one for each step.
        named: for each step how its model is named beside a result; kept in the table's origin.
        on_series: told each series as it begins, and what is wrong with one.
    """
    nodules = annotated_nodules(home, subset)
    gathered = _Gathered()
    with written_whole(home.masks(subset)) as folder:
        folder.mkdir()
        for series_uid in series_with_volume(home, subset):
            on_series(series_uid)
            known = None if nodules is None else nodules.get(series_uid, [])
            looked = look_at(home, subset, series_uid, models, known)
            if looked.problem:
                on_series(f"{series_uid} could not be looked at: {looked.problem}")
            else:
                write_masks(folder / f"{series_uid}.npz", looked.findings, looked.masks)
            gathered.add(series_uid, looked)
        _forget_former(home, subset)
        table, origin = findings_table(gathered.findings), gathered.origin(named)
        fingerprint = write_table(table, home.findings(subset), origin)
        if nodules is not None:
            around = surroundings_table(gathered.findings, gathered.shares)
            write_table(trace_table(gathered.nodules), home.trace(subset), origin)
            write_table(around, home.surroundings(subset), origin)
    return table, fingerprint


class _Gathered:
    """What is kept of the series that were looked at: all but their voxels."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.nodules: list[TracedNodule] = []
        self.shares: list[float] = []
        self.seen = SeriesSeen({}, {})

    def add(self, series_uid: str, looked: LookedAt) -> None:
        self.findings += looked.findings
        self.nodules += looked.nodules
        if looked.tissue_shares is not None:
            self.shares += looked.tissue_shares.tolist()
        if looked.problem:
            self.seen.problems[series_uid] = looked.problem
        else:
            self.seen.looked_at[series_uid] = list(looked.cautions)

    def origin(self, named: Mapping[str, str]) -> dict[str, Any]:
        return {
            "stage": "findings",
            "models": dict(named),
            "looked_at": self.seen.looked_at,
            "problems": self.seen.problems,
        }


def _forget_former(home: Home, subset: str) -> None:
    """Findings may stand without a trace and without masks, never beside those of others."""
    for former in (home.trace(subset), home.surroundings(subset)):
        remove(former)
    remove(home.masks(subset))


def annotated_nodules(home: Home, subset: str) -> dict[str, list[AnnotatedNodule]] | None:
    """The annotated nodules of each series of a subset; None where it has no candidates yet."""
    path = home.manifest(CANDIDATES, subset)
    if not path.is_file():
        return None
    place = ["x_mm", "y_mm", "z_mm"]
    columns = ["series_uid", "candidate_id", "diameter_mm", *place]
    table = read_table(path, [*columns, "is_nodule"])
    nodules: dict[str, list[AnnotatedNodule]] = {}
    rows = table.loc[table["is_nodule"], columns].itertuples(index=False, name=None)
    for series_uid, candidate_id, diameter_mm, *xyz_mm in rows:
        x_mm, y_mm, z_mm = xyz_mm
        nodule = AnnotatedNodule(candidate_id, (x_mm, y_mm, z_mm), diameter_mm)
        nodules.setdefault(series_uid, []).append(nodule)
    return nodules


def models_of_findings(home: Home, subset: str) -> dict[str, str]:
    """Which models made the findings of a subset."""
    return dict(read_origin(home.findings(subset)).get("models", {}))


def series_seen(home: Home, subset: str) -> SeriesSeen:
    """Which series the findings of a subset were looked for in.

    Raises:
        StoreError: no findings, or a table of an earlier version, which does not say.
    """
    origin = read_origin(home.findings(subset))
    if "looked_at" not in origin:
        raise StoreError(
            value="none",
            place=home.findings(subset),
            rule="findings must name the series they were looked for in",
            cure="Materialize the findings of this subset again.",
        )
    return SeriesSeen(origin["looked_at"], origin["problems"])


def findings_of(table: pd.DataFrame) -> list[Finding]:
    """The rows of a findings table as findings; an unknown malignancy is None again."""
    rows: list[Any] = table[list(COLUMNS)].astype(object).to_dict(orient="records")
    for row in rows:
        if row["malignancy_probability"] != row["malignancy_probability"]:
            row["malignancy_probability"] = None
    return [Finding(**row) for row in rows]
