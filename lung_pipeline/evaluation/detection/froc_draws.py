# SPDX-License-Identifier: Apache-2.0
"""FROC curves of patients drawn anew, with all their scans, nodules and findings.

A draw takes as many patients as there are, with replacement. A patient drawn twice counts twice:
the nodules, the findings and the series in the divisor. Nothing is matched again, since patients
share no scan; a draw is a weight for each patient. Each draw has a curve as ``froc.py`` makes it,
ties and interpolation included.

LUNA16's script draws scans; here a patient with two scans is drawn whole, since their findings are
alike. A series whose patient is not known is its own patient.

A draw worked by hand: patient p has two scans, a nodule with a hit at 0.9 in one of them, and is
drawn twice; q has one scan, a missed nodule and a false positive at 0.8, and is drawn once; r has
one scan without anything and is not drawn.

    nodules 2 + 1 = 3, hits 2, false positives 1, series 2 * 2 + 1 = 5
    the curve: (0, 2/3) from score 0.9 on, (1/5, 2/3) from 0.8 on
    as it was: (0, 1/2) from score 0.9 on, (1/4, 1/2) from 0.8 on: four series, a draw of each

Belongs here: weights and curves. Does not belong here: figures with intervals
(``froc_bootstrap.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.detection.matching import FALSE_POSITIVE, Matches
from lung_pipeline.learning.resampling import CONFIDENCE, times_drawn

NUM_FROC_RESAMPLES = 1000
"""Bootstrap samples of a FROC curve, as in LUNA16's script."""

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """Patients as places in their sorted list."""

    of_series: _Integers
    """For each series its patient."""

    num_series: _Integers
    """For each patient."""

    num_nodules: _Integers
    """For each patient."""

    @property
    def num(self) -> int:
        """How many there are."""
        return len(self.num_series)


def patients_of(matches: Matches, patient_of_series: Mapping[str, str] | None) -> Patients:
    """Whose the series of some matches are."""
    known = patient_of_series or {}
    # A pair keeps a series without a patient apart from a patient of the same name.
    names = [(uid in known, known.get(uid, uid)) for uid in matches.series_uids]
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    of_series = np.array([places[name] for name in names], dtype=np.int64)
    return Patients(
        of_series=of_series,
        num_series=np.bincount(of_series, minlength=len(places)),
        num_nodules=np.bincount(of_series[matches.nodule_series], minlength=len(places)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class WeightedFroc:
    """A FROC curve whose patients count a number of times each."""

    patients: Patients
    """Who can be weighted."""

    event_patient: _Integers
    """Hits and false positives from the highest score down: whose each is."""

    is_hit: npt.NDArray[np.bool_]
    """Whether it is a hit."""

    last_of_ties: _Integers
    """The places where the curve has a point: the last of each score."""

    def sensitivities_at(self, fp_rates: Sequence[float] | _Floats, times: _Integers) -> _Floats:
        """The interpolated sensitivities at rates of false positives a scan.

        Args:
            fp_rates: shape (rates,).
            times: how often each patient counts, shape (patients,), in their sorted order.

        Returns:
            Shape (rates,); NaN where no nodule counts.
        """
        num_nodules = int(times @ self.patients.num_nodules)
        if not num_nodules:
            return np.full(len(fp_rates), np.nan)
        weights = times[self.event_patient]
        all_so_far = np.cumsum(weights)[self.last_of_ties]
        hits_so_far = np.cumsum(weights * self.is_hit)[self.last_of_ties]
        false_positives = np.append(0, all_so_far - hits_so_far)
        fp_allowed = np.asarray(fp_rates) * int(times @ self.patients.num_series)
        return np.interp(fp_allowed, false_positives, np.append(0, hits_so_far)) / num_nodules


def weighted_froc(
    matches: Matches, patient_of_series: Mapping[str, str] | None = None
) -> WeightedFroc:
    """Sort hits and false positives once, so that each draw is two sums along them."""
    patients = patients_of(matches, patient_of_series)
    is_found = matches.nodule_finding >= 0
    is_false = matches.finding_fate == FALSE_POSITIVE
    scores = np.concatenate([matches.nodule_score[is_found], matches.finding_score[is_false]])
    series = np.concatenate([matches.nodule_series[is_found], matches.finding_series[is_false]])
    order = np.argsort(-scores)
    is_last = np.append(np.diff(scores[order]) != 0, True)[: len(scores)]
    return WeightedFroc(
        patients=patients,
        event_patient=patients.of_series[series[order]],
        is_hit=order < np.count_nonzero(is_found),
        last_of_ties=np.flatnonzero(is_last),
    )


def drawn_sensitivities(
    matches: Matches,
    fp_rates: Sequence[float] | _Floats,
    patient_of_series: Mapping[str, str] | None = None,
    *,
    num_resamples: int,
    seed: int,
) -> _Floats:
    """The sensitivity of each draw at some rates of false positives a scan.

    Returns:
        Shape (num_resamples, rates); a row of NaN for a draw without a nodule.

    Raises:
        SettingError: a negative number of resamples.
    """
    if num_resamples < 0:
        raise SettingError(
            value=num_resamples,
            place="num_resamples",
            rule="the number of bootstrap samples must be 0 or more",
            cure=f"Give {NUM_FROC_RESAMPLES}, or 0 for no intervals.",
        )
    weighted, rng = weighted_froc(matches, patient_of_series), np.random.default_rng(seed)
    drawn = np.empty((num_resamples, len(fp_rates)))
    for row in drawn:
        row[:] = weighted.sensitivities_at(fp_rates, times_drawn(weighted.patients.num, 1, rng)[0])
    return drawn


def froc_band(drawn: _Floats) -> tuple[_Floats, _Floats]:
    """The percentile interval at each rate (low and high); NaN where no draw is known."""
    known = drawn[~np.isnan(drawn).any(axis=1)]
    if not len(known):
        nothing = np.full(drawn.shape[1], np.nan)
        return nothing, nothing
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail], axis=0)
    return low, high
