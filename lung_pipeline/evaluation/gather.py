# SPDX-License-Identifier: Apache-2.0
"""The tables of an evaluation, gathered from what the stages wrote for each subset.

Belongs here: which rows are scored against which. Does not belong here: scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.diagnoses import DIAGNOSES_FILE, read_diagnoses
from lung_pipeline.annotations.splits import series_in_two_subsets
from lung_pipeline.annotations.subset import (
    SERIES,
    malignancy_rules_of,
    read_candidates_of,
    read_series_of,
)
from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.detection.matching import Matches, match
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.evaluation.lost_nodules.traces import read_trace, with_surroundings
from lung_pipeline.evaluation.ranking.malignancy import RankedNodules
from lung_pipeline.evaluation.readers import ReadersFigures, readers_figures
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Findings beside the truth, over some series."""

    subsets: tuple[str, ...]
    """Where the series come from."""

    series: pd.DataFrame
    """The series that were looked at: subset, series_uid, patient_id, part."""

    nodules: pd.DataFrame
    """What was to be found, the columns of the candidates' table."""

    findings: pd.DataFrame
    """What was found, with the nodule probability as ``score``, and tissue_share where known."""

    excluded: pd.DataFrame | None
    """Marks that count neither way."""

    models: dict[str, str]
    """Which models found it."""

    diagnoses: pd.DataFrame | None = None
    """What became of patients, as ``read_diagnoses`` gives it; None where there is no table."""

    malignancy_rule: Mapping[str, Any] | None = None
    """The rule that labelled the nodules; None where no nodule has a label."""

    trace: pd.DataFrame | None = None
    """What each stage did with each nodule, and its density; None where that was not written."""

    def of_part(self, part: str) -> Evaluation:
        """The same for the patients of one part."""
        series = self.series[self.series["part"] == part]
        inside = set(series["series_uid"])
        return replace(
            self,
            series=series,
            nodules=self.nodules[self.nodules["series_uid"].isin(inside)],
            findings=self.findings[self.findings["series_uid"].isin(inside)],
            trace=None if self.trace is None else self.trace[self.trace["series_uid"].isin(inside)],
        )

    @property
    def num_patients(self) -> int:
        """Patients the series belong to."""
        return int(self.series["patient_id"].nunique())

    @property
    def num_excluded(self) -> int | None:
        """Marks in these series that count neither way; None where there is no list of them."""
        if self.excluded is None:
            return None
        return int(self.excluded["series_uid"].isin(set(self.series["series_uid"])).sum())

    def matched(self) -> Matches:
        """Findings matched with nodules by LUNA16's rule."""
        return match(
            self.findings,
            self.nodules,
            self.excluded,
            series_uids=list(self.series["series_uid"]),
        )

    def ranked_hits(self, matches: Matches, threshold: float) -> RankedNodules:
        """The rated nodules found at a threshold, each with the probability of its finding."""
        is_rated = self.nodules["is_malignant"].notna().to_numpy()
        rated = is_rated & (matches.nodule_score >= threshold)
        nodules = self.nodules[rated]
        of_finding = self.findings["malignancy_probability"].to_numpy(dtype=np.float64)
        has_model = "malignancy" in self.models
        return RankedNodules(
            nodules["is_malignant"].to_numpy(dtype=bool),
            nodules["diameter_mm"].to_numpy(dtype=np.float64),
            of_finding[matches.nodule_finding[rated]] if has_model else None,
            nodules["patient_id"].to_numpy(dtype=object),
        )

    def readers(self) -> ReadersFigures | None:
        """The readers' rule beside the diagnoses of these patients; None where there are none."""
        if self.diagnoses is None:
            return None
        return readers_figures(
            self.nodules,
            self.diagnoses,
            set(self.series["patient_id"]),
            rule=self.malignancy_rule or {},
            rng=np.random.default_rng(RESAMPLING_SEED),
        )


def gather(home: Home, subsets: Sequence[str]) -> Evaluation:
    """Gather what was found in some subsets.

    A series that could not be looked at counts as one without findings: its nodules are missed.

    Raises:
        StoreError: a subset without findings, findings of different models, or a series that came
            to a subset after its findings.
    """
    import pandas as pd

    for subset in subsets:
        _refuse_unseen(home, subset)
    tables = [read_table(home.findings(subset)) for subset in subsets]
    found = evaluation_of(
        home, subsets, pd.concat(tables, ignore_index=True), _models(home, subsets)
    )
    return replace(
        found,
        findings=with_surroundings(home, subsets, found.findings),
        trace=read_trace(home, subsets, found.nodules),
    )


def evaluation_of(
    home: Home, subsets: Sequence[str], findings: pd.DataFrame, models: dict[str, str]
) -> Evaluation:
    """Lay findings, wherever they come from, beside the truth of some subsets.

    Raises:
        AnnotationError: a table below ``raw`` that cannot be understood.
        StoreError: a subset without candidates, a series that lies in two of them, or subsets that
            were divided, or whose nodules were labelled, by different rules.
    """
    _refuse_two_splits(home, subsets)
    candidates = read_candidates_of(home, subsets)
    series = read_series_of(home, subsets)
    _refuse_twice(series)
    excluded = home.raw / luna.EXCLUDED_FILE
    marks = luna.read_excluded(excluded) if excluded.is_file() else None
    told = home.raw / DIAGNOSES_FILE
    return Evaluation(
        subsets=tuple(subsets),
        series=series,
        nodules=candidates[candidates["is_nodule"]].reset_index(drop=True),
        findings=findings.rename(columns={"nodule_probability": "score"}),
        excluded=marks,
        models=models,
        diagnoses=read_diagnoses(told) if told.is_file() else None,
        malignancy_rule=_malignancy_rule(home, candidates),
    )


def _refuse_unseen(home: Home, subset: str) -> None:
    """Refuse findings from before a series came: it would count as one without any."""
    origin = read_origin(home.findings(subset))
    if "looked_at" not in origin:
        # A table of an earlier version does not say.
        return
    seen = {*origin["looked_at"], *origin["problems"]}
    unseen = set(read_series_of(home, [subset])["series_uid"]) - seen
    if unseen:
        raise StoreError(
            value=f"{len(unseen)} others, such as {min(unseen)}",
            place=home.findings(subset),
            rule="the models must have been asked about every series that is scored",
            cure="Materialize the findings of this subset again.",
        )


def _models(home: Home, subsets: Sequence[str]) -> dict[str, str]:
    """The models of the findings, which must be the same for all subsets."""
    return _same(
        {s: dict(read_origin(home.findings(s)).get("models", {})) for s in subsets},
        place="findings",
        rule="findings that are scored together must come from the same models",
        cure="Materialize the findings of all subsets with the same models.",
    )


def _refuse_twice(series: pd.DataFrame) -> None:
    """Refuse a series that lies in two subsets: its nodules would count twice."""
    for uid, subsets in series_in_two_subsets(series).items():
        raise StoreError(
            value=f"series {uid} in {' and '.join(subsets)}",
            place=f"series of {', '.join(sorted(set(series['subset'])))}",
            rule="a series that is scored must lie in one subset",
            cure="Take the scan out of one of them and ingest again.",
        )


def _refuse_two_splits(home: Home, subsets: Sequence[str]) -> None:
    """Refuse subsets that were divided by different rules: one patient may be in two parts."""
    _same(
        {s: dict(read_origin(home.manifest(SERIES, s)).get("split", {})) for s in subsets},
        place="series",
        rule="patients that are scored together must be divided by the same rule",
        cure="Materialize the candidates of all subsets with the same split.",
    )


def _malignancy_rule(home: Home, candidates: pd.DataFrame) -> dict[str, Any] | None:
    """The rule that labelled the nodules, which must be the same for all subsets."""
    rules = malignancy_rules_of(home, candidates)
    if not rules:
        return None
    return _same(
        rules,
        place="candidates",
        rule="nodules that are scored together must be labelled by the same rule",
        cure="Materialize the candidates of all subsets with the same malignancy rule.",
    )


def _same(
    by_subset: Mapping[str, dict[str, Any]], *, place: str, rule: str, cure: str
) -> dict[str, Any]:
    """What is the same for all subsets; ``StoreError`` where it is not."""
    subset, first = next(iter(by_subset.items()))
    for other, found in by_subset.items():
        if found != first:
            raise StoreError(
                value=f"{found} beside {first}",
                place=f"{place} of '{other}' and '{subset}'",
                rule=rule,
                cure=cure,
            )
    return first
