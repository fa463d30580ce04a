# SPDX-License-Identifier: Apache-2.0
"""A night beside the day of promotion: what can change, and the sentence it is told in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.nightly.drift import Drift, drift
from lung_pipeline.evaluation.nightly.input_profile import InputProfile
from lung_pipeline.evaluation.nightly.night import Night
from lung_pipeline.evaluation.nightly.revalidation import Baseline, TableState, set_key
from lung_pipeline.evaluation.nightly.tolerances import Tolerances

LABEL = "lung-nodule v3 (ababababab)"
SHA_A, SHA_B = "a" * 64, "b" * 64

INPUTS = InputProfile(
    hu_shares=(0.5, 0.3, 0.2, *[0.0] * 17),
    lung_share=0.3,
    num_slices=(100.0, 120.0, 150.0, 200.0, 300.0),
    slice_spacing_mm=(1.0, 1.25, 1.25, 2.0, 2.5),
    pixel_spacing_mm=(0.5, 0.6, 0.7, 0.8, 0.9),
)

BASELINE = Baseline(
    models={"nodule": LABEL},
    files={"nodule": {"model.json": SHA_A, "weights.safetensors": SHA_A}},
    subsets=("subset0",),
    max_fp_per_scan=4.0,
    tables={"candidates of subset0": TableState(412, "0123456789abcdef")},
    inputs=INPUTS,
    figures={"detection/cpm": 0.842, "detection/num_false_positives": 500.0, "readers/kappa": 0.5},
    findings_per_scan=20.0,
    libraries={"torch": "2.13.0", "lung_pipeline": "0a1b2c"},
    computed_on={"device": "cpu", "threads": "2"},
    made_at="2026-11-23T02:00:00+00:00",
    made_by="promotion",
)


def _changed(**fields: Any) -> Baseline:
    return replace(BASELINE, made_at="2026-11-24T02:00:00+00:00", **fields)


def _with_figure(name: str, value: float, **fields: Any) -> Baseline:
    return _changed(figures={**BASELINE.figures, name: value}, **fields)


def _only(tonight: Baseline, baseline: Baseline = BASELINE) -> Drift:
    (found,) = drift(baseline, tonight)
    return found


def test_nothing_changed_is_no_drift() -> None:
    assert drift(BASELINE, _changed()) == ()


def test_changed_weights_name_the_model_and_the_file() -> None:
    files = {"nodule": {"model.json": SHA_A, "weights.safetensors": SHA_B}}
    found = _only(_changed(files=files, figures={}, findings_per_scan=None))
    assert found.sentence == (
        f"The nodule model {LABEL} changed on disk: the file weights.safetensors has the SHA-256 "
        "bbbbbbbbbbbb instead of aaaaaaaaaaaa."
    )
    assert (found.kind, found.what, found.is_failure) == (
        "weights",
        "nodule/weights.safetensors",
        True,
    )


def test_lost_and_added_files_of_a_model_are_told() -> None:
    files = {"nodule": {"model.json": SHA_A, "calibrator.json": SHA_B}}
    told = [one.sentence for one in drift(BASELINE, _changed(files=files))]
    assert told == [
        f"The nodule model {LABEL} has a file it did not have: calibrator.json.",
        f"The nodule model {LABEL} lacks its file weights.safetensors.",
    ]


@pytest.mark.parametrize(
    ("num_rows", "said"),
    [
        (411, "has one row less: 411 instead of 412"),
        (402, "has 10 rows less: 402 instead of 412"),
        (413, "has one row more: 413 instead of 412"),
        (412, "has other values in its 412 rows"),
    ],
)
def test_changed_table_tells_how_many_rows_it_has(num_rows: int, said: str) -> None:
    found = _only(_changed(tables={"candidates of subset0": TableState(num_rows, "f" * 16)}))
    assert found.sentence == f"The validation table candidates of subset0 {said}."
    assert found.is_failure


def test_lost_and_new_tables_are_told() -> None:
    tonight = _changed(tables={"excluded marks": TableState(3, "f" * 16)})
    assert [one.sentence for one in drift(BASELINE, tonight)] == [
        "The validation table candidates of subset0 is gone.",
        "The validation table excluded marks was not there.",
    ]


def test_figure_on_the_same_cpu_may_move_in_its_last_digits_only() -> None:
    assert drift(BASELINE, _with_figure("detection/cpm", 0.842 + 5e-7)) == ()
    found = _only(_with_figure("detection/cpm", 0.841))
    assert found.sentence == "detection/cpm is 0.841 instead of 0.842; it may differ by 1e-06."
    assert (found.was, found.now, found.is_failure) == ("0.842", "0.841", True)


@pytest.mark.parametrize(
    "fields",
    [
        {"computed_on": {"device": "cpu", "threads": "8"}},
        {"libraries": {"torch": "2.14.0", "lung_pipeline": "0a1b2c"}},
    ],
    ids=["another processor", "another library"],
)
def test_elsewhere_a_figure_may_move_by_two_nodules_of_a_hundred(fields: dict[str, Any]) -> None:
    (warning,) = drift(BASELINE, _with_figure("detection/cpm", 0.825, **fields))
    assert not warning.is_failure
    moved, warning = drift(BASELINE, _with_figure("detection/cpm", 0.821, **fields))
    assert moved.sentence == "detection/cpm is 0.821 instead of 0.842; it may differ by 0.02."
    assert (moved.is_failure, warning.is_failure) == (True, False)


def test_another_commit_of_this_package_loosens_nothing_and_is_told_as_the_cause() -> None:
    newer = {"libraries": {"torch": "2.13.0", "lung_pipeline": "ffffff"}}
    (warning,) = drift(BASELINE, _changed(**newer))
    assert not warning.is_failure
    package, moved, warning = drift(BASELINE, _with_figure("detection/cpm", 0.841, **newer))
    assert package.sentence == (
        "This package is ffffff instead of 0a1b2c: where it was meant to change what follows, run "
        "`revalidate` with a reason in `renew_baseline`."
    )
    assert moved.sentence == "detection/cpm is 0.841 instead of 0.842; it may differ by 1e-06."
    assert [one.is_failure for one in (package, moved, warning)] == [True, True, False]


@pytest.mark.parametrize("name", ["detection/threshold", "operating_point/nodule_threshold"])
def test_threshold_is_judged_as_a_share_of_itself(name: str) -> None:
    baseline = replace(BASELINE, figures={name: 3.8e-4})
    elsewhere = {"computed_on": {"device": "cpu", "threads": "8"}}

    def number_of_failures(threshold: float, **fields: Any) -> int:
        found = drift(baseline, _changed(figures={name: threshold}, **fields))
        return sum(one.is_failure for one in found)

    assert number_of_failures(4.5e-4, **elsewhere) == 0
    assert number_of_failures(4.6e-4, **elsewhere) == 1
    assert number_of_failures(3.8e-4 * (1 + 5e-7)) == 0
    assert number_of_failures(3.81e-4) == 1


def test_a_gpu_is_never_held_to_the_last_digits() -> None:
    card = {"device": "cuda", "card": "a card"}
    on_card = replace(BASELINE, computed_on=card)
    tonight = _with_figure("detection/cpm", 0.841, computed_on=card)
    assert drift(on_card, tonight) == ()


def test_counts_are_tolerated_as_shares() -> None:
    elsewhere = {"computed_on": {"device": "cpu", "threads": "8"}}
    name = "detection/num_false_positives"
    assert len(drift(BASELINE, _with_figure(name, 509.0, **elsewhere))) == 1
    assert len(drift(BASELINE, _with_figure(name, 511.0, **elsewhere))) == 2


def test_figure_that_is_gone_is_told_and_a_new_one_is_not() -> None:
    figures = {"detection/cpm": 0.842, "readers/kappa": 0.5, "detection/new": 1.0}
    found = _only(_changed(figures=figures))
    assert found.sentence == (
        "detection/num_false_positives cannot be measured any more; it was 500."
    )


def test_figure_that_became_no_number_is_told() -> None:
    found = _only(_with_figure("detection/cpm", float("nan")))
    assert "detection/cpm is nan instead of 0.842" in found.sentence


@pytest.mark.parametrize("name", ["readers/kappa", "waterfall/found", "false_positives/on_lung"])
def test_what_a_night_does_not_make_is_not_judged(name: str) -> None:
    baseline = replace(BASELINE, figures={**BASELINE.figures, name: 0.5})
    assert drift(baseline, _with_figure(name, 0.1)) == ()
    assert drift(baseline, _changed()) == ()


def test_findings_a_scan_may_differ_by_a_twentieth() -> None:
    assert drift(BASELINE, _changed(findings_per_scan=21.0)) == ()
    found = _only(_changed(findings_per_scan=18.9))
    assert found.sentence == (
        "There are 18.90 findings a scan instead of 20.00; they may differ by 5.0%."
    )


def test_findings_where_there_were_none_are_told() -> None:
    found = _only(_changed(findings_per_scan=0.5), replace(BASELINE, findings_per_scan=0.0))
    assert found.kind == "findings"


def test_moved_histogram_is_told_as_a_share_of_voxels() -> None:
    shares = (0.49, 0.31, 0.2, *[0.0] * 17)
    found = _only(_changed(inputs=replace(INPUTS, hu_shares=shares)))
    assert found.sentence == (
        "1.000% of the voxels of the validation scans lie in another bin of the HU histogram; "
        "0.100% may."
    )
    assert found.kind == "input"


def test_less_lung_is_told() -> None:
    found = _only(_changed(inputs=replace(INPUTS, lung_share=0.25)))
    assert found.sentence.startswith("25.000% of the voxels of the validation scans look like lung")


def test_spacing_and_slices_are_told_by_quantile() -> None:
    inputs = replace(
        INPUTS,
        num_slices=(100.0, 120.0, 140.0, 200.0, 300.0),
        slice_spacing_mm=(1.0, 1.25, 1.25, 2.0, 5.0),
    )
    assert [one.sentence for one in drift(BASELINE, _changed(inputs=inputs))] == [
        "The median num_slices of the validation scans is 140 instead of 150; they may differ by "
        "0.1%.",
        "The greatest slice_spacing_mm of the validation scans is 5 instead of 2.5; they may "
        "differ by 0.1%.",
    ]


def test_changed_library_and_device_only_warn() -> None:
    tonight = _changed(
        libraries={"torch": "2.14.0", "lung_pipeline": "0a1b2c"},
        computed_on={"device": "cuda", "card": "a card"},
    )
    found = drift(BASELINE, tonight)
    assert not any(one.is_failure for one in found)
    assert [one.sentence for one in found] == [
        "The library is another: torch is 2.14.0 instead of 2.13.0.",
        "The device is another: card is a card instead of nothing.",
        "The device is another: device is cuda instead of cpu.",
        "The device is another: threads is nothing instead of 2.",
    ]


def test_causes_stand_before_effects() -> None:
    tonight = _with_figure(
        "detection/cpm",
        0.5,
        tables={"candidates of subset0": TableState(411, "f" * 16)},
        findings_per_scan=1.0,
        libraries={},
    )
    kinds = [one.kind for one in drift(BASELINE, tonight)]
    assert kinds == ["table", "code", "findings", "figure", "library", "library"]


def test_tolerances_are_settings() -> None:
    tonight = _with_figure("detection/cpm", 0.841)
    assert drift(BASELINE, tonight, Tolerances(figures=0.01)) == ()
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Tolerances(figures=-1)


def test_baseline_comes_back_from_json_as_it_was() -> None:
    assert Baseline.from_json(json.loads(json.dumps(BASELINE.as_json()))) == BASELINE


@pytest.mark.parametrize("record", [{}, {**BASELINE.as_json(), "another": 1}, {"tables": []}])
def test_another_record_is_no_baseline(record: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match=r"place of it: a baseline must.*renew_baseline"):
        Baseline.from_json(record, "place of it")


def test_key_of_a_set_does_not_depend_on_the_order_of_steps() -> None:
    key = set_key({"nodule": SHA_A, "malignancy": SHA_B})
    assert key == set_key({"malignancy": SHA_B, "nodule": SHA_A})
    assert key != set_key({"malignancy": SHA_A, "nodule": SHA_B})
    assert len(key) == 12


def _night(tonight: Baseline, *, is_scored: bool = True, kept_because: str = "") -> Night:
    return Night(
        at=tonight.made_at,
        models=tonight.models,
        subsets=tonight.subsets,
        baseline_made_at=BASELINE.made_at,
        kept_because=kept_because,
        is_scored=is_scored,
        drifts=drift(BASELINE, tonight),
        figures=tonight.figures,
    )


def test_night_in_words_has_the_outcome_first() -> None:
    sound = _night(_changed())
    assert sound.in_words == "As on 2026-11-23T02:00:00+00:00, within tolerance."
    files = {"nodule": {"model.json": SHA_A, "weights.safetensors": SHA_B}}
    changed = _night(_changed(files=files, libraries={}), is_scored=False)
    assert changed.in_words.startswith("Not as on 2026-11-23T02:00:00+00:00. The nodule model")
    assert "Changed models are not run: nothing was scored. The library is" in changed.in_words
    assert len(changed.failures) == 1
    assert len(changed.warnings) == 2
    first = _night(_changed(), kept_because="there was none")
    assert first.in_words == (
        "Tonight's state is kept as the baseline of this set (there was none)."
    )


def test_night_comes_back_from_json_as_it_was() -> None:
    night = _night(_with_figure("detection/cpm", 0.5))
    assert Night.from_json(json.loads(json.dumps(night.as_json()))) == night
    with pytest.raises(StoreError, match="Run the job `revalidate` again"):
        Night.from_json({"at": "now"})


def test_nights_that_differ_in_time_alone_have_one_fingerprint() -> None:
    first, second = _night(_changed()), replace(_night(_changed()), at="2027-01-01")
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != _night(_with_figure("detection/cpm", 0.5)).fingerprint
