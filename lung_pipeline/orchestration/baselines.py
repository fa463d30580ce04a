# SPDX-License-Identifier: Apache-2.0
"""The record a set of models is promoted with: gathered, kept below the home, found again.

The file's SHA-256 is a tag of each of the set's versions, so that it cannot be changed or lost
unseen. One set may be promoted twice; the later record counts.

Belongs here: where the parts of the record come from. Does not belong here: the record itself
(``evaluation/nightly/revalidation.py``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.splits import VALIDATION
from lung_pipeline.errors import ModelError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.tracking.sets import ModelSet, key_of
from lung_pipeline.tracking.version_tags import tag, tags_of
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from lung_pipeline.evaluation.nightly.input_profile import ScanProfile
    from lung_pipeline.evaluation.nightly.revalidation import Baseline, TableState
    from lung_pipeline.tracking.registry import ModelVersion

PROMOTION, FIRST_NIGHT, RENEWAL = "promotion", "there was none", "renewed"
"""Why a baseline was made."""

_EXCLUDED_MARKS = "excluded marks"


def keep_baseline(
    home: Home,
    models: ModelSet,
    subsets: Sequence[str],
    max_fp_per_scan: float,
    figures: Mapping[str, float],
    findings_per_scan: float,
    made_by: str = PROMOTION,
) -> Baseline:
    """Keep what a set of models is promoted with; returns it.

    Args:
        home: holds the tables and scans it was scored on.
        models: the set, by step.
        subsets: whose validation part it was scored on.
        max_fp_per_scan: what its operating point was chosen for.
        figures: ``Scorecard.metrics()`` of the validation part.
        findings_per_scan: findings of any probability there, a series.
        made_by: why.

    Raises:
        ModelError: the weights on disk are not those that were registered.
        StoreError: a table or a scan is absent.
    """
    made = observe(home, models, subsets, max_fp_per_scan, figures, findings_per_scan, made_by)
    refuse_changed_weights(models, made.files)
    store_baseline(home, models, made)
    return made


def observe(
    home: Home,
    models: ModelSet,
    subsets: Sequence[str],
    max_fp_per_scan: float,
    figures: Mapping[str, float],
    findings_per_scan: float | None,
    made_by: str,
) -> Baseline:
    """The record of this moment, of whatever lies on disk; nothing is kept."""
    from lung_pipeline.evaluation.nightly.input_profile import profile_of
    from lung_pipeline.evaluation.nightly.revalidation import Baseline
    from lung_pipeline.learning.device import pick_device
    from lung_pipeline.learning.machine import device_in_words, library_versions
    from lung_pipeline.tracking.provenance import code_version

    return Baseline(
        models={step: model.label for step, model in models.items()},
        files={step: hashes_of_files(home, model) for step, model in models.items()},
        subsets=tuple(subsets),
        max_fp_per_scan=max_fp_per_scan,
        tables=_tables(home, subsets),
        inputs=profile_of(_scans(home, subsets)),
        figures=dict(figures),
        findings_per_scan=findings_per_scan,
        libraries={**library_versions(), "lung_pipeline": code_version()},
        computed_on=device_in_words(pick_device()),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=made_by,
    )


def store_baseline(home: Home, models: ModelSet, baseline: Baseline) -> Path:
    """Write a record and hang its hash on each model of the set."""
    key = key_of(models)
    text = json.dumps(baseline.as_json(), indent=2) + "\n"
    with written_whole(home.baseline(key)) as temporary:
        temporary.write_text(text)
    for model in models.values():
        tag(home, model, {_tag(key): hashlib.sha256(text.encode()).hexdigest()})
    return home.baseline(key)


def read_baseline(home: Home, models: ModelSet) -> Baseline | None:
    """What a set was promoted with; None where no record was kept.

    Raises:
        StoreError: a record was kept, and it is gone or another.
    """
    from lung_pipeline.evaluation.nightly.revalidation import Baseline

    key = key_of(models)
    path = home.baseline(key)
    kept = {tags_of(home, model).get(_tag(key), "") for model in models.values()}
    if kept == {""}:
        return None
    text = path.read_bytes() if path.is_file() else b""
    found = hashlib.sha256(text).hexdigest()
    if kept != {found}:
        raise StoreError(
            value=f"the SHA-256 {found[:12]}" if text else "no file",
            place=path,
            rule=f"the baseline must be the one that was kept ({', '.join(sorted(kept))[:12]})",
            cure="Put the file back from a copy, or run `revalidate` with `renew_baseline`.",
        )
    return Baseline.from_json(json.loads(text), str(path))


def hashes_of_files(home: Home, model: ModelVersion) -> dict[str, str]:
    """The SHA-256 of each file of a model's folder, as they lie there now; hidden ones aside."""
    from lung_pipeline.tracking.registry import fetched

    with fetched(home, model.uri) as folder:
        return {
            file.relative_to(folder).as_posix(): _sha256(file)
            for file in sorted(folder.rglob("*"))
            if file.is_file() and not file.name.startswith(".")
        }


def refuse_changed_weights(models: ModelSet, files: Mapping[str, Mapping[str, str]]) -> None:
    """``ModelError`` where the weights on disk are not those that were registered."""
    from lung_pipeline.learning.model_folder import WEIGHTS

    for step, model in models.items():
        found = files[step].get(WEIGHTS, "no file")
        if found != model.weights_sha256:
            raise ModelError(
                value=found[:12],
                place=f"{WEIGHTS} of the {step} model {model.label}",
                rule="the weights on disk must have the hash they were registered with",
                cure="Put the file back from a copy, or promote another set.",
            )


def _tag(key: str) -> str:
    return f"baseline_sha256_{key}"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tables(home: Home, subsets: Sequence[str]) -> dict[str, TableState]:
    """The tables of the validation part: candidates, series and sources of each subset, marks."""
    from lung_pipeline.annotations import luna
    from lung_pipeline.annotations.subset import CANDIDATES, SERIES
    from lung_pipeline.ct.subset import VOLUMES
    from lung_pipeline.tables import read_table

    found = {}
    every_uid: set[str] = set()
    for subset in subsets:
        series = read_table(home.manifest(SERIES, subset))
        candidates = read_table(home.manifest(CANDIDATES, subset))
        volumes = read_table(home.manifest(VOLUMES, subset), ["series_uid", "source_sha256"])
        uids = set(series.loc[series["part"] == VALIDATION, "series_uid"])
        every_uid |= uids
        found[f"{SERIES} of {subset}"] = _state(series, uids)
        found[f"{CANDIDATES} of {subset}"] = _of_part(candidates)
        found[f"{VOLUMES} of {subset}"] = _state(volumes, uids)
    excluded = home.raw / luna.EXCLUDED_FILE
    if excluded.is_file():
        found[_EXCLUDED_MARKS] = _state(luna.read_excluded(excluded), every_uid)
    return found


def _of_part(candidates: pd.DataFrame) -> TableState:
    """By the candidates' own column, so that a row stays counted when its series is gone."""
    return _state(candidates, set(candidates.loc[candidates["part"] == VALIDATION, "series_uid"]))


def _state(table: pd.DataFrame, series_uids: set[Any]) -> TableState:
    from lung_pipeline.evaluation.nightly.revalidation import TableState
    from lung_pipeline.tables import fingerprint

    rows = table[table["series_uid"].isin(series_uids)]
    return TableState(len(rows), fingerprint(rows.reset_index(drop=True), {}))


def _scans(home: Home, subsets: Sequence[str]) -> Iterator[ScanProfile]:
    from lung_pipeline.annotations.subset import read_series_of
    from lung_pipeline.ct.store import open_volume
    from lung_pipeline.evaluation.nightly.input_profile import profile_of_scan

    series = read_series_of(home, subsets)
    for row in series[series["part"] == VALIDATION].itertuples():
        volume = open_volume(home.volume(str(row.subset), str(row.series_uid)))
        yield profile_of_scan(volume.read_all(), volume.grid)
