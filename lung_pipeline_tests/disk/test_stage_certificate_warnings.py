# SPDX-License-Identifier: Apache-2.0
"""What a certificate cannot know or has nothing of, it says; it fails nothing."""

from __future__ import annotations

from lung_pipeline.annotations.luna import PATIENTS_FILE
from lung_pipeline.annotations.splits import FoldRule, Split, SplitRule
from lung_pipeline.annotations.subset import make_candidates
from lung_pipeline.crops.certificate import LeakageCertificate
from lung_pipeline.crops.certify import make_certificate
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.home import Home

BOTH = ["subset0", "subset1"]
UNKNOWN = f"series have no patient in {PATIENTS_FILE}"


def _certified(home: Home, split: Split) -> LeakageCertificate:
    for subset in BOTH:
        make_candidates(home, subset, split)
        make_crops(home, subset)
    return make_certificate(home, BOTH)


def test_known_patients_are_no_warning(phantom_home: Home) -> None:
    certificate = make_certificate(phantom_home, BOTH)
    assert certificate.num_series_without_patient == 0
    assert UNKNOWN not in certificate.in_words()


def test_series_of_unknown_patients_are_counted_and_warned_of(own_home: Home) -> None:
    table = own_home.raw / PATIENTS_FILE
    lines = table.read_text().splitlines()
    table.unlink()
    table.write_text("\n".join(lines[:-2]) + "\n")
    certificate = _certified(own_home, SplitRule())
    assert certificate.passed
    assert certificate.num_series_without_patient == 2
    assert certificate.numbers()["num_series_without_patient"] == 2
    assert f"WARNING 2 {UNKNOWN}" in certificate.in_words()
    assert LeakageCertificate.from_text(certificate.as_text(), "here") == certificate


def test_part_without_a_patient_is_warned_of(own_home: Home) -> None:
    # The fold to test on is not on disk: nobody would be tested.
    certificate = _certified(own_home, FoldRule(7))
    assert "WARNING no patient is in test" in certificate.in_words()
    assert "WARNING no patient is in train" not in certificate.in_words()
    assert "no patient is in test" not in _certified(own_home, FoldRule(1)).in_words()
