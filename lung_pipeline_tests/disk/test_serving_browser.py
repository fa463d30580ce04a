# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser over the real command: a scan is dropped, and its report is read."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import psutil
import pytest
from bright_models import register_bright_models

from lung_pipeline.home import Home

playwright = pytest.importorskip("playwright.sync_api", reason="the extra dev is not installed")

pytestmark = pytest.mark.slow

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_PATIENCE_MS = 120_000


@pytest.fixture
def page() -> Iterator[playwright.Page]:
    """A page of the system's own browser that fails the test when its script does."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)}")
    problems: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=found)
        context = browser.new_context()
        context.on("console", lambda said: problems.append(said.text))
        context.on("weberror", lambda error: problems.append(str(error.error)))
        yield context.new_page()
        browser.close()
    # A refusal is an answer too, which the browser's own console calls a failure.
    assert [one for one in problems if "status of 422" not in one] == []


class Server:
    """The command `lung-pipeline serve` in a process of its own."""

    def __init__(self, home: Home, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-c", "from lung_pipeline.cli import main; main()"]
        self.process = subprocess.Popen(
            [*command, "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
            env={**os.environ, "LUNG_PIPELINE_HOME": str(home.root)},
        )
        assert self.process.stdout is not None
        said = iter(self.process.stdout)
        found = next(filter(None, (re.search(r"http://\S+", line) for line in said)))
        self.address = found[0]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def home(mlflow_home: Home) -> Home:
    register_bright_models(mlflow_home)
    return mlflow_home


@pytest.fixture
def server(home: Home, tmp_path: Path) -> Iterator[Server]:
    started = Server(home, tmp_path / "server.log")
    yield started
    started.process.terminate()
    started.process.wait(20)
    left = home.root / "served"
    assert (
        not left.exists()
        or started.process.returncode == -signal.SIGKILL
        or not any(left.iterdir())
    )


@pytest.fixture
def scan(phantom_home: Home) -> Path:
    return min(phantom_home.raw_subset("subset0").glob("*.mhd"))


@pytest.fixture
def archive(scan: Path, tmp_path: Path) -> Path:
    path = tmp_path / "Meier_Anna.zip"
    with ZipFile(path, "w") as packed:
        for file in (scan, scan.with_suffix(".raw")):
            packed.write(file, file.name)
    return path


def _steps_until_result(page: playwright.Page) -> list[str]:
    """What the page said it was doing, up to the result."""
    seen: list[str] = []
    started = time.monotonic()
    while not page.is_visible("#result"):
        assert time.monotonic() - started < _PATIENCE_MS / 1000
        # Both at once: between two questions the page may have gone on.
        doing = page.evaluate("progress.hidden || doing.textContent")
        if doing is not True and doing not in seen:
            seen.append(doing)
        page.wait_for_timeout(50)
    return seen


def test_a_scan_is_sent_followed_and_its_report_read(
    page: playwright.Page, server: Server, archive: Path, scan: Path
) -> None:
    page.goto(server.address)
    assert page.is_disabled("#send")
    page.set_input_files("#files", archive)
    page.check("#dicom")
    page.click("#send")
    steps = _steps_until_result(page)
    assert "Finding the lungs" in steps
    assert page.inner_text("#verdict").lower() == "malignant"
    assert "findings count as nodules" in page.inner_text("#summary")
    with page.expect_popup() as opened:
        page.click("#open-report a")
    report = opened.value
    report.wait_for_load_state()
    assert scan.stem in report.inner_text("h1")
    assert report.evaluate("origin") == "null"
    with page.expect_download() as fetched:
        page.click("text=dicom_results.zip")
    with ZipFile(fetched.value.path()) as packed:
        assert "dicom_results/findings_sr.dcm" in packed.namelist()
    # The result is found again after a reload, until it is removed.
    page.reload()
    page.wait_for_selector("#verdict", timeout=_PATIENCE_MS)
    page.click("#remove")
    page.wait_for_selector("#ask")
    page.wait_for_timeout(500)
    assert httpx.get(report.url).status_code == 404
    log = server.log.read_text()
    assert "done" in log
    assert "Meier" not in log
    assert scan.stem not in log
    job_id = report.url.split("/")[4]
    assert job_id not in log


def test_a_refusal_is_read_in_words_and_markup_stays_text(
    page: playwright.Page, server: Server, tmp_path: Path
) -> None:
    bad = tmp_path / "<img src=x onerror=alert(1)>.mhd"
    bad.write_text("ObjectType = <b>Image</b>\nElementDataFile = <b>nowhere</b>.raw\n")
    page.goto(server.address)
    page.set_input_files("#files", bad)
    assert "<img src=x" in page.inner_text("#chosen")
    # By keyboard alone.
    page.focus("#files")
    for _ in range(4):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "send"
    page.keyboard.press("Enter")
    page.wait_for_selector("#result", timeout=_PATIENCE_MS)
    assert page.inner_text("#verdict") == "Refused"
    assert page.locator("#result b, #result img").count() == 0
    assert page.evaluate("document.activeElement.id") == "result"


def test_a_dropped_pair_of_files_can_be_cancelled(
    page: playwright.Page, server: Server, home: Home, scan: Path
) -> None:
    page.goto(server.address)
    page.set_input_files("#files", [scan.with_suffix(".raw"), scan])
    page.click("#send")
    page.wait_for_selector("#doing:text('Finding the lungs')", timeout=_PATIENCE_MS)
    page.click("#cancel")
    page.wait_for_selector("#ask")
    (folder,) = (home.root / "served").iterdir()
    started = time.monotonic()
    while [path.name for path in folder.iterdir()] != ["lock"] or server.children():
        assert time.monotonic() - started < 10
        time.sleep(0.05)
    # The page does not go on asking for what is gone.
    page.set_input_files("#files", scan)
    page.wait_for_timeout(1500)
    assert scan.name in page.inner_text("#chosen")


def test_a_scan_for_another_kind_of_file_is_refused_before_it_is_sent(
    page: playwright.Page, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "letter.pdf").write_text("Dear colleague")
    page.goto(server.address)
    page.set_input_files("#files", tmp_path / "letter.pdf")
    page.click("#send")
    page.wait_for_selector("#result")
    assert "an upload must be one file ending in .zip" in page.inner_text("#summary")


def test_a_diagnosis_does_not_outlive_a_server_that_was_killed(server: Server, scan: Path) -> None:
    files = (scan, scan.with_suffix(".raw"))
    told = [{"name": file.name, "bytes": file.stat().st_size} for file in files]
    with httpx.Client(
        base_url=server.address, headers={"Origin": server.address.rstrip("/")}
    ) as client:
        job = client.post("/jobs", json={"files": told}).json()["id"]
        for number, file in enumerate(files):
            client.put(f"/jobs/{job}/{number}", content=file.read_bytes())
        while not client.get(f"/jobs/{job}").json()["step"]:
            time.sleep(0.02)
    (child,) = server.children()
    server.process.kill()
    child.wait(10)
    assert not child.is_running()
