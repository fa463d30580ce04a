# SPDX-License-Identifier: Apache-2.0
"""The threshold comes from the validation part and the figures from another; worked by hand.

Two series a part. Validation, two nodules: hits at 0.9 and 0.7, false positives at 0.8, 0.6, 0.5.

    from    sensitivity   false positives a scan
    0.9     1/2           0
    0.8     1/2           1/2
    0.7     1             1/2

Test, five nodules: hits at 0.95, 0.75, 0.7 and 0.65, one missed; false positives at 0.72 and 0.3.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.operating_point.targets import MaxFalsePositives
from lung_pipeline.evaluation.scorecard import Scorecard
from lung_pipeline.evaluation.scoring import choose_thresholds, score
from lung_pipeline.evaluation.split_certificate import SplitCertificate
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate

MODELS = {"segmentation": "s v1", "nodule": "n v1", "malignancy": "m v1"}
SPLIT = SplitCertificate({"seed": 20}, {"train": 0, "validation": 2, "test": 2}, 0)


def _series() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subset": "subset0",
            "series_uid": ["v1", "v2", "t1", "t2"],
            "patient_id": ["V", "V", "T1", "T2"],
            "part": ["validation", "validation", "test", "test"],
        }
    )


def _nodules() -> pd.DataFrame:
    rows = [
        ("v1", 0.0, 10.0, None),
        ("v2", 0.0, 10.0, None),
        ("t1", 0.0, 10.0, True),  # found at 0.75
        ("t1", 100.0, 8.0, None),  # found at 0.95, never rated
        ("t2", 0.0, 20.0, False),  # found at 0.7
        ("t2", 100.0, 30.0, True),  # found at 0.65
        ("t2", 200.0, 30.0, True),  # missed
    ]
    table = pd.DataFrame(rows, columns=["series_uid", "x_mm", "diameter_mm", "is_malignant"])
    patients = table["series_uid"].map(_series().set_index("series_uid")["patient_id"])
    labels = table["is_malignant"].astype("boolean")
    return table.assign(y_mm=0.0, z_mm=0.0, is_malignant=labels, patient_id=patients)


def _findings() -> pd.DataFrame:
    rows = [
        ("t2", 100.0, 0.65, 0.1),
        ("v1", 0.0, 0.9, 0.5),
        ("v1", 50.0, 0.8, 0.5),
        ("v2", 0.0, 0.7, 0.5),
        ("v2", 50.0, 0.6, 0.5),
        ("v2", 60.0, 0.5, 0.5),
        ("t1", 100.0, 0.95, 0.5),
        ("t1", 1.0, 0.75, 0.9),
        ("t1", 2.0, 0.4, 0.0),  # a second finding on the same nodule
        ("t2", 0.0, 0.7, 0.2),
        ("t2", 50.0, 0.72, 0.5),
        ("t2", 60.0, 0.3, 0.5),
    ]
    columns = ["series_uid", "x_mm", "score", "malignancy_probability"]
    return pd.DataFrame(rows, columns=columns).assign(y_mm=0.0, z_mm=0.0)


def _evaluation(**changed: object) -> Evaluation:
    plain = Evaluation(("subset0",), _series(), _nodules(), _findings(), None, MODELS)
    return replace(plain, **changed)  # type: ignore[arg-type]


def _card(evaluation: Evaluation, part: str = "test", max_fp_per_scan: float = 0.5) -> Scorecard:
    card, _ = score(
        evaluation,
        SPLIT,
        name="a name",
        provenance={"code": "abc"},
        made_at="2026-01-02T03:04:05Z",
        part=part,
        target=MaxFalsePositives(max_fp_per_scan),
    )
    return card


@pytest.mark.parametrize(("max_fp_per_scan", "threshold"), [(0.4, 0.9), (0.5, 0.7), (8.0, 0.5)])
def test_threshold_is_the_loosest_within_the_allowed_false_positives(
    max_fp_per_scan: float, threshold: float
) -> None:
    chosen = choose_thresholds(
        _evaluation().of_part("validation"), MaxFalsePositives(max_fp_per_scan)
    )
    assert chosen.nodule == threshold
    assert f"at most {max_fp_per_scan:g} false positives a scan" in chosen.how
    assert "on 2 series of the validation part" in chosen.how


def test_figures_are_those_of_the_test_part_at_the_threshold_of_validation() -> None:
    card = _card(_evaluation())
    assert card.detection.threshold == 0.7
    assert card.detection.sensitivity == pytest.approx(3 / 5)
    assert card.detection.fp_per_scan == pytest.approx(1 / 2)
    assert "validation part" in card.detection.how_chosen
    assert card.detection.counts == {
        "hits": 4,
        "missed": 1,
        "on_excluded": 0,
        "double_hits": 1,
        "false_positives": 2,
        "silent_series": 0,
    }
    assert (card.data.num_series, card.data.num_patients, card.data.num_nodules) == (2, 2, 5)
    assert (card.data.part, card.data.subsets) == ("test", ("subset0",))
    assert card.models == MODELS
    assert card.split == SPLIT


def test_test_part_has_no_say_in_the_threshold() -> None:
    findings = _findings()
    in_test = findings["series_uid"].isin(["t1", "t2"])
    silent = _card(_evaluation(findings=findings[~in_test]))
    assert silent.detection.threshold == 0.7
    assert silent.detection.sensitivity == 0
    assert silent.detection.counts["silent_series"] == 2


def test_validation_part_may_be_scored_too() -> None:
    card = _card(_evaluation(), part="validation")
    assert (card.detection.sensitivity, card.detection.fp_per_scan) == (1.0, 0.5)
    assert card.data.num_patients == 1


def test_malignancy_counts_rated_nodules_found_at_the_threshold_alone() -> None:
    evaluation = _evaluation().of_part("test")
    ranked = evaluation.ranked_hits(evaluation.matched(), threshold=0.7)
    assert ranked.is_malignant.tolist() == [True, False]
    assert ranked.diameter_mm.tolist() == [10.0, 20.0]
    assert ranked.patient_ids.tolist() == ["T1", "T2"]
    # Of two findings on one nodule the surer one speaks.
    assert ranked.probability is not None
    assert ranked.probability.tolist() == [0.9, 0.2]
    lower = evaluation.ranked_hits(evaluation.matched(), threshold=0.65)
    assert lower.is_malignant.tolist() == [True, False, True]
    assert lower.probability is not None
    assert lower.probability.tolist() == [0.9, 0.2, 0.1]


def test_scorecard_ranks_malignancy_beside_the_diameter() -> None:
    malignancy = _card(_evaluation()).malignancy
    assert (malignancy.num_malignant, malignancy.num_benign) == (1, 1)
    # The model puts the malignant one first; the diameter puts it last.
    assert (malignancy.auc, malignancy.auc_of_diameter) == (1.0, 0.0)
    assert malignancy.auc_difference == Estimate(1.0, None, None)


def test_scorecard_ranks_nodules_of_6_to_20_mm_apart() -> None:
    findings = _findings()
    findings.loc[0, "score"] = 0.99  # so that the malignant one of 30 mm is found too
    card = _card(_evaluation(findings=findings))
    mid_sized = card.malignancy_6_to_20_mm
    assert mid_sized is not None
    assert (mid_sized.num_malignant, mid_sized.num_benign, mid_sized.num_patients) == (1, 1, 2)
    assert (mid_sized.auc, mid_sized.auc_of_diameter) == (1.0, 0.0)
    assert card.malignancy.num_malignant == 2
    assert (card.malignancy.auc, card.malignancy.auc_of_diameter) == (0.5, 0.5)


def test_without_a_malignancy_model_only_the_diameter_is_ranked() -> None:
    models = {step: name for step, name in MODELS.items() if step != "malignancy"}
    findings = _findings().assign(malignancy_probability=np.nan)
    malignancy = _card(_evaluation(models=models, findings=findings)).malignancy
    assert (malignancy.auc, malignancy.auc_of_diameter) == (None, 0.0)
    assert malignancy.auc_difference == NOT_MEASURED


def test_validation_part_without_nodules_leaves_the_even_threshold() -> None:
    nodules = _nodules()
    in_test = nodules["series_uid"].isin(["t1", "t2"])
    card = _card(_evaluation(nodules=nodules[in_test].reset_index(drop=True)))
    assert card.detection.threshold == 0.5
    assert "no nodule, or nothing found, to decide by" in card.detection.how_chosen
    assert card.detection.sensitivity == pytest.approx(4 / 5)


def test_validation_part_whose_nodules_were_all_missed_leaves_the_strictest_threshold() -> None:
    findings = _findings()
    chosen = choose_thresholds(
        _evaluation(findings=findings[findings["x_mm"] == 50.0]).of_part("validation"),
        MaxFalsePositives(0.0),
    )
    # Nothing found is on a nodule; the strictest threshold that finds anything is nearest.
    assert chosen.nodule == 0.8
    assert "it cannot be met" in chosen.how


def test_part_without_nodules_has_false_positives_and_no_sensitivity() -> None:
    nodules = _nodules()
    in_validation = nodules["series_uid"].isin(["v1", "v2"])
    card = _card(_evaluation(nodules=nodules[in_validation]))
    assert card.detection.sensitivity is None
    assert card.detection.cpm is None
    assert card.detection.fp_per_scan == pytest.approx(4 / 2)
    assert (card.malignancy.auc, card.malignancy.num_malignant) == (None, 0)


def test_excluded_mark_takes_a_false_positive_out_of_both_parts() -> None:
    place = {"x_mm": 50.0, "y_mm": 0.0, "z_mm": 0.0, "diameter_mm": -1.0}
    excluded = pd.DataFrame([{"series_uid": uid, **place} for uid in ("v1", "t2", "elsewhere")])
    card = _card(_evaluation(excluded=excluded), max_fp_per_scan=0.0)
    # Without the false positive at 0.8 the hit at 0.7 costs nothing.
    assert card.detection.threshold == 0.7
    assert card.detection.fp_per_scan == 0
    assert card.detection.counts["on_excluded"] == 1


def test_part_without_patients_is_refused_in_words() -> None:
    with pytest.raises(SettingError, match=r"part 'train' of subset0.*must have patients"):
        _card(_evaluation(), part="train")


def test_readers_are_held_against_the_diagnoses_of_all_parts() -> None:
    nodules = _nodules()
    of_series = _series().set_index("series_uid")["patient_id"]
    rated = nodules.assign(
        patient_id=nodules["series_uid"].map(of_series),
        ratings=nodules["is_malignant"].map({True: "5,5", False: "1"}).fillna("").astype("str"),
    )
    rated.loc[0, ["ratings", "is_malignant"]] = ["1,2", False]
    diagnoses = pd.DataFrame({"patient_id": ["V", "T1", "T2"], "diagnosis": [2, 3, 1]})
    rule = {"name": "two-of-readers"}
    evaluation = _evaluation(nodules=rated, diagnoses=diagnoses, malignancy_rule=rule)

    readers = _card(evaluation, part="test").readers

    assert readers is not None
    assert readers.rule == rule
    assert readers.num_compared == readers.num_patients == 3
    # V is of the validation part; T1 is called malignant, T2 too.
    assert (readers.num_malignant_called_malignant, readers.num_malignant_called_benign) == (1, 1)
    assert (readers.num_benign_called_malignant, readers.num_benign_called_benign) == (1, 0)
    assert readers == _card(evaluation, part="validation").readers


def test_without_diagnoses_the_readers_are_not_judged() -> None:
    assert _card(_evaluation()).readers is None
