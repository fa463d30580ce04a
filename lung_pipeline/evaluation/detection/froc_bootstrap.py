# SPDX-License-Identifier: Apache-2.0
"""How sure a FROC curve is: percentile intervals over draws of patients, not of nodules.

Figures of one system, and the differences of two that were measured on the same draws: how much one
system finds above the other is known better than how much either finds, since hard patients are
hard for both. Intervals lie between percentiles of the draws' figures.

Belongs here: figures and differences. Does not belong here: the draws (``froc_draws.py``) and what
is written down (``froc_figures.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.detection.froc import FP_RATES, froc
from lung_pipeline.evaluation.detection.froc_draws import (
    NUM_FROC_RESAMPLES,
    drawn_sensitivities,
    patients_of,
)
from lung_pipeline.evaluation.detection.froc_figures import AtRates, FrocDifference, FrocFigures
from lung_pipeline.evaluation.detection.matching import Matches
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.learning.resampling import NOT_MEASURED, Estimate, percentile_estimate

_Floats = npt.NDArray[np.float64]


def froc_figures(
    matches: Matches,
    patient_of_series: Mapping[str, str] | None = None,
    *,
    num_resamples: int = NUM_FROC_RESAMPLES,
    seed: int = RESAMPLING_SEED,
) -> FrocFigures:
    """The seven sensitivities and the CPM with their intervals.

    Args:
        matches: what ``match`` gave for all series that were looked at: their number divides.
        patient_of_series: whose each series is; one that is not named is its own patient.
        num_resamples: bootstrap samples; 0 for figures without intervals.
        seed: the same seed gives the same draws, in any order of the rows.

    Raises:
        SettingError: a negative number of resamples, or no series at all.
    """
    curve = froc(matches, len(matches.series_uids))
    values = np.array([curve.sensitivity_at(rate) for rate in FP_RATES])
    drawn = drawn_sensitivities(
        matches, FP_RATES, patient_of_series, num_resamples=num_resamples, seed=seed
    )
    sensitivity, cpm = _estimates(values, drawn)
    return FrocFigures(
        sensitivity=sensitivity,
        cpm=cpm,
        counts=matches.counts,
        num_series=len(matches.series_uids),
        num_patients=patients_of(matches, patient_of_series).num,
        num_nodules=matches.num_nodules,
        num_resamples=num_resamples,
    )


def froc_difference(
    matches: Matches,
    other: Matches,
    patient_of_series: Mapping[str, str] | None = None,
    *,
    num_resamples: int = NUM_FROC_RESAMPLES,
    seed: int = RESAMPLING_SEED,
) -> FrocDifference:
    """The figures of ``matches`` less those of ``other``, paired: the same draws for both.

    Positive where ``matches`` (the challenger) finds more.

    Args:
        matches: what ``match`` gave for one system.
        other: the same for the other system, on the same series and the same table of nodules.
        patient_of_series: whose each series is; one that is not named is its own patient.
        num_resamples: bootstrap samples.
        seed: the same seed gives the same draws.

    Raises:
        SettingError: the two were not matched on the same series and nodules.
    """
    _refuse_unlike(matches, other)
    pair = []
    for of in (matches, other):
        curve = froc(of, len(of.series_uids))
        drawn = drawn_sensitivities(
            of, FP_RATES, patient_of_series, num_resamples=num_resamples, seed=seed
        )
        pair.append((np.array([curve.sensitivity_at(rate) for rate in FP_RATES]), drawn))
    (values, drawn), (other_values, other_drawn) = pair
    sensitivity, cpm = _estimates(values - other_values, drawn - other_drawn)
    num_patients = patients_of(matches, patient_of_series).num
    return FrocDifference(sensitivity, cpm, num_patients, num_resamples)


def _estimates(values: _Floats, drawn: _Floats) -> tuple[AtRates, Estimate]:
    """Each figure with its interval, and their mean with its own."""
    at_rates = tuple(
        (rate, _estimate(value, of_rate))
        for rate, value, of_rate in zip(FP_RATES, values, drawn.T, strict=True)
    )
    return at_rates, _estimate(values.mean(), drawn.mean(axis=1))


def _estimate(value: float, drawn: _Floats) -> Estimate:
    return NOT_MEASURED if np.isnan(value) else percentile_estimate(float(value), [drawn])


def _refuse_unlike(matches: Matches, other: Matches) -> None:
    is_same = matches.series_uids == other.series_uids and np.array_equal(
        matches.nodule_series, other.nodule_series
    )
    if not is_same:
        raise SettingError(
            value=f"{_extent(matches)} and {_extent(other)}",
            place="two systems' matches",
            rule="systems are compared on the same series and the same nodules",
            cure="Match both with the same list of series and the same table of nodules.",
        )


def _extent(matches: Matches) -> str:
    return f"{matches.num_nodules} nodules of {len(matches.series_uids)} series"
