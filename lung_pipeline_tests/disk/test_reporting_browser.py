# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: one pages through the slices, and no foreign script runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from patient_reports import MADE_AT, VOLUMES, diagnosis, finding

from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.patient.report import write_patient_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

FOREIGN = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright (extra: dev)")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        # Without a sandbox, since tests may run as root; the page is our own file.
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A report whose nodule 1 lies in slice 9 and nodule 2 in slice 3 of 12."""
    masks = [FindingMask((k, 20, 20), np.ones((1, 4, 4), dtype=bool)) for k in (3, 9)]
    milder = finding(malignancy_probability=0.6, z_mm=-4.0, index=3.0)
    of = diagnosis(milder, finding(z_mm=8.0, index=9.0, density=FOREIGN), patient_id=FOREIGN)
    path = tmp_path / "report.html"
    write_patient_report(
        path,
        diagnosis=replace(of, cautions=(FOREIGN,)),
        volumes=VOLUMES,
        truth=None,
        made_at=MADE_AT,
        masks={"1.2.3": masks},
    )
    # A little later than loading: that is when a broken picture would run its handler.
    opened = browser.new_page(viewport={"width": 1000, "height": 800})
    opened.goto(path.as_uri())
    opened.wait_for_timeout(200)
    yield opened
    opened.close()


def shown_slice(page: Page) -> str:
    """What is said of the one slice that can be seen."""
    (caption,) = [c for c in page.locator(".slice figcaption").all() if c.is_visible()]
    return caption.inner_text()


def test_it_opens_at_the_most_suspicious_nodule(page: Page) -> None:
    assert shown_slice(page) == "Slice 9, counted from the feet from 0 · z 8.0 mm · nodule 1"


def test_arrow_keys_move_the_slider_toward_the_feet_and_back(page: Page) -> None:
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert shown_slice(page).startswith("Slice 8,")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert shown_slice(page).startswith("Slice 10,")
    page.keyboard.press("End")
    assert shown_slice(page).startswith("Slice 0,")
    assert slider.get_attribute("aria-valuetext") == shown_slice(page)


def test_the_mouse_drags_the_slider(page: Page) -> None:
    slider = page.get_by_role("slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert shown_slice(page).startswith("Slice 0,")


def test_drawing_the_picture_sideways_pages(page: Page) -> None:
    film = page.locator(".film")
    film.scroll_into_view_if_needed()
    box = film.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 100
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 24, y, steps=4)
    page.mouse.up()
    assert shown_slice(page).startswith("Slice 6,")
    page.mouse.move(x - 24, y)
    assert shown_slice(page).startswith("Slice 6,")


def test_the_wheel_pages_after_a_click_and_scrolls_the_page_before(page: Page) -> None:
    film = page.locator(".film")
    film.scroll_into_view_if_needed()
    film.hover()
    page.mouse.wheel(0, 40)
    page.wait_for_timeout(200)
    assert shown_slice(page).startswith("Slice 9,")
    film.click()
    scrolled = page.evaluate("scrollY")
    page.mouse.wheel(0, 40)
    page.wait_for_function("document.querySelector('.slice.shown').id === 'slice-0-8'")
    assert page.evaluate("scrollY") == scrolled


def test_marks_and_cards_lead_to_the_slice_of_their_nodule(page: Page) -> None:
    page.locator(".ticks a", has_text="2").click()
    assert "nodule 2" in shown_slice(page)
    page.locator("#nodule-1 .to-slice").click()
    assert "nodule 1" in shown_slice(page)
    assert page.locator(".slice.shown").bounding_box()["y"] < 800  # type: ignore[index]


def test_outlines_can_be_taken_away(page: Page) -> None:
    outline = page.locator(".slice.shown .outline")
    assert outline.is_visible()
    page.get_by_role("checkbox").uncheck()
    assert not outline.is_visible()


def test_no_script_of_a_value_ran_and_none_can(page: Page) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    assert page.title() == f"Lung nodules: {FOREIGN}"
    assert page.locator("h1").inner_text() == FOREIGN
    page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'document.title = 1';"
        "document.body.append(s)"
    )
    assert page.title() == f"Lung nodules: {FOREIGN}"
    assert any("Content Security Policy" in text for text in refused)


def test_without_scripts_the_slices_stand_in_a_column(browser: Browser, page: Page) -> None:
    still = browser.new_context(java_script_enabled=False).new_page()
    still.goto(page.url)
    assert still.locator(".slice").count() == 12
    assert still.locator(".slice").last.is_visible()
    assert not still.locator(".slider").is_visible()
    still.context.close()
