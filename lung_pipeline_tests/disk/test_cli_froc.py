# SPDX-License-Identifier: Apache-2.0
"""``lung-pipeline froc`` on a table worked by hand: what it prints, writes and refuses.

Three scans, two nodules of 6 mm, one excluded mark.

    score  series  where                         fate
    0.9    1.2     2 mm from the nodule          hit
    0.8    1.3     far from anything             false positive
    0.7    1.2     1 mm from the same nodule     double hit
    0.6    1.3     on the excluded mark          neither way
    0.5    9.9     a series not on the list      left out

The nodule of 1.3 is missed and 1.4 has no detection. The curve: (0, 1/2), then (1/3, 1/2).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from lung_pipeline.cli import main
from lung_pipeline.evaluation.detection.detections import read_scored_tables
from lung_pipeline.evaluation.detection.froc_figures import FrocFigures
from lung_pipeline.evaluation.detection.froc_scoring import score_detections
from lung_pipeline.learning.resampling import Estimate
from lung_pipeline.reporting.scores.froc_plot import froc_figure

FILES = {
    "annotations": "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2,0,0,0,6\n1.3,0,0,0,6\n",
    "excluded": "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3,50,0,0,-1\n",
    "series": "1.2\n1.3\n1.4\n",
    "detections": "seriesuid,coordX,coordY,coordZ,probability\n"
    "1.2,2,0,0,0.9\n1.3,90,0,0,0.8\n1.2,0,1,0,0.7\n1.3,54,0,0,0.6\n9.9,0,0,0,0.5\n",
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.csv"
    path.write_text(text)
    return path


def run(folder: Path, *more: str, **instead: str) -> Result:
    """The command on the files above, some with another text."""
    arguments = ["froc", "--out", str(folder / "out")]
    for name, text in {**FILES, **instead}.items():
        arguments += [f"--{name}", str(write(folder, name, text))]
    return CliRunner().invoke(main, [*arguments, *more])


def test_the_figures_are_printed_as_a_table(tmp_path: Path) -> None:
    done = run(tmp_path, "--bootstrap", "0")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["false", "positives", "a", "scan", "sensitivity"]
    assert [line.split() for line in lines[1:9]] == [
        [name, "0.500"] for name in ("1/8", "1/4", "1/2", "1", "2", "4", "8", "CPM")
    ]
    assert lines[10] == "3 scans of 3 patients, 2 nodules: 1 hits, 1 missed"
    assert lines[11] == "other detections: 1 false positives, 1 on excluded, 1 double hits"


def test_what_to_look_at_first_is_warned_of(tmp_path: Path) -> None:
    assert run(tmp_path).stderr.splitlines() == [
        "Warning: 1 series of the list without any detection: 1.4",
        "Warning: 1 detections of series that are not on the list were left out",
    ]


def test_many_silent_series_are_counted_and_the_first_ten_named(tmp_path: Path) -> None:
    series = "1.2\n1.3\n" + "".join(f"2.{k:02d}\n" for k in range(12))
    done = run(tmp_path, series=series)
    assert "12 series of the list without any detection: 2.00, 2.01" in done.stderr
    assert "2.09 and 2 more (all are in froc.json)" in done.stderr
    assert len(json.loads((tmp_path / "out" / "froc.json").read_text())["silent_series"]) == 12


def test_figures_settings_and_hashes_are_written(tmp_path: Path) -> None:
    run(tmp_path, "--bootstrap", "50", "--cap", "7")
    record = json.loads((tmp_path / "out" / "froc.json").read_text())
    figures = FrocFigures.from_json(record["figures"])
    assert figures.cpm.value == 0.5
    assert figures.num_resamples == 50
    assert record["settings"] == {"bootstrap": 50, "cap": 7, "seed": 20}
    assert record["left_out"]["detections_of_other_series"] == 1
    assert sorted(record["inputs"]) == sorted(FILES)
    assert record["inputs"]["series"]["file"] == "series.csv"
    assert str(tmp_path) not in json.dumps(record)


def test_the_curve_has_a_row_for_each_score_that_counts(tmp_path: Path) -> None:
    run(tmp_path)
    curve = pd.read_csv(tmp_path / "out" / "froc.csv")
    assert curve.to_numpy().tolist() == [[math.inf, 0, 0], [0.9, 0, 0.5], [0.8, 1 / 3, 0.5]]


def test_every_nodule_stands_with_what_hit_it(tmp_path: Path) -> None:
    run(tmp_path)
    found, missed = pd.read_csv(
        tmp_path / "out" / "nodules.csv", dtype={"series_uid": str}
    ).to_dict("records")
    assert (found["series_uid"], found["fate"], found["score"]) == ("1.2", "found", 0.9)
    assert (found["hit_x_mm"], found["distance_mm"], found["num_double_hits"]) == (2, 2, 1)
    assert (missed["series_uid"], missed["fate"], missed["num_double_hits"]) == ("1.3", "missed", 0)
    assert math.isnan(missed["score"])
    assert math.isnan(missed["distance_mm"])


def test_the_picture_is_a_png_and_the_same_input_gives_the_same_files(tmp_path: Path) -> None:
    run(tmp_path)
    names = ["froc.json", "froc.csv", "froc.png", "nodules.csv"]
    first = {name: (tmp_path / "out" / name).read_bytes() for name in names}
    assert first["froc.png"].startswith(b"\x89PNG")
    run(tmp_path)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == first


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    run(tmp_path)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "froc.csv",
        "froc.json",
        "froc.png",
        "mine.txt",
        "nodules.csv",
    ]


def test_intervals_stand_beside_the_figures(tmp_path: Path) -> None:
    """Two patients with a nodule each: half, all or none of a draw's nodules are found."""
    done = run(tmp_path, "--bootstrap", "200")
    cpm = next(line for line in done.stdout.splitlines() if line.startswith("CPM"))
    assert cpm.split() == ["CPM", "0.500", "0.000", "to", "1.000"]


def test_where_all_draws_agree_it_is_said(tmp_path: Path) -> None:
    """Without a row that counts nothing is found in any draw, which proves nothing."""
    nothing = "seriesuid,coordX,coordY,coordZ,probability\n"
    done = run(tmp_path, "--cap", "5", detections=nothing)
    cpm = next(line for line in done.stdout.splitlines() if line.startswith("CPM"))
    assert cpm.split(maxsplit=2) == ["CPM", "0.000", "none: all draws agree"]


def test_patients_may_be_named(tmp_path: Path) -> None:
    patients = "Patient Id,Modality,Series UID\nP,CT,1.2\nP,CT,1.3\n"
    done = run(tmp_path, patients=patients)
    assert "3 scans of 2 patients" in done.stdout


def test_a_scan_emptied_by_the_cap_is_named(tmp_path: Path) -> None:
    tied = FILES["detections"].replace("0.9", "0.7")
    done = run(tmp_path, "--cap", "1", detections=tied)
    assert "1.2" in next(line for line in done.stderr.splitlines() if "emptied by the cap" in line)
    record = json.loads((tmp_path / "out" / "froc.json").read_text())
    assert record["series_emptied_by_the_cap"] == ["1.2"]
    assert record["silent_series"] == ["1.4"]


def test_the_excluded_list_may_be_left_out(tmp_path: Path) -> None:
    run(tmp_path)
    arguments = [f"--{n}={tmp_path / n}.csv" for n in ("annotations", "series", "detections")]
    done = CliRunner().invoke(main, ["froc", "--out", str(tmp_path / "other"), *arguments])
    assert "2 false positives, 0 on excluded" in done.stdout


@pytest.mark.parametrize(
    ("more", "instead", "told"),
    [
        (["--cap", "0"], {}, "cap: the detections a scan that may count must be 1 or more"),
        (["--bootstrap", "-1"], {}, "must be 0 or more, got -1"),
        ([], {"series": "1.2\n1.2\n"}, "line 2: a series must stand in one line"),
        ([], {"detections": "seriesuid\n1.2\n"}, "line 1: the header must name each column"),
        ([], {"annotations": FILES["annotations"].replace("6", "-1")}, "must be positive"),
        ([], {"excluded": "no csv"}, "line 1: the header must name each column"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, more: list[str], instead: dict[str, str], told: str
) -> None:
    done = run(tmp_path, *more, **instead)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_record_of_figures_without_intervals_says_so(tmp_path: Path) -> None:
    run(tmp_path, "--bootstrap", "0")
    record = json.loads((tmp_path / "out" / "froc.json").read_text())
    assert FrocFigures.from_json(record["figures"]).cpm == Estimate(0.5, None, None)


def test_the_band_is_drawn_only_where_there_was_a_bootstrap(tmp_path: Path) -> None:
    tables = read_scored_tables(
        **{name: write(tmp_path, name, text) for name, text in FILES.items()}, cap=None
    )
    with_band, without = (score_detections(tables, num_resamples=num) for num in (200, 0))
    assert without.band is None
    assert with_band.band is not None
    assert (with_band.band.low == 0).all()
    assert (with_band.band.high == 1).all()
    shown = [len(froc_figure(scored).axes[0].collections) for scored in (with_band, without)]
    assert shown == [1, 0]
