# SPDX-License-Identifier: Apache-2.0
"""A comparison in words and columns, for the page and for the terminal alike.

Belongs here: what a figure is called, and how it reads. Does not belong here: HTML
(``comparison_page.py``) and where it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass

from lung_pipeline.evaluation.comparison.changed_nodules import ChangedNodule
from lung_pipeline.evaluation.comparison.comparison import (
    CPM,
    FP_PER_SCAN,
    MALIGNANCY_AUC,
    MALIGNANCY_AUC_OF_FOUND,
    SENSITIVITY,
    Comparison,
    Pair,
    sensitivity_at,
)
from lung_pipeline.evaluation.detection.froc import FP_RATES
from lung_pipeline.reporting.scores.plots import rate_in_words

UNKNOWN = "not measured"
"""Stands where a figure has nothing to be measured on."""

NAMES = {
    CPM: "CPM",
    **{
        sensitivity_at(rate): f"sensitivity at {rate_in_words(rate)} false positives a scan"
        for rate in FP_RATES
    },
    SENSITIVITY: "sensitivity at the operating points",
    FP_PER_SCAN: "false positives a scan at the operating points",
    MALIGNANCY_AUC: "malignancy AUC, all rated nodules",
    MALIGNANCY_AUC_OF_FOUND: "malignancy AUC, those both found",
}
"""Figures in the order they are shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of both systems, in words."""

    name: str
    """What it is."""

    a: str
    """Of the first."""

    b: str
    """Of the second."""

    difference: str
    """The second's less the first's."""

    interval: str
    """The 95 % interval of the difference."""

    meaning: str
    """better, worse, within noise, equal or not measured."""


def lines(comparison: Comparison) -> list[Line]:
    """The figures of a comparison, a line each."""
    figures = comparison.figures
    return [_line(name, figures[name]) for name in NAMES if name in figures]


def _line(name: str, pair: Pair) -> Line:
    one = pair.difference
    interval = UNKNOWN
    if one.low is not None and one.high is not None:
        interval = f"{one.low:+.3f} to {one.high:+.3f}"
    return Line(
        name=NAMES[name],
        a=figure(pair.a),
        b=figure(pair.b),
        difference=UNKNOWN if one.value is None else f"{one.value:+.3f}",
        interval=interval,
        meaning=_meaning(name, pair),
    )


def _meaning(name: str, pair: Pair) -> str:
    one = pair.difference
    if one.value is None:
        return UNKNOWN
    if one.low is None or one.high is None:
        return "equal" if one.value == 0 else "too few patients"
    if one.low <= 0 <= one.high:
        return "within noise"
    # Of false positives fewer are better.
    return "better" if (one.low > 0) != (name == FP_PER_SCAN) else "worse"


def figure(value: float | None) -> str:
    """A figure to three decimals, or that it is not measured."""
    return UNKNOWN if value is None else f"{value:.3f}"


def score(value: float | None) -> str:
    """A finding's score on a nodule; "nothing there" where no finding lies on it."""
    return "nothing there" if value is None else f"{value:.3f}"


def kind(nodule: ChangedNodule) -> str:
    """What the readers say of a nodule: "malignant (ratings 4,5,4)"."""
    named = {True: "malignant", False: "benign", None: "not labelled"}[nodule.is_malignant]
    return f"{named} (ratings {nodule.ratings})" if nodule.ratings else f"{named}, not rated"


def place(nodule: ChangedNodule) -> str:
    """Where it lies, in LPS."""
    return "x {:.1f}, y {:.1f}, z {:.1f} mm".format(*nodule.center_xyz_mm)


def headline(comparison: Comparison) -> str:
    """The comparison in one line."""
    return (
        f"{comparison.num_nodules} nodules in {comparison.num_series} scans of "
        f"{comparison.num_patients} patients, part '{comparison.part}' of "
        f"{', '.join(comparison.subsets)}: A finds {comparison.a.num_found}, B "
        f"{comparison.b.num_found}; {len(comparison.won)} won, {len(comparison.lost)} lost"
    )
