# SPDX-License-Identifier: Apache-2.0
"""Step 1 over one LUNA subset: the table of its candidates, from the csv files below ``raw``.

Belongs here: which files are read and where the table goes. Does not belong here: what a candidate
is. The annotation files are the whole set's; the table, and so its fingerprint, is the subset's
alone: a new subset leaves the others' tables as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.candidates import CandidateTable, build_candidates
from lung_pipeline.annotations.lidc_nodules import BY_SLICE
from lung_pipeline.annotations.lidc_subset import READS
from lung_pipeline.annotations.malignancy import NO_CONTOURS
from lung_pipeline.annotations.pixel_frame import GridFrame, has_readers_pixels
from lung_pipeline.annotations.ratings import gather_ratings
from lung_pipeline.annotations.rules import MalignancyRule, TwoOfReaders
from lung_pipeline.annotations.splits import Split
from lung_pipeline.ct.store import open_volume
from lung_pipeline.ct.subset import VOLUMES, series_with_volume
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table, write_table

CANDIDATES, SERIES = "candidates", "series"
"""The two tables of a subset: its candidates, and each of its series with patient and part."""

_DEFAULT_RULE = TwoOfReaders()

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def make_candidates(
    home: Home, subset: str, split: Split, rule: MalignancyRule = _DEFAULT_RULE
) -> tuple[CandidateTable, str]:
    """Build and write the candidates of a subset; returns them with their fingerprint.

    The readers' marks, ratings, excluded findings and patients are used where they are there.

    Raises:
        AnnotationError: annotations.csv or the candidates are absent or cannot be understood.
    """
    raw, series_uids = home.raw, series_with_volume(home, subset)
    annotations = luna.read_annotations(raw / luna.ANNOTATIONS_FILE)
    patients = _if_there(raw / luna.PATIENTS_FILE, luna.read_patients)
    rated = _rated(home, subset, annotations)
    made = build_candidates(
        subset=subset,
        series_uids=series_uids,
        annotations=annotations,
        candidates=luna.read_candidates(luna.candidates_file(raw)),
        excluded=_if_there(raw / luna.EXCLUDED_FILE, luna.read_excluded),
        ratings=rated,
        patients=patients,
        split=split,
        rule=rule,
        subsets_of_patient=_subsets_of_patients(home, patients),
    )
    # Of a file as a converter left it: its pixels are not the readers', only its slices are.
    by_slice = int((rated["matched_by"] == BY_SLICE).sum())
    made = replace(made, counts={**made.counts, "nodules_matched_by_slice": by_slice})
    origin = {
        "stage": CANDIDATES,
        "split": split.as_json(),
        "malignancy_rule": rule.as_json(),
        "lidc_reads": _fingerprint_of(home.manifest(READS, subset)),
    }
    write_table(made.series, home.manifest(SERIES, subset), origin)
    return made, write_table(made.table, home.manifest(CANDIDATES, subset), origin)


def read_candidates_of(home: Home, subsets: Sequence[str]) -> pd.DataFrame:
    """The candidates of some subsets in one table; ``StoreError`` where one is missing."""
    return _read_all(home, CANDIDATES, subsets)


def read_series_of(home: Home, subsets: Sequence[str]) -> pd.DataFrame:
    """Every series of some subsets: subset, series_uid, patient_id, part."""
    return _read_all(home, SERIES, subsets)


def nodules_without_marks(home: Home, subset: str) -> list[str]:
    """The annotated nodules of series the readers marked that fit no mark, a line each."""
    table = read_table(home.manifest(CANDIDATES, subset))
    reads = read_table(home.manifest(READS, subset), ["series_uid"])
    lost = table[table["is_nodule"] & (table["lidc_nodule"] == NO_CONTOURS)]
    lost = lost[lost["series_uid"].isin(reads["series_uid"])]
    return [f"{one}: no reader's mark within its radius" for one in lost["candidate_id"]]


def candidates_fingerprint(home: Home, subsets: Sequence[str]) -> str:
    """Sixteen hex digits over the candidates of some subsets: what a model learned from."""
    digest = hashlib.sha256()
    for subset in sorted(subsets):
        digest.update(f"{subset}:{_fingerprint_of(home.manifest(CANDIDATES, subset))};".encode())
    return digest.hexdigest()[:16]


def malignancy_rules_of(home: Home, candidates: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """For each subset with a labelled nodule the rule it was labelled by, as its table records it.

    Args:
        home: holds the tables.
        candidates: of some subsets, as ``read_candidates_of`` gives them.
    """
    labelled = candidates.loc[candidates["is_malignant"].notna(), "subset"].astype("str").unique()
    origins = {subset: read_origin(home.manifest(CANDIDATES, subset)) for subset in labelled}
    rules = {s: origin.get("malignancy_rule", "not recorded") for s, origin in origins.items()}
    # Tables of the first version name the rule and no more.
    return {s: {"name": rule} if isinstance(rule, str) else dict(rule) for s, rule in rules.items()}


def _read_all(home: Home, stage: str, subsets: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    tables = [read_table(home.manifest(stage, subset)).assign(subset=subset) for subset in subsets]
    return pd.concat(tables, ignore_index=True)


def _if_there(path: Path, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame | None:
    return read(path) if path.is_file() else None


def _rated(home: Home, subset: str, annotations: pd.DataFrame) -> pd.DataFrame:
    """The annotations of a subset's scans with their ratings."""
    series_uids = series_with_volume(home, subset)
    of_subset = annotations[annotations["series_uid"].isin(series_uids)]
    reads = read_table(home.manifest(READS, subset))
    grids = {
        series_uid: open_volume(home.volume(subset, series_uid)).original_grid
        for series_uid in sorted(set(reads["series_uid"]))
    }
    frames = {uid: GridFrame(grid) for uid, grid in grids.items() if has_readers_pixels(grid)}
    from_csv = _if_there(home.raw / luna.RATINGS_FILE, luna.read_ratings)
    return gather_ratings(of_subset, reads, frames, from_csv)


def _subsets_of_patients(home: Home, patients: pd.DataFrame | None) -> dict[str, set[str]]:
    """For each patient the subsets of the home in which he has a volume."""
    known = {} if patients is None else dict(patients[["series_uid", "patient_id"]].to_numpy())
    subsets: dict[str, set[str]] = {}
    for subset in home.subsets_on_disk():
        if home.manifest(VOLUMES, subset).is_file():
            for series_uid in series_with_volume(home, subset):
                subsets.setdefault(known.get(series_uid, series_uid), set()).add(subset)
    return subsets


def _fingerprint_of(path: Path) -> str:
    return fingerprint(read_table(path), read_origin(path))
