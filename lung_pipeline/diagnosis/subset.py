# SPDX-License-Identifier: Apache-2.0
"""Step 5 over one LUNA subset: findings of each series, then a verdict for each patient.

Belongs here: which series, and the two tables. Does not belong here: the steps of a diagnosis
(``pipeline.py``) and the rule (``patient.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.subset import CANDIDATES, SERIES, read_series_of
from lung_pipeline.ct.store import open_volume
from lung_pipeline.ct.subset import VOLUMES, series_with_volume
from lung_pipeline.diagnosis.findings import COLUMNS, Finding, findings_table
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.diagnosis.pipeline import find_nodules
from lung_pipeline.diagnosis.surroundings import surroundings_table
from lung_pipeline.diagnosis.trace import AnnotatedNodule, trace_table
from lung_pipeline.diagnosis.tracing import TracedSeries, find_and_trace
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table

if TYPE_CHECKING:
    import pandas as pd


def find_in_series(home: Home, subset: str, series_uid: str, models: Models) -> list[Finding]:
    """The findings of one stored series."""
    volume = open_volume(home.volume(subset, series_uid))
    return find_nodules(volume.read_all(), volume.grid, volume.original_grid, series_uid, models)


def trace_in_series(
    home: Home, subset: str, series_uid: str, models: Models, nodules: Sequence[AnnotatedNodule]
) -> TracedSeries:
    """The findings of one stored series with the ways of its annotated nodules."""
    volume = open_volume(home.volume(subset, series_uid))
    return find_and_trace(
        volume.read_all(), volume.grid, volume.original_grid, series_uid, models, nodules
    )


def find_in_subset(
    home: Home,
    subset: str,
    models: Models,
    named: Mapping[str, str],
    on_series: Callable[[str], None] = lambda series_uid: None,
) -> tuple[pd.DataFrame, str]:
    """Find nodules in all series of a subset; returns the table and its fingerprint.

    Where the subset has candidates, two tables are written beside it: the way of each annotated
    nodule, and what lies around each finding.

    Args:
        home: where the volumes are.
        subset: which.
        models: one for each step.
        named: for each step how its model is named beside a result; kept as the table's origin.
        on_series: told each series as it begins.
    """
    nodules = annotated_nodules(home, subset)
    findings: list[Finding] = []
    traces: list[TracedSeries] = []
    for series_uid in series_with_volume(home, subset):
        on_series(series_uid)
        if nodules is None:
            findings += find_in_series(home, subset, series_uid, models)
            continue
        known = nodules.get(series_uid, [])
        traces.append(trace_in_series(home, subset, series_uid, models, known))
        findings += traces[-1].findings
    table = findings_table(findings)
    origin = {"stage": "findings", "models": dict(named)}
    for former in (home.trace(subset), home.surroundings(subset)):
        # Findings may stand without a trace, never beside that of others.
        former.unlink(missing_ok=True)
    fingerprint = write_table(table, home.findings(subset), origin)
    if nodules is not None:
        _write_traces(home, subset, traces, origin)
    return table, fingerprint


def _write_traces(
    home: Home, subset: str, traces: Sequence[TracedSeries], origin: Mapping[str, Any]
) -> None:
    ways = [way for one in traces for way in one.nodules]
    findings = [finding for one in traces for finding in one.findings]
    shares = [share for one in traces for share in one.tissue_shares.tolist()]
    write_table(trace_table(ways), home.trace(subset), origin)
    write_table(surroundings_table(findings, shares), home.surroundings(subset), origin)


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


def diagnose_subset(home: Home, subset: str, rule: Rule) -> tuple[list[Diagnosis], str]:
    """A verdict for each patient of a subset, from its findings; also written as a table.

    A patient with series in two subsets gets a verdict in each, on the series that lie there.

    Raises:
        StoreError: no findings yet, or candidates made of other volumes than there are now.
    """
    import pandas as pd

    findings = findings_of(read_table(home.findings(subset)))
    sources = _sources(home, subset)
    models = models_of_findings(home, subset)
    diagnoses = []
    for patient_id, series_uids in _series_of_patients(home, subset).items():
        of_patient = tuple(f for f in findings if f.series_uid in series_uids)
        diagnosis = Diagnosis(
            patient_id=patient_id,
            series_uids=tuple(series_uids),
            verdict=rule.verdict(of_patient),
            rule=rule,
            findings=of_patient,
            models=models,
            inputs_sha256={uid: sources[uid] for uid in series_uids},
        )
        diagnoses.append(diagnosis)
    table = pd.DataFrame([_row(diagnosis) for diagnosis in diagnoses])
    origin = {"stage": "diagnoses", "rule": rule.in_words(), "models": models}
    return diagnoses, write_table(table, home.diagnoses(subset), origin)


def findings_of(table: pd.DataFrame) -> list[Finding]:
    """The rows of a findings table as findings; an unknown malignancy is None again."""
    known = table[list(COLUMNS)].astype(object)
    rows: list[Any] = known.where(known.notna(), None).to_dict(orient="records")
    return [Finding(**row) for row in rows]


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


def _row(diagnosis: Diagnosis) -> dict[str, Any]:
    nodules = diagnosis.rule.nodules(diagnosis.findings)
    known = [f.malignancy_probability for f in nodules if f.malignancy_probability is not None]
    return {
        "patient_id": diagnosis.patient_id,
        "verdict": diagnosis.verdict,
        "num_series": len(diagnosis.series_uids),
        "num_nodules": len(nodules),
        "largest_diameter_mm": max((f.diameter_mm for f in nodules), default=0.0),
        "highest_malignancy_probability": max(known, default=float("nan")),
    }
