# SPDX-License-Identifier: Apache-2.0
"""Systems of a stated skill on phantoms: the truth is planned, findings are drawn beside it.

Each nodule and each look-alike is as hard for all systems: the skill of a system is added to it, so
that two of almost equal skill differ by their own small noise alone, as two trainings do.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from lung_pipeline.evaluation.comparison.systems import System
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.phantom.plan import plan_scan
from lung_pipeline.phantom.ratings import is_malignant
from lung_pipeline.phantom.tables import centres_xyz_mm, malignancies

NUM_SCANS = 60
LOOK_ALIKES_A_SCAN = 6


@cache
def phantom_truth(num_scans: int = NUM_SCANS) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Series, nodules and look-alikes of small phantoms, all of the validation part."""
    series, nodules, others = [], [], []
    for scan in range(num_scans):
        plan = plan_scan(7, 0, scan, "small")
        whose = {"series_uid": plan.series_uid, "patient_id": plan.patient.patient_id}
        of_series = {"subset": "subset0", **whose, "part": "validation"}
        series.append(of_series)
        for number, (centre, given) in enumerate(
            zip(centres_xyz_mm(plan), malignancies(plan), strict=True)
        ):
            mark = {
                "candidate_id": f"{plan.series_uid}:{number}",
                "diameter_mm": plan.patient.nodules[number].diameter_mm,
                "is_malignant": is_malignant(given) if given else None,
                "ratings": ",".join(map(str, given)),
            }
            nodules.append({**of_series, **_place(centre), **mark})
        shown = plan.to_patient_space(plan.patient.look_alikes_xyz_mm[:LOOK_ALIKES_A_SCAN])
        others += [{"series_uid": plan.series_uid, **_place(point)} for point in shown]
    table = pd.DataFrame(nodules)
    table["is_malignant"] = table["is_malignant"].astype("boolean")
    return pd.DataFrame(series), table, pd.DataFrame(others)


def phantom_system(
    name: str,
    *,
    skill: float = 1.0,
    judgement: float = 1.5,
    seed: int = 0,
    noise: float = 0.1,
    threshold: float = 0.5,
    num_scans: int = NUM_SCANS,
    steps: tuple[str, ...] = ("segmentation", "nodule", "malignancy"),
) -> System:
    """What a system finds.

    Args:
        name: what its scorecard is called, and its models.
        skill: how far nodules stand out from look-alikes, in standard deviations of both.
        judgement: how far malignant nodules stand out from benign ones.
        seed: of the system's own noise.
        noise: the standard deviation of that noise.
        threshold: its operating point.
        num_scans: over how many phantoms.
        steps: which models it has.
    """
    series, nodules, others = phantom_truth(num_scans)
    shared, own = np.random.default_rng(1), np.random.default_rng((2, seed))
    places = pd.concat([nodules, others])[["series_uid", "x_mm", "y_mm", "z_mm"]]
    is_nodule = np.arange(len(places)) < len(nodules)
    hard, own_noise = shared.normal(size=len(places)), noise * own.normal(size=len(places))
    ill = np.zeros(len(places))
    ill[: len(nodules)] = nodules["is_malignant"].fillna(value=False).to_numpy(dtype=float)
    judged = (
        shared.normal(size=len(places)) + judgement * ill + noise * own.normal(size=len(places))
    )
    findings = places.assign(
        score=_sigmoid(hard + own_noise + skill * is_nodule - 0.5),
        malignancy_probability=_sigmoid(judged) if "malignancy" in steps else np.nan,
    ).reset_index(drop=True)
    models = {step: f"lung-{step} {name} (abc)" for step in steps}
    evaluation = Evaluation(("subset0",), series, nodules, findings, None, models)
    return System(name, "validation", threshold, evaluation)


def _place(point: np.ndarray) -> dict[str, float]:
    return dict(zip(("x_mm", "y_mm", "z_mm"), map(float, point), strict=True))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))
