# SPDX-License-Identifier: Apache-2.0
"""A home by hand: what each stage takes, and that exactly what nobody needs goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from lung_pipeline import locks
from lung_pipeline.cli import main
from lung_pipeline.ct.subset import VOLUMES, convert_volumes, list_raw
from lung_pipeline.home import Home
from lung_pipeline.housekeeping.prune import ABANDONED_S, Unneeded, prune
from lung_pipeline.housekeeping.usage import OTHER, STAGES, usage_of
from lung_pipeline.phantom.folder import write_luna_folder
from lung_pipeline.tables import write_table

_DAY_S = 24 * 3600.0


def _write(home: Home, name: str, num_bytes: int = 4096, age_s: float = 2 * _DAY_S) -> Path:
    path = home.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(num_bytes))
    _age(path, age_s)
    return path


def _age(path: Path, age_s: float) -> None:
    then = time.time() - age_s
    os.utime(path, (then, then))


def _manifest(home: Home, subset: str, series_uids: list[str]) -> None:
    table = pd.DataFrame(
        {"series_uid": [*series_uids, ""], "problem": [""] * len(series_uids) + ["bad"]}
    )
    write_table(table, home.manifest(VOLUMES, subset), {})
    _age(home.manifest(VOLUMES, subset), 2 * _DAY_S)


def _files(home: Home) -> dict[str, bytes]:
    return {
        path.relative_to(home.root).as_posix(): path.read_bytes()
        for path in home.root.rglob("*")
        if path.is_file() and "locks" not in path.parts
    }


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Two subsets whose raw scans were removed to save disk, and things that stay."""
    home = Home.at(tmp_path / "home")
    for subset in ("subset0", "subset1"):
        _manifest(home, subset, ["1.2", "1.3"])
        for uid in ("1.2", "1.3"):
            _write(home, f"volumes/{subset}/{uid}.zarr/0/c/0")
            _write(home, f"findings/{subset}/masks/{uid}.npz")
        _write(home, f"findings/{subset}/findings.parquet")
        diagnoses = pd.DataFrame({"patient_id": ["LIDC-1", "Smith, J"]})
        write_table(diagnoses, home.diagnoses(subset), {})
        for patient in ("LIDC-1", "Smith, J"):
            _write(home, f"{home.report(subset, patient).relative_to(home.root)}/report.html")
        _write(home, f"crops/{subset}/crops.npy")
    _write(home, "scorecards/validation-a/scorecard.html")
    _write(home, "mlflow/artifacts/1/weights.safetensors")
    _write(home, "notes.txt")
    return home


@pytest.mark.parametrize(
    ("made", "gone"),
    [
        pytest.param([], [], id="nothing in vain"),
        pytest.param(
            ["volumes/subset0/9.9.zarr/0/c/0", "volumes/subset0/9.9.zarr/zarr.json"],
            ["volumes/subset0/9.9.zarr"],
            id="a series that left the manifest",
        ),
        pytest.param(
            ["reports/subset1/LIDC-7/report.html"],
            ["reports/subset1/LIDC-7"],
            id="a patient who left the diagnoses",
        ),
        pytest.param(
            [f"{folder}/subset7/x" for folder in ("volumes", "crops", "findings", "reports")]
            + ["tables/candidates/subset7.parquet"],
            [f"{folder}/subset7" for folder in ("volumes", "crops", "findings", "reports")]
            + ["tables/candidates/subset7.parquet"],
            id="a forgotten subset",
        ),
        pytest.param(
            ["raw/subset7/a.mhd", "volumes/subset7/1.2.zarr/zarr.json", "crops/subset7/crops.npy"],
            [],
            id="a subset on its way",
        ),
        pytest.param(["reports/subset1/index.html"], [], id="the list of a subset's patients"),
        pytest.param(
            ["findings/subset2/masks/1.2.npz", "raw/subset2/a.mhd"],
            [],
            id="masks of a subset whose ingest is on its way",
        ),
        pytest.param(["trainings/nodule/abc/state.json"], [], id="a training of two days ago"),
    ],
)
def test_exactly_what_nobody_needs_goes(home: Home, made: list[str], gone: list[str]) -> None:
    kept = _files(home)
    new = {name: _write(home, name).read_bytes() for name in made}

    told = list(prune(home, is_to_remove=False))
    assert sorted(one.name for one in told) == sorted(gone)
    assert _files(home) == {**kept, **new}, "only told"

    removed = list(prune(home, is_to_remove=True))
    assert removed == told
    stays = {n: c for n, c in new.items() if not any(n == g or n.startswith(f"{g}/") for g in gone)}
    assert _files(home) == {**kept, **stays}
    assert not list(prune(home, is_to_remove=False))


def test_a_subset_on_its_way_stays_where_raw_is_a_link(home: Home, tmp_path: Path) -> None:
    (tmp_path / "drive" / "subset7").mkdir(parents=True)
    home.raw.symlink_to(tmp_path / "drive")
    _write(home, "volumes/subset7/1.2.zarr/zarr.json")
    assert list(prune(home, is_to_remove=False)) == []


def test_masks_go_where_their_findings_are_gone(home: Home) -> None:
    home.findings("subset1").unlink()
    assert [one.name for one in prune(home, is_to_remove=True)] == ["findings/subset1/masks"]


def test_a_training_is_given_up_after_thirty_days(home: Home) -> None:
    _write(home, "trainings/nodule/abc/state.json", age_s=ABANDONED_S + 60)
    young = _write(home, "trainings/nodule/def/state.json", age_s=ABANDONED_S - 3600)
    assert [one.name for one in prune(home, is_to_remove=True)] == ["trainings/nodule/abc"]
    assert young.is_file()


def test_what_was_written_today_stays(home: Home) -> None:
    _write(home, "volumes/subset0/9.9.zarr/zarr.json")
    _write(home, "volumes/subset0/9.9.zarr/0/c/0", age_s=60)
    assert not list(prune(home, is_to_remove=True))
    assert len(list(prune(home, is_to_remove=True, unchanged_s=30))) == 1


def test_a_damaged_manifest_costs_no_volume(home: Home) -> None:
    _write(home, "tables/hu_volumes/subset0.parquet")
    assert not list(prune(home, is_to_remove=True))


def test_a_run_on_the_subset_is_waited_for(home: Home) -> None:
    _write(home, "volumes/subset0/9.9.zarr/zarr.json")

    def name_it_again() -> None:
        _manifest(home, "subset0", ["1.2", "1.3", "9.9"])

    assert not _pruned_while_held(home, locks.data_of("subset0"), name_it_again)
    assert home.volume("subset0", "9.9").is_dir()


def test_a_run_that_makes_findings_is_waited_for(home: Home) -> None:
    home.findings("subset1").unlink()
    gone = _pruned_while_held(home, locks.findings_of("subset1"), lambda: None)
    assert [one.name for one in gone] == ["findings/subset1/masks"]


def test_a_training_that_goes_on_is_waited_for(home: Home) -> None:
    state = _write(home, "trainings/nodule/abc/state.json", age_s=ABANDONED_S + 60)
    assert not _pruned_while_held(home, locks.training_of("nodule", "abc"), lambda: _age(state, 0))
    assert state.is_file()


def _pruned_while_held(home: Home, name: str, work: Callable[[], None]) -> list[Unneeded]:
    """What prune removes when it begins while another holds a name, which works before it ends."""
    waits, gone = threading.Event(), []
    pruning = threading.Thread(
        target=lambda: gone.extend(prune(home, is_to_remove=True, tell=lambda _: waits.set()))
    )
    with locks.held(home, write=[name]):
        pruning.start()
        assert waits.wait(60)
        work()
    pruning.join(60)
    return gone


def test_after_it_an_ingest_makes_nothing_again(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    write_luna_folder(home.raw, num_subsets=1, scans_per_subset=2)
    list_raw(home, "subset0")
    made = convert_volumes(home, "subset0")[1]
    removed_scan = sorted(home.raw_subset("subset0").glob("*.mhd"))[0]
    removed_scan.unlink()
    list_raw(home, "subset0")
    assert convert_volumes(home, "subset0")[1] != made

    [gone] = prune(home, is_to_remove=True, unchanged_s=0)

    assert gone.path == home.volume("subset0", removed_scan.stem)
    before = {p: p.stat().st_mtime_ns for p in home.root.rglob("*") if "volumes" in p.parts}
    convert_volumes(home, "subset0")
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_every_file_counts_once(home: Home) -> None:
    _write(home, "raw/subset0/a.raw", 8192)
    (home.root / "elsewhere").symlink_to(home.root / "volumes")
    usage = usage_of(home)
    by_stage = {stage.stage: stage for stage in usage.stages}
    assert list(by_stage) == [*STAGES, OTHER]
    assert usage.num_files == len(_files(home)) + 1
    volumes = by_stage["volumes"]
    assert (volumes.num_files, volumes.num_bytes, volumes.num_scans) == (4, 4 * 4096, 4)
    assert volumes.bytes_per_scan == 4096
    assert by_stage["mlflow"].num_scans is None
    assert by_stage[OTHER].num_files == 2
    assert usage.free_bytes is not None


def test_the_commands_tell_sizes(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(home.root))
    shown = CliRunner().invoke(main, ["home", "usage"])
    assert shown.exit_code == 0, shown.output
    assert "volumes" in shown.output
    assert "16.4 kB" in shown.output
    assert "Nothing to remove" in CliRunner().invoke(main, ["home", "prune"]).output
    _write(home, "volumes/subset0/9.9.zarr/zarr.json")
    for asked, done in ((["--check"], "may go: 4.1 kB"), ([], "removed: 4.1 kB")):
        told = CliRunner().invoke(main, ["home", "prune", *asked])
        assert "volumes/subset0/9.9.zarr: the manifest of subset0 does not name it" in told.output
        assert done in told.output


def test_a_home_that_is_not_there_is_empty(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "none")
    assert usage_of(home).num_files == 0
    assert not list(prune(home, is_to_remove=True))
