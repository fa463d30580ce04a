# SPDX-License-Identifier: Apache-2.0
"""One volume from lungs to files: what the command and the web page write of a known chest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ball_scans import GRID, MARKS_FROM_HU, Balls, ball_chest
from dense_networks import dense_models
from lidc_messages import message

from lung_pipeline.ct.lungs import find_lungs
from lung_pipeline.ct.quality import pass_gate
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.examined import Examined
from lung_pipeline.diagnosis.files import write_diagnosis
from lung_pipeline.diagnosis.models import NamedModels
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.diagnosis.scan import diagnose_volume
from lung_pipeline.diagnosis.verdict.operating_point import Judging, OperatingPoint
from lung_pipeline.errors import AnnotationError, SettingError
from lung_pipeline.learning.calibrators import Temperature

NAMES = {"segmentation": "s v1 (aa)", "nodule": "n v1 (bb)", "malignancy": "m v1 (cc)"}
TWO_BALLS: Balls = [((20, 20, 20), 40), ((20, 44, 40), -50)]
"""Nodule probabilities 1 / (1 + exp(-140 / 50)) and 1 / (1 + exp(-1)), malignancies 1 / (1 +
exp(-.8)) and 1 / (1 + exp(1)): .943 and .731, .690 and .269."""

FROZEN = OperatingPoint(0.8, 0.7, {"nodule": Temperature(2.0)}, "frozen for a test")


def _diagnosed(
    balls: Balls, *, frozen: OperatingPoint | None = None, **asked: object
) -> tuple[Diagnosis, Examined]:
    volume = CtVolume("1.2.3.4", ball_chest(GRID, balls).astype(np.int16), GRID, GRID, "feed")
    lungs = find_lungs(volume.voxels_hu, GRID)
    named = NamedModels(dense_models(marks_from_hu=MARKS_FROM_HU), NAMES, frozen)
    return diagnose_volume(volume, lungs, pass_gate(volume, lungs), named, **asked)  # type: ignore[arg-type]


def test_both_verdicts_with_what_they_rest_on() -> None:
    diagnosis, examined = _diagnosed(TWO_BALLS)
    assert (diagnosis.verdict, diagnosis.rule.name) == ("malignant", "any-malignant-nodule")
    assert diagnosis.findings == examined.findings
    assert len(examined.masks) == len(diagnosis.findings) == 2
    weighed = diagnosis.verdicts[1].chance
    assert weighed is not None
    assert weighed.low == pytest.approx(1 - (1 - 0.9427 * 0.6900) * (1 - 0.7311 * 0.2689), abs=1e-3)
    assert diagnosis.models == NAMES
    assert diagnosis.inputs_sha256 == {"1.2.3.4": "feed"}
    assert len(diagnosis.cautions) == 2
    assert set(diagnosis.seconds) >= {"segmenting", "grouping", "classifying"}


def test_frozen_thresholds_count_and_a_persons_own_before_them() -> None:
    frozen, _ = _diagnosed(TWO_BALLS, frozen=FROZEN)
    assert (frozen.verdict, len(frozen.rule.nodules(frozen.findings))) == ("benign", 1)
    assert frozen.thresholds_from == "frozen for a test"
    own, _ = _diagnosed(TWO_BALLS, frozen=FROZEN, judging=Judging(malignancy_threshold=0.6))
    assert own.verdict == "malignant"
    # Odds of 16.4 : 1 become their root, 4.06 : 1.
    calibrated = own.as_json()["findings"][0]["nodule_probability_calibrated"]
    assert calibrated == pytest.approx(np.sqrt(16.44) / (1 + np.sqrt(16.44)), abs=1e-3)


def test_rule_is_chosen_by_name_and_an_empty_chest_has_no_nodule() -> None:
    diagnosis, _ = _diagnosed([], judging=Judging("noisy-or"))
    assert (diagnosis.verdict, diagnosis.rule.name) == ("no nodule", "noisy-or")
    assert diagnosis.findings == ()
    with pytest.raises(SettingError, match="must be one of"):
        Judging("maximum")


def test_readers_verdict_stands_beside_and_marks_of_another_scan_are_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "readers.xml").write_text(message("", ""))
    diagnosis, _ = _diagnosed([], readers=tmp_path / "readers.xml")
    assert diagnosis.readers is not None
    assert diagnosis.readers.verdict == "no nodule"
    (tmp_path / "readers.xml").write_text(message("", series="9.9"))
    with pytest.raises(AnnotationError, match=r"about the series 1\.2\.3\.4, got 9\.9"):
        _diagnosed([], readers=tmp_path / "readers.xml")


def test_files_hold_all_findings_and_the_whole_diagnosis(tmp_path: Path) -> None:
    diagnosis, _ = _diagnosed(TWO_BALLS)
    write_diagnosis(diagnosis, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "diagnosis.json").read_text())
    assert record == json.loads(json.dumps(diagnosis.as_json()))
    assert [one["verdict"] for one in record["verdicts"]] == ["malignant", "malignant"]
    table = pd.read_csv(tmp_path / "out" / "findings.csv")
    assert table["nodule_probability"].tolist() == pytest.approx([0.9427, 0.7311], abs=1e-4)
    assert table["density"].tolist() == [finding.density for finding in diagnosis.findings]
