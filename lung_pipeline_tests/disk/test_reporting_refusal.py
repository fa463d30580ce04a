# SPDX-License-Identifier: Apache-2.0
"""``refusal.json``: what a program reads of a scan that was refused."""

from __future__ import annotations

import json
from pathlib import Path

from lung_pipeline.errors import QualityError, SeriesError
from lung_pipeline.reporting.patient.refusal import write_refusal

ERROR = QualityError(value=12, place="1.2.3", rule="lungs must be there", cure="Give a chest.")


def test_refusal_says_value_place_rule_and_cure(tmp_path: Path) -> None:
    path = write_refusal(tmp_path / "out", ERROR, tmp_path / "patient" / "scan.mhd")
    assert path == tmp_path / "out" / "refusal.json"
    record = json.loads(path.read_text())
    notice = record.pop("notice")
    assert "research" in notice.lower()
    assert record == {
        "verdict": "refused",
        "scan": "scan.mhd",
        "kind": "QualityError",
        "value": "12",
        "place": "1.2.3",
        "rule": "lungs must be there",
        "cure": "Give a chest.",
        "message": "1.2.3: lungs must be there, got 12. Give a chest.",
    }
    assert [p.name for p in path.parent.iterdir()] == ["refusal.json"]


def test_former_refusal_is_replaced(tmp_path: Path) -> None:
    write_refusal(tmp_path, ERROR, Path("a.mhd"))
    other = SeriesError(value="none", place="b", rule="it must be a CT", cure="Give a CT.")
    record = json.loads(write_refusal(tmp_path, other, Path("b")).read_text())
    assert (record["kind"], record["scan"]) == ("SeriesError", "b")


def test_names_that_are_no_text_and_markup_stay_what_they_are(tmp_path: Path) -> None:
    odd = SeriesError(value="<b>\n\udce9", place="p", rule="it must be a CT", cure="Give a CT.")
    content = write_refusal(tmp_path, odd, Path("\udcff.mhd")).read_bytes()
    assert content.isascii()
    record = json.loads(content)
    assert (record["value"], record["scan"]) == ("<b>\n\udce9", "\udcff.mhd")
    assert record["message"].isprintable()
