# SPDX-License-Identifier: Apache-2.0
"""The FROC curve: how many nodules are found at how many false positives a scan.

The protocol of LUNA16, in words:

- A finding hits a nodule when it lies nearer to its centre than its radius. Several hits on one
  nodule count once, with the best score; findings on excluded marks count neither way, a mark of
  diameter -1 being taken as 10 mm; what is left is a false positive (``matching.py``).
- Where a cap of findings a scan is set, only the strongest of each scan count
  (``detections.strongest_of_each_series``).
- At a threshold, sensitivity is the share of *all* nodules that have a hit with at least that
  score; false positives a scan are those with at least that score, divided by the number of series
  given, those without a nodule and those without a finding included.
- The curve has one point for each distinct score, from (0, 0) on. Between points it is interpolated
  linearly (``numpy.interp``, as LUNA16's script does), where two points share a rate the higher
  sensitivity counts, and beyond the last finding it stays level.
- The CPM is the mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives a scan.

A table worked by hand, six scans with four nodules in three of them:

    score   what it is       hits so far   false positives so far   sensitivity   a scan
    0.9     hit              1             0                        1/4           0
    0.8     false positive   1             1                        1/4           1/6
    0.7     hit              2             1                        2/4           1/6
    0.6     false positive   2             2                        2/4           2/6
    0.5     hit and a false positive, tied: they enter together
                             3             3                        3/4           3/6
    none    the fourth nodule was missed: the curve never reaches 1

Belongs here: rates and thresholds. Does not belong here: distances, and intervals around a figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.detection.matching import FALSE_POSITIVE, Matches

FP_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""The seven false-positive rates a scan of LUNA16's figures."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Froc:
    """The curve, from the strictest threshold to the loosest."""

    fp_per_scan: _Floats
    """False positives a scan, never falling; the first is 0."""

    sensitivity: _Floats
    """Share of the nodules found, never falling; NaN throughout where there are no nodules."""

    thresholds: _Floats
    """The scores from which on findings count, descending; the first is infinity: none counts."""

    num_series: int
    """The divisor: all series that were looked at."""

    num_nodules: int
    """The nodules to be found."""

    def sensitivity_at(self, fp_per_scan: float) -> float:
        """The interpolated sensitivity at a rate of false positives a scan."""
        return float(np.interp(fp_per_scan, self.fp_per_scan, self.sensitivity))

    @property
    def cpm(self) -> float:
        """Competition performance metric: the mean sensitivity at the seven rates."""
        return float(np.mean([self.sensitivity_at(rate) for rate in FP_RATES]))


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One threshold, and what it gives on the data it was measured on; nothing interpolated."""

    threshold: float
    """Findings count from this score on; infinity where none may count."""

    sensitivity: float
    """Share of the nodules found; NaN where there are none."""

    fp_per_scan: float
    """False positives a scan."""


def froc(matches: Matches, num_series: int) -> Froc:
    """The curve over all distinct scores (the protocol stands at the head of this file).

    Args:
        matches: fates of nodules and findings.
        num_series: the divisor: how many series were looked at, those without nodules included.

    Raises:
        SettingError: fewer series than the tables name.
    """
    _check_divisor(matches, num_series)
    scores = np.concatenate([_hit_scores(matches), _false_positive_scores(matches)])
    is_hit = np.arange(len(scores)) < len(_hit_scores(matches))
    # Ties enter together: no order among equal scores is honest.
    thresholds, place = np.unique(-scores, return_inverse=True)
    hits = np.cumsum(np.bincount(place, weights=is_hit, minlength=len(thresholds)))
    false_positives = np.cumsum(np.bincount(place, weights=~is_hit, minlength=len(thresholds)))
    return Froc(
        fp_per_scan=np.append(0.0, false_positives) / num_series,
        sensitivity=_share(np.append(0.0, hits), matches.num_nodules),
        thresholds=np.append(np.inf, -thresholds),
        num_series=num_series,
        num_nodules=matches.num_nodules,
    )


def operating_point(curve: Froc, max_fp_per_scan: float) -> OperatingPoint:
    """The loosest point with no more than so many false positives a scan.

    None within the budget finds more. Among points that find as much it is not the strictest: a
    threshold is chosen for scans yet to come, and on a handful of nodules the strictest that found
    them all would be set by the faintest of a lucky few.
    """
    if not max_fp_per_scan >= 0:
        raise SettingError(
            value=max_fp_per_scan,
            place="max_fp_per_scan",
            rule="the allowed false positives a scan must be 0 or more",
            cure="Give a rate such as 4.",
        )
    last = int(np.searchsorted(curve.fp_per_scan, max_fp_per_scan, side="right")) - 1
    return OperatingPoint(
        threshold=float(curve.thresholds[last]),
        sensitivity=float(curve.sensitivity[last]),
        fp_per_scan=float(curve.fp_per_scan[last]),
    )


def at_threshold(matches: Matches, num_series: int, threshold: float) -> OperatingPoint:
    """What a threshold chosen elsewhere (on validation) gives on these scans."""
    _check_divisor(matches, num_series)
    hits = np.count_nonzero(_hit_scores(matches) >= threshold)
    false_positives = int(np.count_nonzero(_false_positive_scores(matches) >= threshold))
    return OperatingPoint(
        threshold=threshold,
        sensitivity=float(_share(np.array([hits]), matches.num_nodules)[0]),
        fp_per_scan=false_positives / num_series,
    )


def _hit_scores(matches: Matches) -> _Floats:
    return matches.nodule_score[~np.isnan(matches.nodule_score)]


def _false_positive_scores(matches: Matches) -> _Floats:
    return matches.finding_score[matches.finding_fate == FALSE_POSITIVE]


def _share(hits: npt.NDArray[Any], num_nodules: int) -> _Floats:
    return np.asarray(hits / num_nodules) if num_nodules else np.full(len(hits), np.nan)


def _check_divisor(matches: Matches, num_series: int) -> None:
    if num_series < max(len(matches.series_uids), 1):
        raise SettingError(
            value=num_series,
            place="num_series",
            rule=f"the divisor must be at least the {len(matches.series_uids)} series of the list",
            cure="Give the number of all series that were looked at.",
        )
