# SPDX-License-Identifier: Apache-2.0
"""How sure a figure is: a bootstrap that draws patients anew, with all that is theirs.

Nodules of one patient are alike, so drawing nodules one by one would promise too much.

Belongs here: which patients are drawn, and the interval of a figure. Does not belong here: what is
measured on a draw (``ranking.py``), and intervals that need none (``evaluation/intervals.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
"""Of an interval: the share of studies whose interval would hold the true figure."""

NUM_RESAMPLES = 2000
"""Bootstrap samples; for percentiles at least 1,000 are advised (B. Efron and R. Tibshirani,
An Introduction to the Bootstrap, 1993)."""

_RESAMPLES_AT_ONCE = 100
"""Draws of patients that are made at once; another number gives other draws."""

_COUNTS_AT_ONCE = 4_000_000
"""Rows times draws that are handed out at once: what is measured on them takes some 35 bytes each,
so 140 MB, however many findings there are."""

_ROUNDING = 1e-12
"""Draws that differ by no more agree: a perfect average precision is a sum of many steps."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval, with patients as the unit."""

    value: float | None
    """The figure; None where there is nothing to measure it on."""

    low: float | None
    """Where the interval begins; None where none can be told."""

    high: float | None
    """Where it ends."""

    def metrics(self, name: str) -> dict[str, float | None]:
        """Flat names: the figure under its name, the interval's ends as ``_low`` and ``_high``."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


NOT_MEASURED = Estimate(None, None, None)
"""Where there is nothing to measure on."""


def draws_of_patients(
    is_positive: npt.NDArray[np.bool_],
    patient_ids: npt.ArrayLike,
    rng: np.random.Generator,
    num_resamples: int = NUM_RESAMPLES,
) -> Iterator[npt.NDArray[np.int64]]:
    """How often each row is in a draw, some draws at a time: arrays of shape (draws, n).

    Patients with a positive and those without are drawn each among themselves; without that, a few
    draws of a small study hold one class alone. The order of the rows does not matter.

    Args:
        is_positive: shape (n,).
        patient_ids: shape (n,), whose each row is.
        rng: draws.
        num_resamples: how many draws.

    Yields:
        Nothing at all where a class is of fewer than two patients.
    """
    _, patient = np.unique(np.asarray(patient_ids), return_inverse=True)
    with_negative, with_positive = np.unique(patient[~is_positive]), np.unique(patient[is_positive])
    if min(len(with_positive), len(with_negative)) < 2:
        return
    without_positive = np.setdiff1d(with_negative, with_positive)
    at_once = max(1, _COUNTS_AT_ONCE // len(patient))
    for begin in range(0, num_resamples, _RESAMPLES_AT_ONCE):
        num = min(_RESAMPLES_AT_ONCE, num_resamples - begin)
        times = np.zeros((num, patient.max() + 1), dtype=np.int64)
        for stratum in (with_positive, without_positive):
            times[:, stratum] = times_drawn(len(stratum), num, rng)
        for first in range(0, num, at_once):
            yield times[first : first + at_once, patient]


def times_drawn(size: int, num: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How often each of ``size`` is among as many drawn with replacement, shape (num, size).

    The plain draw, for a figure that needs no two classes; ``draws_of_patients`` keeps both.
    """
    drawn = rng.integers(max(size, 1), size=(num, size)) + np.arange(num)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=num * size).reshape(num, size)


def percentile_estimate(value: float, drawn: Sequence[npt.NDArray[np.float64]]) -> Estimate:
    """A figure with the percentiles of its draws, NaN left out.

    Without an interval where there are no draws, or where all agree: a perfect figure stays
    perfect in every draw, which is no proof.
    """
    known = np.concatenate([np.empty(0), *drawn])
    known = known[np.isfinite(known)]
    if not known.size or known.max() - known.min() <= _ROUNDING:
        return Estimate(value, None, None)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))
