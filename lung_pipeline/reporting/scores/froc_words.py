# SPDX-License-Identifier: Apache-2.0
"""A scored system in words, for a terminal.

Belongs here: sentences and a table of plain text. Does not belong here: where they are printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lung_pipeline.evaluation.detection.froc_figures import FrocFigures
from lung_pipeline.evaluation.detection.froc_scoring import ScoredDetections
from lung_pipeline.learning.resampling import Estimate
from lung_pipeline.reporting.scores.plots import rate_in_words

MOST_NAMED = 10
"""Series that a warning names; froc.json has all of them."""


def figures_in_words(figures: FrocFigures) -> str:
    """The seven sensitivities, the CPM and the counts, as lines."""
    counts, is_drawn = figures.counts, figures.num_resamples > 0
    rows = [(rate_in_words(rate), at) for rate, at in figures.sensitivity]
    lines = [
        f"{'false positives a scan':<24}{'sensitivity':<13}"
        + ("95 % interval" if is_drawn else ""),
        *(_row(name, at, is_drawn) for name, at in [*rows, ("CPM", figures.cpm)]),
        "",
        f"{figures.num_series:,} scans of {figures.num_patients:,} patients, "
        f"{figures.num_nodules:,} nodules: {counts['hits']:,} hits, {counts['missed']:,} missed",
        f"other detections: {counts['false_positives']:,} false positives, "
        f"{counts['on_excluded']:,} on excluded, {counts['double_hits']:,} double hits",
    ]
    return "\n".join(line.rstrip() for line in lines)


def warnings_in_words(scored: ScoredDetections) -> Iterator[str]:
    """What a person should look at before the figures are believed, a sentence each."""
    silent, emptied = scored.tables.silent_series_uids, scored.emptied_series_uids
    if silent:
        yield f"{_of_the_list(silent)} without any detection: {_named(silent)}"
    if emptied:
        yield f"{_of_the_list(emptied)} emptied by the cap, all being tied: {_named(emptied)}"
    left_out = scored.tables.left_out
    for what, rows in (
        ("detections", left_out["detections_of_other_series"]),
        ("nodules", left_out["nodules_of_other_series"]),
    ):
        if rows:
            yield f"{rows:,} {what} of series that are not on the list were left out"


def _row(name: str, at: Estimate, is_drawn: bool) -> str:
    none = "none: all draws agree" if is_drawn and at.value is not None else ""
    value = "unknown" if at.value is None else f"{at.value:.3f}"
    interval = none if at.low is None or at.high is None else f"{at.low:.3f} to {at.high:.3f}"
    return f"{name:<24}{value:<13}{interval}"


def _of_the_list(series_uids: Sequence[str]) -> str:
    return (
        f"{len(series_uids):,} series of the list"
        if len(series_uids) > 1
        else "1 series of the list"
    )


def _named(series_uids: Sequence[str]) -> str:
    more = len(series_uids) - MOST_NAMED
    shown = ", ".join(series_uids[:MOST_NAMED])
    return f"{shown} and {more:,} more (all are in froc.json)" if more > 0 else shown
