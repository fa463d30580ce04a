# SPDX-License-Identifier: Apache-2.0
"""``lung-pipeline label``: from files as handed out to a table of labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.label import label, write_labels
from lung_pipeline.annotations.rules import MeanRating, TwoOfReaders
from lung_pipeline.cli import main
from lung_pipeline.errors import AnnotationError
from lung_pipeline.home import Home

RULE = TwoOfReaders()


@pytest.fixture
def raw(own_home: Home) -> Path:
    """Two subsets of phantoms as handed out, for one test to change."""
    return own_home.raw


def _published(raw: Path) -> pd.DataFrame:
    return pd.read_csv(raw / luna.RATINGS_FILE)


def test_readers_marks_give_the_published_labels(raw: Path) -> None:
    expected = _published(raw)
    (raw / luna.RATINGS_FILE).unlink()
    labels = label(raw, RULE)
    assert labels.table["mal_bool"].tolist() == expected["mal_bool"].tolist()
    assert labels.table["mal_details"].tolist() == expected["mal_details"].tolist()
    assert set(labels.table["matched_by"]) == {"ct"}
    assert labels.table["distance_mm"].max() < 1.0
    assert labels.counts["malignant"] == int(expected["mal_bool"].sum())
    assert labels.losses == ()


def test_written_table_can_stand_in_for_the_published_one(raw: Path) -> None:
    former = luna.read_ratings(raw / luna.RATINGS_FILE)
    columns = list(_published(raw).columns[:7])
    labels = label(raw, RULE)
    (raw / luna.RATINGS_FILE).unlink()
    write_labels(labels, raw / luna.RATINGS_FILE)
    pd.testing.assert_frame_equal(luna.read_ratings(raw / luna.RATINGS_FILE), former)
    assert list(_published(raw).columns[:7]) == columns


def test_list_of_an_earlier_table_s_losses_does_not_stay(raw: Path, tmp_path: Path) -> None:
    foreign = raw / "LIDC-XML-only" / "notes.xml"
    foreign.write_text("<notes/>")
    out, lost = tmp_path / "table.csv", tmp_path / "table.losses.csv"
    write_labels(label(raw, RULE), out)
    assert lost.is_file()
    foreign.unlink()
    write_labels(label(raw, RULE), out)
    assert not lost.exists()


def test_rule_left_out_is_neither_and_says_so(raw: Path) -> None:
    labels = label(raw, MeanRating(threshold=4.0))
    exactly = [eval_mean(text) == 4.0 for text in labels.table["mal_details"]]
    left_out = labels.table["label"] == "left out"
    assert left_out.tolist() == exactly
    assert (labels.table.loc[left_out, "mal_bool"] == "").all()
    # Another threshold is another rule: the table says which.
    told = {"mean v1 (threshold 4.0, ties left out, threes counted)"}
    assert set(labels.table["rule"]) == told


def eval_mean(text: str) -> float:
    ratings = [int(rating) for rating in text.strip("[]").split(", ")]
    return sum(ratings) / len(ratings)


def test_without_scans_the_excluded_findings_tell_where_pixels_lie(raw: Path) -> None:
    with_scans = label(raw, RULE).table
    for subset in ("subset0", "subset1"):
        shutil.rmtree(raw / subset)
    table = label(raw, RULE).table
    assert set(table["matched_by"]) == {"excluded findings"}
    columns = ["seriesuid", "mal_details", "lidc_nodule"]
    pd.testing.assert_frame_equal(table[columns], with_scans[columns])
    assert (table["distance_mm"] - with_scans["distance_mm"]).abs().max() < 1e-3


def test_without_scans_and_excluded_findings_the_heights_decide(raw: Path) -> None:
    for subset in ("subset0", "subset1"):
        shutil.rmtree(raw / subset)
    (raw / luna.RATINGS_FILE).unlink()
    (raw / luna.EXCLUDED_FILE).unlink()
    labels = label(raw, RULE)
    assert set(labels.table["matched_by"]) <= {"slice position", ""}
    assert labels.counts["matched by slice position"] >= 5
    assert labels.counts["not matched"] == labels.counts["unknown"]


def test_scan_that_cannot_be_read_is_listed(raw: Path) -> None:
    header = sorted((raw / "subset0").glob("*.mhd"))[0]
    header.unlink()
    header.write_text("NDims = 3\n")
    labels = label(raw, RULE)
    (loss,) = labels.losses
    assert str(header) in loss.place
    assert len(labels.table) == len(_published(raw))


def test_table_of_ratings_serves_alone(raw: Path) -> None:
    shutil.rmtree(raw / "LIDC-XML-only")
    labels = label(raw, RULE)
    assert labels.counts["ratings from csv"] == len(labels.table)
    assert labels.table["mal_bool"].tolist() == _published(raw)["mal_bool"].tolist()


def test_neither_marks_nor_ratings_is_an_error_in_words(raw: Path) -> None:
    shutil.rmtree(raw / "LIDC-XML-only")
    (raw / luna.RATINGS_FILE).unlink()
    with pytest.raises(AnnotationError, match=r"LIDC-XML-only\.zip"):
        label(raw, RULE)


def test_command_writes_the_table_and_tells_the_sums(raw: Path, tmp_path: Path) -> None:
    (raw / "LIDC-XML-only" / "notes.xml").write_text("<notes/>")
    out = tmp_path / "labels" / "table.csv"
    done = CliRunner().invoke(
        main, ["label", "--raw", str(raw), "--rule", "median", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    written = pd.read_csv(out)
    assert f"{len(written)} nodules by the rule median v1" in done.output
    assert f"malignant {int((written['label'] == 'malignant').sum())}," in done.output
    assert pd.read_csv(tmp_path / "labels" / "table.losses.csv")["place"].tolist() == ["notes.xml"]
    assert "notes.xml" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["--rule", "mode"], "two-of-readers, mean, median, majority", id="rule"),
        pytest.param(["--threshold", "3.5"], "threshold", id="a setting the rule does not have"),
        pytest.param(["--xml", "nowhere.zip"], "nowhere.zip", id="no XML there"),
    ],
)
def test_command_refuses_in_one_line(
    raw: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    out = tmp_path / "table.csv"
    done = CliRunner().invoke(main, ["label", "--raw", str(raw), "--out", str(out), *arguments])
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize("name", [luna.ANNOTATIONS_FILE, luna.EXCLUDED_FILE, luna.RATINGS_FILE])
def test_command_does_not_write_over_what_it_reads(raw: Path, name: str) -> None:
    before = (raw / name).read_bytes()
    done = CliRunner().invoke(main, ["label", "--raw", str(raw), "--out", str(raw / name)])
    assert done.exit_code == 2
    assert "must not take the place of a table it is made from" in done.stderr
    assert (raw / name).read_bytes() == before


def test_command_says_in_one_line_where_it_cannot_write(raw: Path) -> None:
    below_a_file = raw / luna.ANNOTATIONS_FILE / "labels.csv"
    done = CliRunner().invoke(main, ["label", "--raw", str(raw), "--out", str(below_a_file)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {raw / luna.ANNOTATIONS_FILE}")
    assert len(done.stderr.splitlines()) == 1
