# SPDX-License-Identifier: Apache-2.0
"""Anybody's detections scored: tables in, all that LUNA16's protocol says of them out.

Belongs here: the order of the steps. Does not belong here: the steps, and files that are written
(``reporting/scores/froc_files.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.detection.detections import ScoredTables
from lung_pipeline.evaluation.detection.froc import FP_RATES, Froc, froc
from lung_pipeline.evaluation.detection.froc_bootstrap import froc_figures
from lung_pipeline.evaluation.detection.froc_draws import (
    NUM_FROC_RESAMPLES,
    drawn_sensitivities,
    froc_band,
)
from lung_pipeline.evaluation.detection.froc_figures import FrocFigures
from lung_pipeline.evaluation.detection.matching import Matches
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED

_BAND_RATES = 241
"""Rates at which the band is measured: forty an octave, which no eye tells from a smooth line."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Percentile intervals along the curve; each holds at its rate, not for the curve at once."""

    fp_per_scan: _Floats
    """Rates from 1/8 to 8, ascending."""

    low: _Floats
    """Where the interval of the sensitivity begins; NaN where no draw is known."""

    high: _Floats
    """Where it ends."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredDetections:
    """One system's detections, scored."""

    tables: ScoredTables
    """What was scored against what."""

    matches: Matches
    """What became of each nodule and each detection."""

    curve: Froc
    """The whole curve."""

    figures: FrocFigures
    """The seven sensitivities, the CPM and the counts."""

    band: Band | None
    """Around the curve; None without a bootstrap."""

    @property
    def emptied_series_uids(self) -> tuple[str, ...]:
        """Series with detections that all fell to the cap, being tied."""
        return tuple(
            sorted(set(self.matches.silent_series_uids) - {*self.tables.silent_series_uids})
        )


def score_detections(
    tables: ScoredTables,
    patient_of_series: Mapping[str, str] | None = None,
    *,
    num_resamples: int = NUM_FROC_RESAMPLES,
    seed: int = RESAMPLING_SEED,
) -> ScoredDetections:
    """Score one system's detections as LUNA16 does, with intervals over patients.

    Args:
        tables: what ``read_scored_tables`` gave.
        patient_of_series: whose each series is; one that is not named is its own patient.
        num_resamples: bootstrap samples; 0 for no intervals.
        seed: the same seed gives the same intervals.

    Raises:
        SettingError: a negative number of bootstrap samples.
    """
    matches = tables.matched()
    return ScoredDetections(
        tables=tables,
        matches=matches,
        curve=froc(matches, len(matches.series_uids)),
        figures=froc_figures(matches, patient_of_series, num_resamples=num_resamples, seed=seed),
        band=_band(matches, patient_of_series, num_resamples, seed) if num_resamples else None,
    )


def _band(
    matches: Matches, patient_of_series: Mapping[str, str] | None, num_resamples: int, seed: int
) -> Band:
    rates = np.geomspace(FP_RATES[0], FP_RATES[-1], _BAND_RATES)
    drawn = drawn_sensitivities(
        matches, rates, patient_of_series, num_resamples=num_resamples, seed=seed
    )
    return Band(rates, *froc_band(drawn))
