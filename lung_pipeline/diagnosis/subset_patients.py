# SPDX-License-Identifier: Apache-2.0
"""Step 5 over one LUNA subset, second half: a verdict for each patient, from the findings.

Belongs here: whose series are whose, and the table of verdicts. Does not belong here: findings
(``subset.py``) and rules (``rules.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.lidc_subset import READS
from lung_pipeline.annotations.rules import rule_named
from lung_pipeline.annotations.subset import CANDIDATES, SERIES, read_series_of
from lung_pipeline.ct.subset import VOLUMES, series_with_volume
from lung_pipeline.diagnosis.patient import Diagnosis, diagnosis_of
from lung_pipeline.diagnosis.subset import (
    SeriesSeen,
    findings_of,
    models_of_findings,
    series_seen,
)
from lung_pipeline.diagnosis.unread import unread_scans
from lung_pipeline.diagnosis.verdict.operating_point import DEFAULT_JUDGING, Judging, OperatingPoint
from lung_pipeline.diagnosis.verdict.readers import ReadersVerdict, readers_verdict
from lung_pipeline.diagnosis.verdict.rules import NoisyOr
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table

if TYPE_CHECKING:
    from lung_pipeline.annotations.rules import MalignancyRule


def diagnose_subset(
    home: Home,
    subset: str,
    judging: Judging = DEFAULT_JUDGING,
    frozen: OperatingPoint | None = None,
) -> tuple[list[Diagnosis], str]:
    """A verdict for each patient of a subset, from its findings; also written as a table.

    A patient with series in two subsets gets a verdict in each, on the series that lie there.

    Args:
        home: where the findings are.
        subset: which.
        judging: by which rule, and a person's own thresholds.
        frozen: what was chosen for the models of the findings; None: nothing.

    Raises:
        StoreError: no findings yet, or candidates or findings made of other volumes than there
            are now.
    """
    import pandas as pd

    findings = findings_of(read_table(home.findings(subset)))
    models, sources = models_of_findings(home, subset), _sources(home, subset)
    seen = _seen(home, subset)
    asked, unread = _readers(home, subset), unread_scans(home, subset)
    diagnoses = [
        diagnosis_of(
            patient_id,
            [f for f in findings if f.series_uid in series_uids],
            inputs_sha256={uid: sources[uid] for uid in series_uids},
            models=models,
            frozen=frozen,
            judging=judging,
            readers=asked(series_uids),
            cautions=[
                *(told for uid in series_uids for told in seen.looked_at.get(uid, ())),
                *unread.cautions,
            ],
            not_looked_at={
                **{u: seen.problems[u] for u in series_uids if u in seen.problems},
                **unread.of_patients.get(patient_id, {}),
            },
        )
        for patient_id, series_uids in _series_of_patients(home, subset).items()
    ]
    table = pd.DataFrame([_row(diagnosis) for diagnosis in diagnoses])
    origin = {
        "stage": "diagnoses",
        "rule": judging.rules(frozen)[0].in_words(),
        "thresholds_from": judging.at(frozen).thresholds_from,
        "models": models,
    }
    return diagnoses, write_table(table, home.diagnoses(subset), origin)


def _seen(home: Home, subset: str) -> SeriesSeen:
    """What was looked at; refused where a series with a volume is neither seen nor listed."""
    seen = series_seen(home, subset)
    present = series_with_volume(home, subset)
    other = set(present) ^ {*seen.looked_at, *seen.problems}
    if other:
        raise StoreError(
            value=f"{len(other)} others, such as {min(other)}",
            place=home.findings(subset),
            rule="the series of the findings must be those that have a volume",
            cure="Materialize the findings of this subset again.",
        )
    return seen


def _series_of_patients(home: Home, subset: str) -> dict[str, list[str]]:
    series = read_series_of(home, [subset])
    other = set(series["series_uid"]) ^ set(series_with_volume(home, subset))
    if other:
        raise StoreError(
            value=f"{len(other)} others, such as {min(other)}",
            place=home.manifest(SERIES, subset),
            rule="the series of the candidates must be those that have a volume",
            cure="Materialize the candidates of this subset again.",
        )
    return {
        str(patient): list(uids) for patient, uids in series.groupby("patient_id")["series_uid"]
    }


def _sources(home: Home, subset: str) -> dict[str, str]:
    manifest = read_table(home.manifest(VOLUMES, subset), ["series_uid", "source_sha256"])
    return dict(zip(manifest["series_uid"], manifest["source_sha256"], strict=True))


def _readers(home: Home, subset: str) -> Callable[[Sequence[str]], ReadersVerdict | None]:
    """What answers for a patient's series: None unless the readers' XML has every one of them."""
    path = home.manifest(READS, subset)
    if not path.is_file():
        return lambda series_uids: None
    reads, marked = read_table(path), read_origin(path).get("sources", {})
    rule = _malignancy_rule(read_origin(home.manifest(CANDIDATES, subset)))

    def of_patient(series_uids: Sequence[str]) -> ReadersVerdict | None:
        if not set(series_uids) <= set(marked):
            return None
        source = "; ".join(marked[uid] for uid in series_uids)
        return readers_verdict(reads[reads["series_uid"].isin(series_uids)], source, rule)

    return of_patient


def _malignancy_rule(origin: Mapping[str, Any]) -> MalignancyRule:
    """The rule that labelled the candidates; those of the first version name it and no more."""
    kept = origin["malignancy_rule"]
    settings = {"name": kept} if isinstance(kept, str) else dict(kept)
    settings.pop("version", None)
    return rule_named(**settings)


def _row(diagnosis: Diagnosis) -> dict[str, Any]:
    nodules = diagnosis.rule.nodules(diagnosis.findings)
    known = [f.malignancy_probability for f in nodules if f.malignancy_probability is not None]
    return {
        "patient_id": diagnosis.patient_id,
        "verdict": diagnosis.verdict,
        "num_series": len(diagnosis.series_uids),
        "num_series_not_looked_at": len(diagnosis.not_looked_at),
        "num_nodules": len(nodules),
        "largest_diameter_mm": max((f.diameter_mm for f in nodules), default=0.0),
        "highest_malignancy_probability": max(known, default=float("nan")),
        "noisy_or_probability": _noisy_or(diagnosis),
        "readers_verdict": "" if diagnosis.readers is None else diagnosis.readers.verdict,
    }


def _noisy_or(diagnosis: Diagnosis) -> float:
    """The probability of noisy-or; NaN where a malignancy is not known."""
    for one in diagnosis.verdicts:
        if isinstance(one.rule, NoisyOr) and one.chance and one.chance.low == one.chance.high:
            return one.chance.low
    return float("nan")
