# SPDX-License-Identifier: Apache-2.0
"""What `make audit` concludes of what pip-audit reports: silence is no all-clear."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

_AUDIT = Path(__file__).resolve().parents[2] / "benchmarks" / "audit.py"
verdict: Any = runpy.run_path(str(_AUDIT))["verdict"]

CLEAN = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited"}
BAD = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
OURS = {"name": "lung-pipeline", "skip_reason": "distribution marked as editable"}


@pytest.mark.parametrize(
    ("reported", "code"),
    [
        ([CLEAN] * 10, 0),
        ([CLEAN] * 9 + [UNKNOWN], 0),
        ([CLEAN] * 9 + [OURS], 0),
        ([CLEAN] * 8 + [UNKNOWN] * 2, 3),
        ([UNKNOWN] * 10, 3),
        ([OURS], 3),
        ([], 3),
        ([CLEAN, BAD], 1),
        ([UNKNOWN] * 9 + [BAD], 1),
    ],
)
def test_code_says_clean_vulnerable_or_not_asked(reported: list[dict[str, Any]], code: int) -> None:
    assert verdict(reported)[0] == code


def test_vulnerable_package_is_named_with_its_cure() -> None:
    assert verdict([CLEAN, BAD])[1][0] == "c 2: CVE-1, mended in 3"


def test_silence_of_the_index_is_said_in_words() -> None:
    assert "no all-clear" in verdict([UNKNOWN] * 3)[1][-1]
