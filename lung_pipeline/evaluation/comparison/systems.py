# SPDX-License-Identifier: Apache-2.0
"""What one set of models found in one part, kept beside its scorecard so that two can be compared.

A scorecard's figures alone cannot be compared in pairs: that takes what each set said of each
nodule. So its findings are kept too, with the threshold they count from and a fingerprint of the
truth they were held against. The truth itself stays where it is; where it has changed since, the
two are not compared.

Belongs here: the record on disk and whether two fit. Does not belong here: what is compared
(``comparison.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.gather import Evaluation, evaluation_of
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

FINDINGS_FILE = "findings.parquet"
"""The findings of the scored part, beside ``scorecard.json``."""

_STAGE = "scored findings"

_PLACE = ["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"]
_NODULE = ["candidate_id", "patient_id", "is_malignant", "ratings", *_PLACE]


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """One set of models and what it found on one part of the patients."""

    name: str
    """What its scorecard is called."""

    part: str
    """The part of the split."""

    threshold: float
    """Its operating point: findings count from this nodule probability on; infinity: none does."""

    evaluation: Evaluation
    """Its findings beside the truth, of this part alone."""

    @property
    def models(self) -> dict[str, str]:
        """For each step its model: name, version and hash."""
        return self.evaluation.models


def keep_system(system: System, folder: Path) -> None:
    """Keep a system's findings beside its scorecard.

    Args:
        system: what was scored.
        folder: the scorecard's.
    """
    evaluation = system.evaluation
    origin = {
        "stage": _STAGE,
        "name": system.name,
        "part": system.part,
        "subsets": list(evaluation.subsets),
        "models": evaluation.models,
        "threshold": system.threshold,
        "truth": truth_fingerprint(evaluation),
    }
    table = evaluation.findings.rename(columns={"score": "nodule_probability"})
    write_table(table, folder / FINDINGS_FILE, origin)


def read_system(home: Home, folder: Path) -> System:
    """A system as it was kept, beside the truth of the home.

    Raises:
        StoreError: no findings beside the scorecard, or the truth is another than then.
    """
    path = folder / FINDINGS_FILE
    if not path.is_file():
        raise StoreError(
            value="no scorecard" if not folder.is_dir() else f"no {FINDINGS_FILE}",
            place=folder,
            rule="two sets of models are compared by the findings beside their scorecards",
            cure="Score the models again (job `evaluate`); older scorecards kept no findings.",
        )
    origin = read_origin(path)
    _refuse_other_tables(origin.get("stage"), path)
    everything = evaluation_of(home, origin["subsets"], read_table(path), origin["models"])
    evaluation = everything.of_part(origin["part"])
    if truth_fingerprint(evaluation) != origin["truth"]:
        raise StoreError(
            value=f"fingerprint {truth_fingerprint(evaluation)}, then {origin['truth']}",
            place=f"part '{origin['part']}' of {', '.join(origin['subsets'])}",
            rule=f"series, nodules and excluded marks must be as when {origin['name']} was scored",
            cure="Score these models again on the tables of today, then compare.",
        )
    return System(origin["name"], origin["part"], float(origin["threshold"]), evaluation)


def refuse_other_truth(first: System, second: System) -> None:
    """``StoreError`` unless both were held against the same series, nodules and excluded marks."""
    wanted, found = (truth_fingerprint(system.evaluation) for system in (first, second))
    if wanted != found:
        raise StoreError(
            value=f"{_scope(second)} beside {_scope(first)}",
            place=f"{first.name} and {second.name}",
            rule="both must be scored on the same part of the same series, nodules and marks",
            cure="Choose two scorecards of one part and the same tables, or score both again.",
        )


def truth_fingerprint(evaluation: Evaluation) -> str:
    """Sixteen hex digits over series, nodules and excluded marks; the order of rows has no say."""
    series_uids = set(evaluation.series["series_uid"])
    tables = {"series": _ordered(evaluation.series, ["series_uid", "patient_id", "part"])}
    if evaluation.excluded is not None:
        marks = evaluation.excluded
        tables["excluded"] = _ordered(marks[marks["series_uid"].isin(series_uids)], _PLACE)
    beside = {name: fingerprint(table, {}) for name, table in tables.items()}
    return fingerprint(_ordered(evaluation.nodules, _NODULE), beside)


def _ordered(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table[columns].sort_values(columns, ignore_index=True)


def _scope(system: System) -> str:
    of = system.evaluation
    subsets = ", ".join(of.subsets)
    return f"{len(of.nodules)} nodules in {len(of.series)} series ({system.part} of {subsets})"


def _refuse_other_tables(stage: object, path: Path) -> None:
    if stage != _STAGE:
        raise StoreError(
            value=f"stage {stage!r}",
            place=path,
            rule="the table must be the findings that a scorecard kept",
            cure="Name the folder of a scorecard.",
        )
