# SPDX-License-Identifier: Apache-2.0
"""The command over one scan: what it writes, what it prints, and what it refuses."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
import zarr
from bright_models import MALIGNANCY_LOGIT, NODULE_LOGIT, register_bright_models
from click.testing import CliRunner, Result

from lung_pipeline.cli import main
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.serving.one_scan import diagnose_into
from lung_pipeline.serving.wanted import Wanted


@pytest.fixture
def phantom(phantom_home: Home) -> Path:
    return min(phantom_home.raw_subset("subset0").glob("*.mhd"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results" / "of one"


@pytest.fixture
def bright_home(mlflow_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    register_bright_models(mlflow_home)
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(mlflow_home.root))
    return mlflow_home


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["diagnose", *map(str, arguments)])


def refusal(out: Path) -> dict[str, str]:
    """What stands in the folder of a refused scan, in which nothing else does."""
    assert [path.name for path in out.iterdir()] == ["refusal.json"]
    return json.loads((out / "refusal.json").read_text())


@pytest.mark.slow
def test_a_scan_in_an_archive_gives_every_result_that_was_asked_for(
    bright_home: Home, phantom: Path, out: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "scan.zip"
    with ZipFile(archive, "w") as packed:
        packed.write(phantom, phantom.name)
        packed.write(phantom.with_suffix(".raw"), phantom.with_suffix(".raw").name)
    wishes = ("--dicom", "--ome-zarr", "--mirrored", "--rule", "noisy-or")
    threshold = ("--nodule-threshold", "0.25")
    done = run(archive, "--out", out, *wishes, *threshold)
    assert done.exit_code == 0, done.output
    names = ["diagnosis.json", "dicom_results", "findings.csv", "report.html", "scan.ome.zarr"]
    assert sorted(path.name for path in out.iterdir()) == names
    diagnosis = json.loads((out / "diagnosis.json").read_text())
    assert diagnosis["rule"]["name"] == "noisy-or"
    assert diagnosis["verdict"] == "malignant"
    assert diagnosis["is_mirrored"] is True
    assert diagnosis["rule"]["nodule_threshold"] == 0.25
    assert diagnosis["thresholds_from"].startswith("nodule threshold as asked for; else")
    assert "left for right" in (out / "report.html").read_text()
    assert diagnosis["num_nodules"] == diagnosis["num_findings"] > 0
    assert {"reading", "finding the lungs", "loading models"} < set(diagnosis["seconds"])
    assert diagnosis["peak_memory_bytes"] > 100e6
    for logit, step in ((NODULE_LOGIT, "nodule"), (MALIGNANCY_LOGIT, "malignancy")):
        told = {f"{f[f'{step}_probability']:.3f}" for f in diagnosis["findings"]}
        assert told == {f"{1 / (1 + 2.718281828**-logit):.3f}"}
    stored = zarr.open_group(out / "scan.ome.zarr", mode="r")
    assert stored["labels/findings/0"].shape == stored["0"].shape
    assert stored["labels/findings/0"][:].max() == diagnosis["num_findings"]
    assert (out / "dicom_results" / "findings_sr.dcm").is_file()
    for word in ("malignant:", "times: reading", "peak memory:", "scan.ome.zarr/", "Research use"):
        assert word in done.output


def test_a_scan_that_cannot_be_read_is_exit_code_2_and_refusal_json(out: Path) -> None:
    scan = out.parent / "Half.mhd"
    scan.parent.mkdir()
    scan.write_text("ObjectType = Image\nNDims = 3\n")
    done = run(scan, "--out", out)
    assert done.exit_code == 2
    assert done.stderr.count("Error: ") == 1
    record = refusal(out)
    assert (record["verdict"], record["scan"]) == ("refused", "Half.mhd")
    assert record["message"] in done.stderr


def test_a_refusal_takes_the_place_of_an_older_diagnosis(out: Path, tmp_path: Path) -> None:
    out.mkdir(parents=True)
    for name in ("diagnosis.json", "findings.csv", "report.html"):
        (out / name).write_text("of another scan")
    (out / "dicom_results").mkdir()
    (out / "notes.txt").write_text("a person's own")
    assert run(tmp_path / "nowhere.nii.gz", "--out", out).exit_code == 2
    assert sorted(path.name for path in out.iterdir()) == ["notes.txt", "refusal.json"]


def test_a_phantom_without_models_names_the_cure(
    mlflow_home: Home, phantom: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(mlflow_home.root))
    done = run(phantom, "--out", out)
    assert done.exit_code == 2
    assert "models import-reference" in done.stderr
    assert refusal(out)["kind"] == "ModelError"


@pytest.mark.parametrize("option", ["--nodule-threshold", "--malignancy-threshold"])
def test_a_threshold_that_is_no_probability_is_told_before_any_work(
    phantom: Path, out: Path, option: str
) -> None:
    done = run(phantom, "--out", out, option, "1.5")
    assert done.exit_code == 2
    told = refusal(out)
    assert (told["value"], "probability" in told["rule"]) == ("1.5", True)


def test_deidentify_without_dicom_is_told_and_nothing_is_done(phantom: Path, out: Path) -> None:
    done = run(phantom, "--out", out, "--deidentify")
    assert done.exit_code == 2
    assert "--deidentify goes with --dicom" in done.stderr
    assert "report.html" in done.stderr
    assert not out.exists()


def test_an_unknown_rule_is_told_before_any_work(phantom: Path, out: Path) -> None:
    done = run(phantom, "--out", out, "--rule", "a coin")
    assert done.exit_code == 2
    assert "the rule must be one of any-malignant-nodule, noisy-or, got 'a coin'" in done.stderr


def test_dicom_that_cannot_be_written_is_told_before_any_model_is_asked_for(
    mlflow_home: Home, phantom: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No model stands in this home, which would be said next.
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(mlflow_home.root))
    monkeypatch.setitem(sys.modules, "highdicom", None)
    done = run(phantom, "--out", out, "--dicom")
    assert done.exit_code == 2
    assert refusal(out)["place"] == "DICOM output"


def test_what_the_system_does_not_read_is_refused_in_words(out: Path, tmp_path: Path) -> None:
    done = run(tmp_path / ("x" * 300 + ".mhd"), "--out", out)
    assert done.exit_code == 2
    record = refusal(out)
    assert (record["kind"], record["value"]) == ("ReadingError", "'File name too long'")


def test_results_that_find_no_place_are_refused_in_words(phantom: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where a folder must be")
    done = run(phantom, "--out", tmp_path / "file" / "results")
    assert done.exit_code == 2
    assert "name a folder for the results" in done.stderr
    assert "Not a directory" in done.stderr
    assert (tmp_path / "file").read_text() == "where a folder must be"


@pytest.mark.parametrize(
    ("trouble", "told", "left"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StoreError, ["refusal.json"]),
        (KeyboardInterrupt(), KeyboardInterrupt, []),
        (ZeroDivisionError(), ZeroDivisionError, []),
    ],
    ids=["full disk", "interrupted", "fault"],
)
def test_whatever_breaks_it_off_no_half_result_stays(
    phantom: Path,
    out: Path,
    trouble: BaseException,
    told: type[BaseException],
    left: list[str],
) -> None:
    def on_progress(step: str, share: float) -> None:
        if step != "reading":
            (out / ".unpacked-x").mkdir(parents=True)
            (out / "report.html").write_text("half of it")
            raise trouble

    with pytest.raises(told):
        diagnose_into(phantom, out, Home.at(out / "home"), Wanted(), on_progress)
    assert [path.name for path in out.iterdir()] == left


def test_what_a_killed_call_had_unpacked_goes_with_the_next(out: Path, tmp_path: Path) -> None:
    (out / ".unpacked-x").mkdir(parents=True)
    (out / ".unpacked-x" / "scan.raw").write_text("a patient's")
    assert run(tmp_path / "nowhere.nii.gz", "--out", out).exit_code == 2
    assert [path.name for path in out.iterdir()] == ["refusal.json"]
    (out / ".unpacked-x").mkdir()
    (out / ".unpacked-x" / "mine.mhd").write_text("a scan that lies there")
    assert run(out / ".unpacked-x" / "mine.mhd", "--out", out).exit_code == 2
    assert (out / ".unpacked-x" / "mine.mhd").exists()


def test_a_scan_is_not_cleared_away_for_its_results(phantom: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case" / "dicom_results"
    folder.mkdir(parents=True)
    for file in (phantom, phantom.with_suffix(".raw")):
        shutil.copy(file, folder)
    done = run(folder / phantom.name, "--out", tmp_path / "case")
    assert done.exit_code == 2
    assert "Name another folder" in done.stderr
    assert len(list(folder.iterdir())) == 2
    assert [path.name for path in folder.parent.iterdir()] == ["dicom_results"]


def test_an_archive_that_holds_no_scan_leaves_nothing_unpacked(out: Path, tmp_path: Path) -> None:
    archive = tmp_path / "letters.zip"
    with ZipFile(archive, "w") as packed:
        packed.writestr("letter.txt", "Dear colleague")
    assert run(archive, "--out", out).exit_code == 2
    assert refusal(out)["kind"] == "ArchiveError"
