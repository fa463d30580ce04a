# SPDX-License-Identifier: Apache-2.0
"""The picture of the waterfall: what is left after each stage, in both inks."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from lung_pipeline.evaluation.lost_nodules.waterfall import (
    ERODED,
    FOUND,
    NOT_MARKED,
    STAGES,
    Waterfall,
)
from lung_pipeline.reporting.scores.waterfall_plot import nodules_left, waterfall_svg


def _counts(**of: int) -> dict[str, int]:
    names = {"found": FOUND, "not_marked": NOT_MARKED, "eroded": ERODED}
    return {**dict.fromkeys(STAGES, 0), **{names[key]: count for key, count in of.items()}}


SMALL, LARGE = _counts(found=3, not_marked=2, eroded=1), _counts(found=4)
MADE = Waterfall(
    nodule_threshold=0.5,
    malignancy_threshold=0.5,
    stages=_counts(found=7, not_marked=2, eroded=1),
    by_diameter={"under 5 mm": SMALL, "5 to 8 mm": LARGE, "from 8 mm": _counts()},
    by_density={},
    by_slice_spacing={},
)


def test_what_is_left_falls_stage_by_stage_to_what_is_found() -> None:
    assert nodules_left(MADE) == {
        "under 5 mm": [6, 4, 3, 3, 3, 3, 3, 3],
        "5 to 8 mm": [4] * 8,
        "from 8 mm": [0] * 8,
    }


def test_svg_is_whole_and_the_same_each_time() -> None:
    light, dark = (waterfall_svg(MADE, dark=dark) for dark in (False, True))
    assert ET.fromstring(light).tag.endswith("svg")
    assert light == waterfall_svg(MADE, dark=False)
    assert light != dark
    assert "#b4541a" in light
    assert "#f2a65a" in dark


@pytest.mark.parametrize("text", ["10", "8", "−2", "7", "−1", "under 5 mm", "from 8 mm", "marked"])
def test_numbers_losses_and_bands_stand_in_the_picture(text: str) -> None:
    # Matplotlib draws glyphs and keeps each text as a comment beside them.
    assert f"<!-- {text} -->" in waterfall_svg(MADE, dark=False)


def test_without_nodules_there_are_bars_of_nothing() -> None:
    empty = Waterfall(0.5, 0.5, _counts(), {"under 5 mm": _counts()}, {}, {})
    assert ET.fromstring(waterfall_svg(empty, dark=True)).tag.endswith("svg")
