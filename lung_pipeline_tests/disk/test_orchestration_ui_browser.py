# SPDX-License-Identifier: Apache-2.0
"""The four uses in a real browser over `make ui`, each judged by what it did to the home.

Materialise one asset of one partition, backfill new subsets, read metadata and a check, compare two
versions of a model, switch the nightly schedule on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from ui_servers import (
    PATIENCE_S,
    Ui,
    drop_subset,
    make_home_to_show,
    own_browser,
    until,
)

from lung_pipeline.home import Home
from lung_pipeline.orchestration.launch import open_instance
from lung_pipeline.orchestration.partitions import known_subsets

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.slow

# A pattern and no function: a function is asked for each request, and cannot be while a test waits.
_ELSEWHERE = re.compile(r"^(?!http://127\.0\.0\.1:|data:|blob:)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with own_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def home(
    browser: Browser, _empty_mlflow: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """subset0 through ingest, and two versions of the nodule model; a space in its path."""
    made = Home.at(tmp_path_factory.mktemp("ui") / "a home")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DAGSTER_HOME", str(made.root / "dagster"))
        make_home_to_show(made, _empty_mlflow)
        yield made


@pytest.fixture(scope="module")
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with open_instance(home) as opened:
        yield opened


@pytest.fixture(scope="module")
def ui(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """`make ui`, which Ctrl-C ends with all that it started."""
    started = Ui(home, tmp_path_factory.mktemp("log") / "ui.log")
    try:
        started.wait_until_ready()
        # It would ingest the new subsets before a person does.
        started.stop_sensor("new_luna_subset")
        yield started
    finally:
        left = started.end()
    assert left == []
    assert "Ending" in started.log.read_text()


@pytest.fixture
def page(browser: Browser, ui: Ui) -> Iterator[Page]:
    """A page that reaches this machine alone, and never asked for more."""
    asked_for: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_S * 1000)
    context.route(_ELSEWHERE, lambda route: (asked_for.append(route.request.url), route.abort()))
    yield context.new_page()
    ui.look_around()
    context.close()
    assert asked_for == []


def _seen(page: Page, text: str) -> Locator:
    """The text where a person sees it; Dagster measures names in copies nobody sees."""
    return page.get_by_text(text, exact=True).locator("visible=true").last


def _made(instance: dg.DagsterInstance, asset: str) -> list[tuple[str, str]]:
    """Of each materialization of an asset its partition and its run, newest first."""
    records = instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
    return [(str(one.partition_key), one.run_id) for one in records]


def test_one_asset_of_one_partition_is_materialized_from_its_page(
    page: Page, ui: Ui, home: Home, instance: dg.DagsterInstance
) -> None:
    before = _made(instance, "raw_subset")
    volumes = _made(instance, "hu_volumes")
    listed = home.manifest("raw_subset", "subset0")
    listed.unlink()
    page.goto(f"{ui.dagster}/assets/raw_subset")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("Select a partition or create one").click()
    # The name stands on the page behind, too, until the list is there.
    page.get_by_text(re.compile(r"^Select all")).wait_for()
    _seen(page, "subset0").click()
    page.get_by_text("1 partition", exact=True).wait_for()
    # Anywhere else, so that the list closes: it lies over the button.
    page.get_by_text("Launch runs to materialize").click()
    page.get_by_role("button", name="Launch 1 run").click()
    until(lambda: len(_made(instance, "raw_subset")) > len(before), "a materialization")
    (partition, run_id), *_ = _made(instance, "raw_subset")
    assert partition == "subset0"
    until(lambda: instance.get_run_by_id(run_id).is_finished, "the run's end")  # type: ignore[union-attr]
    assert instance.get_run_by_id(run_id).is_success  # type: ignore[union-attr]
    assert listed.is_file()
    assert _made(instance, "hu_volumes") == volumes
    page.goto(f"{ui.dagster}/runs/{run_id}")
    page.get_by_text("Success").first.wait_for()


def test_new_subsets_are_added_and_backfilled_from_the_page_of_the_job(
    page: Page, ui: Ui, home: Home, instance: dg.DagsterInstance
) -> None:
    old = home.crops_index("subset0").stat().st_mtime_ns
    runs_before = len(instance.get_runs())
    page.goto(f"{ui.dagster}/locations/lung_pipeline/jobs/ingest")
    page.get_by_role("button", name="Materialize all").click()
    for subset, series_uid in (("subset1", "b1"), ("subset2", "c1")):
        drop_subset(home, subset, series_uid)
        page.get_by_role("button", name="Add a partition").click()
        page.get_by_placeholder("name", exact=True).fill(subset)
        page.get_by_role("button", name="Save").click()
        page.get_by_placeholder("name", exact=True).wait_for(state="detached")
        until(lambda subset=subset: subset in known_subsets(instance), f"the partition {subset}")
    page.get_by_role("button", name="Missing", exact=True).click()
    page.get_by_text("2 partitions", exact=True).first.wait_for()
    page.get_by_role("button", name="Launch backfill").click()
    (backfill,) = until(instance.get_backfills, "a backfill")
    until(lambda: len(instance.get_runs()) == runs_before + 2, "a run for each subset")
    of_it = dg.RunsFilter(tags={"dagster/backfill": backfill.backfill_id})
    until(lambda: all(run.is_finished for run in instance.get_runs(of_it)), "the end of both runs")
    runs = instance.get_runs(of_it)
    assert {run.tags["dagster/partition"] for run in runs} == {"subset1", "subset2"}
    assert all(run.is_success for run in runs)
    page.goto(f"{ui.dagster}/runs/b/{backfill.backfill_id}")
    page.get_by_text("Completed").first.wait_for()
    for subset in ("subset1", "subset2"):
        assert home.crops_index(subset).is_file()
        assert subset in dict(_made(instance, "crops"))
    assert home.crops_index("subset0").stat().st_mtime_ns == old


def test_metadata_and_a_check_of_an_asset_are_read(page: Page, ui: Ui) -> None:
    page.goto(f"{ui.dagster}/assets/hu_volumes")
    row = page.get_by_role("row").filter(has_text="num_volumes").first
    assert row.inner_text().split()[-1] == "1"
    page.get_by_text("slice_spacing_mm").first.wait_for()
    page.get_by_text("Checks", exact=True).first.click()
    page.get_by_text("hu_range_and_geometry").first.click()
    page.get_by_text("Every volume is int16 HU in [-1000, 1000]").first.wait_for()
    page.get_by_text("num_faults").first.wait_for()


def test_two_versions_of_a_model_stand_side_by_side_in_mlflow(page: Page, ui: Ui) -> None:
    page.goto(f"{ui.mlflow}/#/models/lung-nodule")
    page.get_by_text("Version 2").first.wait_for()
    for box in page.locator("table, [role=table]").get_by_role("checkbox").all()[-2:]:
        box.check()
    page.get_by_role("button", name="Compare").last.click()
    page.get_by_text("Comparing 2 Versions").wait_for()
    loss = page.get_by_role("row").filter(has_text="validation/loss").first
    assert loss.inner_text().split()[-2:] == ["0.5", "0.25"]


def test_nightly_schedule_is_switched_on_and_off(
    page: Page, ui: Ui, instance: dg.DagsterInstance
) -> None:
    def is_on() -> bool:
        return any(
            state.instigator_name == "nightly_revalidation" and state.is_running
            for state in instance.all_instigator_state()
        )

    assert not is_on()
    page.goto(f"{ui.dagster}/automation")
    row = page.locator("div").filter(has_text="nightly_revalidation")
    # The first box of the row chooses it; the second, which comes later, is the switch.
    switch = row.filter(has=page.get_by_role("checkbox")).last.locator("label").nth(1)
    switch.click()
    until(is_on, "a schedule that runs")
    switch.click()
    until(lambda: not is_on(), "a schedule that was stopped")
