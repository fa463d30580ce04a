# SPDX-License-Identifier: Apache-2.0
"""The pictures of ranking and calibration: what is in them, and that they are pictures at all."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from lung_pipeline.evaluation.ranking.calibration import CalibrationFigures, calibration_figures
from lung_pipeline.evaluation.ranking.roc import RankingFigures, ranking_figures
from lung_pipeline.reporting.scores.plots import INKS
from lung_pipeline.reporting.scores.roc_plots import precision_recall_svg, reliability_svg, roc_svg

CURVES = [roc_svg, precision_recall_svg]


def _ranking(seed: int = 0, num: int = 60) -> RankingFigures:
    rng = np.random.default_rng(seed)
    truth = rng.random(num) < 0.4
    return ranking_figures(truth, truth + rng.normal(0, 1, num), np.arange(num), rng, 50)


def _calibration(num: int = 60) -> CalibrationFigures:
    rng = np.random.default_rng(1)
    probability = rng.random(num) * 0.75
    truth = rng.random(num) < probability
    return calibration_figures(truth, probability, np.arange(num), rng, num_resamples=50)


def _one_class() -> RankingFigures:
    return ranking_figures([True], [0.5], ["P"], np.random.default_rng(0))


@pytest.mark.parametrize("draw", CURVES)
def test_model_and_ruler_are_named_with_figure_and_interval(
    draw: Callable[..., str],
) -> None:
    model, ruler = _ranking(0), _ranking(1)
    svg = draw(model, ruler, dark=False)
    ET.fromstring(svg)
    for name, one in (("model", model), ("diameter alone", ruler)):
        figure = one.roc_auc if draw is roc_svg else one.average_precision
        told = f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
        assert f"{name}, {'area' if draw is roc_svg else 'AP'} {told}" in svg


@pytest.mark.parametrize("draw", CURVES)
def test_without_a_ruler_there_is_one_curve(draw: Callable[..., str]) -> None:
    svg = draw(_ranking(), dark=False)
    assert "diameter alone" not in svg
    assert INKS[False]["mark"] not in svg
    assert INKS[False]["curve"] in svg


@pytest.mark.parametrize("draw", CURVES)
def test_one_class_leaves_the_axes_empty(draw: Callable[..., str]) -> None:
    svg = draw(_one_class(), dark=False)
    ET.fromstring(svg)
    assert INKS[False]["curve"] not in svg
    assert "model" not in svg


def test_band_is_drawn_where_there_is_one() -> None:
    model = _ranking()
    without = RankingFigures.from_json({**model.as_json(), "roc_band": ()})
    # matplotlib calls an area between two lines so.
    assert "FillBetweenPolyCollection" in roc_svg(model, dark=False)
    assert "FillBetweenPolyCollection" not in roc_svg(without, dark=False)


@pytest.mark.parametrize("dark", [False, True])
def test_ink_is_that_of_the_page(dark: bool) -> None:
    pictures = [draw(_ranking(), _ranking(1), dark=dark) for draw in CURVES]
    pictures.append(reliability_svg(_calibration(), dark=dark))
    for svg in pictures:
        assert INKS[dark]["curve"] in svg
        assert INKS[not dark]["curve"] not in svg


def test_same_figures_give_the_same_text() -> None:
    assert roc_svg(_ranking(), dark=True) == roc_svg(_ranking(), dark=True)
    assert reliability_svg(_calibration(), dark=True) == reliability_svg(_calibration(), dark=True)


def test_reliability_shows_the_figures_and_counts_each_full_bin() -> None:
    figures = _calibration()
    svg = reliability_svg(figures, dark=False)
    ET.fromstring(svg)
    assert f"ECE {figures.ece:.3f}, {figures.ece_by_chance:.3f} by chance" in svg
    assert f"Brier score {figures.brier.value:.3f} (" in svg
    counts = [one.count for one in figures.bins]
    assert counts[-1] == 0
    for count in counts:
        assert (f"<!-- {count} -->" in svg) == (count > 0)


def test_reliability_of_nothing_has_axes_alone() -> None:
    nothing = calibration_figures([], [], [], np.random.default_rng(0))
    svg = reliability_svg(nothing, dark=False)
    ET.fromstring(svg)
    assert "ECE" not in svg
