# SPDX-License-Identifier: Apache-2.0
"""The report runs nothing but its own script, and markup stays text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from html_pages import Page
from patient_reports import (
    VOLUMES,
    diagnosis,
    finding,
    report,
    runs_our_script_alone,
)

from lung_pipeline.diagnosis.verdict.readers import ReadersVerdict
from lung_pipeline.reporting.patient.report import write_patient_report


def test_report_asks_for_nothing_and_runs_its_own_script_alone(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding(), finding(nodule_probability=0.1)))
    asked = {address.split(":")[0] for address in page.addresses}
    assert asked == {"data", "#nodule-1", "#slice-0-6"}
    assert page.tags.count("script") == 1
    assert runs_our_script_alone(page)
    assert "default-src 'none'" in page.source


def test_a_page_without_slices_runs_no_script(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding()), shows_slices=False)
    assert "script" not in page.tags
    assert "script-src" not in page.source


def test_the_policy_names_the_hash_of_the_script_as_it_stands_in_the_page(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis())
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.source
    assert "'unsafe-inline'" not in page.source.partition("script-src")[2].partition(">")[0]


@pytest.mark.parametrize(
    ("field", "wrapped"),
    [
        ("patient_id", lambda evil: evil),
        ("verdict", lambda evil: evil),
        ("thresholds_from", lambda evil: evil),
        ("models", lambda evil: {evil: evil}),
        ("inputs_sha256", lambda evil: {"1.2.3": evil}),
        ("cautions", lambda evil: (evil,)),
        ("not_looked_at", lambda evil: {evil: evil}),
        ("seconds", lambda evil: {evil: 1.0}),
        ("readers", lambda evil: ReadersVerdict(evil, evil, ((4, 5),), 1, evil)),
    ],
)
@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert('x')</script>\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "javascript:alert(1)",
        "{{ 7 * 7 }}</title></style>",
    ],
)
def test_markup_in_a_value_stays_text(
    tmp_path: Path, field: str, wrapped: Callable[[str], Any], evil: str
) -> None:
    value = wrapped(evil)
    page = report(tmp_path, diagnosis(finding(), **{field: value}))
    assert runs_our_script_alone(page)
    assert not any(address.startswith("x") for address in page.addresses)
    assert evil in page.text


def test_markup_in_a_series_uid_stays_text(tmp_path: Path) -> None:
    evil = "</style><script>1</script>"
    two = diagnosis(finding(series_uid=evil), series_uids=(evil, "1.2.3"))
    page = report(tmp_path, two, volumes={evil: VOLUMES["1.2.3"]})
    assert runs_our_script_alone(page)
    # On the card, above the slices, and beside its hash.
    assert page.text.count(evil) == 3


def test_markup_in_a_density_and_in_made_at_stays_text(tmp_path: Path) -> None:
    evil = "<b onclick=alert(1)>&amp;</b>"
    path = tmp_path / "report.html"
    of = diagnosis(finding(density=evil))
    write_patient_report(path, diagnosis=of, volumes={}, truth=None, made_at=evil)
    page = Page(path)
    assert runs_our_script_alone(page)
    assert page.text.count(evil) == 3


def test_the_notice_stands_on_top(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding()))
    assert page.source.partition("<main>")[2].index("Research use only") < 50
