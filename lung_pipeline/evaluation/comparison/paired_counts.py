# SPDX-License-Identifier: Apache-2.0
"""Two systems, each at its own operating point: nodules found and false positives a scan, in pairs.

Both are shares of counts (of nodules, of scans), so a draw of patients is a weight for each patient
and the difference of a draw needs no new matching.

Worked by hand, two patients with a scan and a nodule each; A finds the first's, B both; A has no
false positive, B one in the second's scan. Drawn twice the first: sensitivity 1 and 1, false
positives a scan 0 and 0; each once: 1/2 and 1, 0 and 1/2; twice the second: 0 and 1, 0 and 1.

Belongs here: shares at a threshold. Does not belong here: curves (``froc_bootstrap.py``) and which
patients are drawn (``learning/resampling.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.comparison.comparison import FP_PER_SCAN, NO_PAIR, SENSITIVITY, Pair
from lung_pipeline.evaluation.detection.matching import FALSE_POSITIVE, Matches
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.learning.resampling import percentile_estimate, times_drawn

_Counts = npt.NDArray[np.int64]

AtThreshold = tuple[Matches, npt.NDArray[np.bool_], float]
"""What became of nodules and findings, which nodules count as found, and from which score on."""


def operating_pairs(
    a: AtThreshold, b: AtThreshold, patient_of_series: Mapping[str, str], num_resamples: int
) -> dict[str, Pair]:
    """Sensitivity and false positives a scan of two systems matched on the same nodules.

    Args:
        a: the first.
        b: the second.
        patient_of_series: whose each series is.
        num_resamples: bootstrap samples of patients.
    """
    matches = a[0]
    _, patient = np.unique(
        [patient_of_series[uid] for uid in matches.series_uids], return_inverse=True
    )
    times = times_drawn(
        int(patient.max()) + 1, num_resamples, np.random.default_rng(RESAMPLING_SEED)
    )
    nodules = _of_patients(patient, matches.nodule_series)
    series = _of_patients(patient, np.arange(len(matches.series_uids)))
    hits_a, hits_b = (_of_patients(patient, m.nodule_series[found]) for m, found, _ in (a, b))
    false_a, false_b = (_of_patients(patient, _false_positives(m, from_)) for m, _, from_ in (a, b))
    return {
        SENSITIVITY: _pair(hits_a, hits_b, nodules, times),
        FP_PER_SCAN: _pair(false_a, false_b, series, times),
    }


def _of_patients(patient: _Counts, series: _Counts) -> _Counts:
    """How many of some things, each in a series, every patient has."""
    return np.bincount(patient[series], minlength=int(patient.max()) + 1)


def _false_positives(matches: Matches, threshold: float) -> _Counts:
    """The series of the false positives that count."""
    counts = (matches.finding_fate == FALSE_POSITIVE) & (matches.finding_score >= threshold)
    return matches.finding_series[counts]


def _pair(count_a: _Counts, count_b: _Counts, divisor: _Counts, times: _Counts) -> Pair:
    """Two shares of one divisor, all counts a patient; ``times`` is of shape (draws, patients)."""
    total = int(divisor.sum())
    if not total:
        return NO_PAIR
    below = times @ divisor
    above = (times @ (count_b - count_a)).astype(np.float64)
    # A draw without a nodule has no sensitivity.
    drawn = np.divide(above, below, out=np.full(len(times), np.nan), where=below > 0)
    of_a, of_b = float(count_a.sum() / total), float(count_b.sum() / total)
    return Pair(of_a, of_b, percentile_estimate(of_b - of_a, [drawn]))
