# SPDX-License-Identifier: Apache-2.0
"""Through Dagster's own daemon and web server: a backfill by command, a subset that arrives.

The whole of it, with models and diagnoses, takes minutes: ``make service`` (benchmarks/service.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from dagster_servers import runs_of, serving, switch_sensor, until

from lung_pipeline.cli import main
from lung_pipeline.home import Home
from lung_pipeline.orchestration.backfill.webserver import Webserver
from lung_pipeline.phantom.folder import write_luna_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two subsets of one phantom each; one lies elsewhere as yet."""
    root = tmp_path_factory.mktemp("service")
    write_luna_folder(root / "raw", num_subsets=2, scans_per_subset=1, seed=1)
    (root / "raw" / "subset1").rename(root / "later")
    return Home.at(root)


@pytest.fixture(scope="module")
def webserver(home: Home) -> Iterator[Webserver]:
    with serving(home) as served:
        # What is asked for here is asked for by command first.
        switch_sensor(served, "new_luna_subset", on=False)
        yield served


def _backfill(home: Home, webserver: Webserver, *arguments: str) -> tuple[int, str]:
    command = ["backfill", "--url", webserver.url, *arguments]
    done = CliRunner().invoke(main, command, env={"LUNG_PIPELINE_HOME": str(home.root)})
    return done.exit_code, done.output


def test_a_subset_on_disk_is_backfilled_by_command_and_the_next_one_by_the_sensor(
    home: Home, webserver: Webserver
) -> None:
    code, said = _backfill(home, webserver, "--subset", "subset0")
    assert code == 0, said
    assert "new partition: subset0" in said
    assert "made 5 of 5 asset partitions" in said
    assert home.crops_index("subset0").is_file()

    switch_sensor(webserver, "new_luna_subset", on=True)
    shutil.copytree(home.root / "later", home.raw / "subset1")
    (home.raw / "subset1" / ".done").touch()
    until(lambda: ("subset1", "SUCCESS") in runs_of(webserver, "ingest"), "subset1 is ingested")
    assert home.crops_index("subset1").is_file()
    # The other one stands as it was ingested, though not by the sensor.
    assert runs_of(webserver, "ingest") == [("subset1", "SUCCESS")]
    code, said = _backfill(home, webserver, "--subset", "subset2")
    assert (code, "there are: subset0, subset1" in said) == (2, True), said


def test_what_cannot_be_backfilled_is_said_in_one_line(home: Home, webserver: Webserver) -> None:
    for arguments, told in (
        (("--subset", "Subset-0"), "lowercase letters, digits"),
        (("--all", "--assets", "cropz"), "raw_subset"),
        (("--all", "--assets", "models"), "made a subset at a time"),
    ):
        code, said = _backfill(home, webserver, *arguments)
        assert (code, told in said) == (2, True), said
        assert len(said.strip().splitlines()) == 1


def test_a_run_that_fails_makes_exit_code_1_and_is_named(home: Home, webserver: Webserver) -> None:
    table = home.raw / "annotations.csv"
    table.rename(home.root / "annotations.csv")
    code, said = _backfill(home, webserver, "--subset", "subset1", "--assets", "candidates")
    (home.root / "annotations.csv").rename(table)
    assert code == 1, said
    assert "1 failed" in said
    assert f"failed run: {webserver.url}/runs/" in said


def test_nobody_there_is_said_with_the_cure(home: Home) -> None:
    code, said = _backfill(home, Webserver("http://127.0.0.1:1"), "--all")
    assert code == 2
    assert "Dagster's web server must answer there" in said
    assert "make ui" in said
