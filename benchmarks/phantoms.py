# SPDX-License-Identifier: Apache-2.0
"""The three models on phantoms, trained with a profile and judged on patients they never saw.

    .venv/bin/python benchmarks/phantoms.py --seeds 906 907 908 [--profile laptop] [--home FOLDER]

For each seed a LUNA16 folder of 500 phantom scans is made and goes through the same jobs as real
scans do (ingest, train). Its models are judged on 280 scans of another seed, of patients that no
training and no choice of settings has seen: how many nodules of 5 mm and more have a candidate of
the segmentation within their radius (LUNA16's rule), how many candidates a scan there are before
classification, how well the nodule model ranks nodules above candidates on forks of vessels, and
the malignancy model malignant above benign nodules, beside the diameter alone. The settings were
chosen on the seeds 4, 101, 102, 903, 904, 905 and 1102.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lung_pipeline.annotations.subset import read_candidates_of, read_series_of
from lung_pipeline.classification.inference import classify_rows
from lung_pipeline.crops.store import open_crops
from lung_pipeline.ct.spacings import read_spacings_of
from lung_pipeline.diagnosis.findings import findings_table
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.stored_series import look_at
from lung_pipeline.evaluation.detection.matching import match
from lung_pipeline.home import Home
from lung_pipeline.learning.ranking import auc_by_bootstrap, auc_difference, roc_auc
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.orchestration.profiles import PROFILES
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.phantom.plan import plan_scan
from lung_pipeline.tracking.models import models_by_alias
from lung_pipeline.tracking.names import CHALLENGER

LEARNED_SUBSETS, JUDGED_SUBSETS, SCANS_PER_SUBSET = 25, 14, 20
JUDGED_SEEDS = 1_000_000
"""Added to a seed for the phantoms its models are judged on."""

LARGE_MM = 5.0
ON_VESSEL_MM = 2.0
"""A candidate so near a fork of the vessel tree lies on it: forks are where vessels look round."""


@dataclass(frozen=True)
class Truth:
    """What there is to be found in a phantom folder."""

    series: pd.DataFrame
    nodules: pd.DataFrame


def make(home: Home, seed: int, num_subsets: int) -> float:
    """Phantoms, volumes, tables and crops, where they are not there; the seconds it took."""
    started = time.perf_counter()
    if all(home.crops(f"subset{number}").is_dir() for number in range(num_subsets)):
        return 0.0
    write_luna_folder(
        home.raw, num_subsets=num_subsets, scans_per_subset=SCANS_PER_SUBSET, seed=seed
    )
    with open_instance(home) as instance:
        sync_subsets(home, instance)
        for subset in home.subsets_on_disk():
            run_job(home, instance, "ingest", partition=subset)
    return time.perf_counter() - started


def train(home: Home, profile: str) -> float:
    """The three models; the seconds it took."""
    started = time.perf_counter()
    with open_instance(home) as instance:
        run_job(home, instance, "train", config=PROFILES[profile])
    return time.perf_counter() - started


def truth_of(home: Home) -> Truth:
    """All series and nodules, whatever their part: no model saw any of them."""
    subsets = home.subsets_on_disk()
    table = read_candidates_of(home, subsets)
    return Truth(read_series_of(home, subsets), table[table["is_nodule"]].reset_index(drop=True))


def of_segmentation(home: Home, truth: Truth, models: Models) -> dict[str, Any]:
    """What the segmentation found, and how much it marked, before any classification."""
    findings = [
        finding
        for row in truth.series.itertuples()
        for finding in look_at(home, str(row.subset), str(row.series_uid), models).findings
    ]
    table = findings_table(findings).assign(score=lambda found: found["nodule_probability"])
    matches = match(table, truth.nodules, series_uids=truth.series["series_uid"].tolist())
    is_large = truth.nodules["diameter_mm"].to_numpy() >= LARGE_MM
    is_found = matches.nodule_finding >= 0
    return {
        "nodules >= 5 mm": int(is_large.sum()),
        "found": int((is_found & is_large).sum()),
        "found, share": float(is_found[is_large].mean()),
        "candidates a scan": len(findings) / len(truth.series),
        "all nodules found, share": float(is_found.mean()),
    }


def of_classifiers(home: Home, seed: int, models: Models) -> dict[str, Any]:
    """How the nodule and the malignancy model rank crops of the test part."""
    crops = open_crops([home.crops(subset) for subset in home.subsets_on_disk()])
    test = crops.index
    is_nodule = test["is_nodule"].to_numpy(dtype=bool)
    probability = classify_rows(models.nodule, crops, np.arange(len(test)))
    ranked = is_nodule | on_vessels(test, seed)
    is_rated = is_nodule & test["is_malignant"].notna().to_numpy()
    patients, diameter_mm = (test[name].to_numpy() for name in ("patient_id", "diameter_mm"))
    is_malignant = test["is_malignant"].fillna(value=False).to_numpy(dtype=bool)[is_rated]
    spacings = read_spacings_of(home, home.subsets_on_disk(), test["series_uid"].tolist())
    malignancy = classify_rows(models.malignancy, crops, np.flatnonzero(is_rated), spacings)
    ruler, owners = diameter_mm[is_rated], patients[is_rated]
    against = {"is_positive": is_nodule[ranked], "scores": probability[ranked]}
    nodule = auc_by_bootstrap(**against, patient_ids=patients[ranked], rng=np.random.default_rng(0))
    difference = auc_difference(is_malignant, malignancy, ruler, owners, np.random.default_rng(0))
    return {
        "candidates on vessels": int((ranked & ~is_nodule).sum()),
        "nodule AUC against them": nodule,
        "nodule AUC against all": roc_auc(is_nodule, probability),
        "malignant, benign": (int(is_malignant.sum()), int((~is_malignant).sum())),
        "malignancy AUC": roc_auc(is_malignant, malignancy),
        "diameter AUC": roc_auc(is_malignant, ruler),
        "difference": difference,
    }


def on_vessels(test: pd.DataFrame, seed: int) -> np.ndarray:
    """Which candidates are no nodule and lie on a fork of a vessel, by the phantom's plan."""
    is_on = np.zeros(len(test), dtype=bool)
    for series_uid, rows in test[~test["is_nodule"]].groupby("series_uid"):
        subset, scan = (int(part) for part in str(series_uid).split(".")[-2:])
        plan = plan_scan(seed, subset, scan, "small")
        forks = plan.to_patient_space(plan.patient.vessels.forks_xyz_mm)
        apart = rows[["x_mm", "y_mm", "z_mm"]].to_numpy()[:, None] - forks[None]
        is_on[rows.index] = np.linalg.norm(apart, axis=2).min(axis=1) < ON_VESSEL_MM
    return is_on


def judged(root: Path, seed: int, profile: str) -> Mapping[str, Any]:
    """All figures of one seed."""
    learned, unseen = Home(root / f"{seed}"), Home(root / f"{seed}-judged")
    preparing_s = make(learned, seed, LEARNED_SUBSETS)
    make(unseen, JUDGED_SEEDS + seed, JUDGED_SUBSETS)
    training_s = train(learned, profile)
    named = models_by_alias(learned, CHALLENGER)
    truth = truth_of(unseen)
    started = time.perf_counter()
    figures = of_segmentation(unseen, truth, named.models)
    finding_s = (time.perf_counter() - started) / len(truth.series)
    return {
        "seed": seed,
        "series judged": len(truth.series),
        **figures,
        **of_classifiers(unseen, JUDGED_SEEDS + seed, named.models),
        "minutes of preparing": preparing_s / 60,
        "minutes of training": training_s / 60,
        "seconds a scan": finding_s,
    }


def shown(value: Any) -> str:
    """A figure for a table."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if hasattr(value, "low"):
        return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
    return str(value)


def main() -> None:
    """Measure and print a table, a column a seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--profile", choices=PROFILES, default="laptop")
    parser.add_argument("--home", type=Path, help="where to keep what is made")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = asked.home or Path(scratch)
        columns = []
        for seed in asked.seeds:
            columns.append(judged(root, seed, asked.profile))
            print({name: shown(value) for name, value in columns[-1].items()}, flush=True)
        for name in columns[0]:
            print("| " + " | ".join([name, *(shown(column[name]) for column in columns)]) + " |")


if __name__ == "__main__":
    main()
