# SPDX-License-Identifier: Apache-2.0
"""How far a probability may be taken at its word.

Probabilities fall into bins of equal width, the upper end of each belonging to it (as in
scikit-learn's ``calibration_curve``). In a bin, what was said (the mean probability) stands beside
what was so (the share of positives). The expected calibration error, ECE, is the mean distance of
the two, each bin counted by its samples (M. Pakdaman Naeini and others, 2015). The Brier score is
the mean squared distance of probability and truth (G. Brier, 1950): 0 at best, .25 for "half".

An ECE is never 0 by chance alone, so beside it stands what perfect probabilities would have on as
many samples. It has no interval: a draw of a draw is noisier than the draw, and percentiles
would lie above the figure itself.

A table worked by hand, with two bins:

    probability      truth        said   so    distance   weight
    0.1  0.3  0.5    0, 0, 1      0.3    1/3   1/30       3/5
    0.7  0.9         1, 0         0.8    1/2   3/10       2/5

    ECE 3/5 x 1/30 + 2/5 x 3/10 = .14; Brier (.01 + .09 + .25 + .09 + .81) / 5 = .25.

Belongs here: these figures and their record. Does not belong here: the maps that put a probability
right (``learning/calibrators.py``), and ranking (``roc.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.learning.calibrating import log_loss
from lung_pipeline.learning.calibrators import checked_probability
from lung_pipeline.learning.resampling import (
    NOT_MEASURED,
    NUM_RESAMPLES,
    Estimate,
    draws_of_patients,
    percentile_estimate,
)

NUM_BINS = 10
"""Bins of the reliability diagram, as most papers have it."""

_NUM_BY_CHANCE = 500
"""Draws of labels from perfect probabilities: their mean is then known to a few percent."""

_NUM_AT_ONCE = 50
"""Keeps the memory of these draws small."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """What was said and what was so, in one range of probabilities."""

    low: float
    """Where the range begins; only in the first bin this end belongs to it."""

    high: float
    """Where it ends; this end belongs to it."""

    count: int
    """Samples in it."""

    mean_probability: float | None
    """What was said; None in an empty bin."""

    share_positive: Estimate
    """What was so, with its interval over patients."""


@dataclass(frozen=True, slots=True)
class CalibrationFigures:
    """How well calibrated a probability is; None where there is nothing to measure it on."""

    ece: float | None
    """Expected calibration error, 0 to 1."""

    ece_by_chance: float | None
    """What perfect probabilities would have on as many samples, on the average."""

    brier: Estimate
    """Brier score, 0 to 1, with its interval over patients."""

    log_loss: float | None
    """The mean cost of the truth, in nats; what calibrators minimise."""

    num_positive: int
    """Samples that are positive."""

    num_negative: int
    """Samples that are not."""

    bins: tuple[ReliabilityBin, ...]
    """The reliability diagram."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CalibrationFigures:
        """The figures as they were before ``as_json``; ``KeyError`` or ``TypeError`` if not."""
        bins = tuple(
            ReliabilityBin(**{**one, "share_positive": Estimate(**one["share_positive"])})
            for one in record["bins"]
        )
        return cls(**{**record, "brier": Estimate(**record["brier"]), "bins": bins})

    def metrics(self) -> dict[str, float | None]:
        """Flat names, without the bins; an interval's ends are ``_low`` and ``_high``."""
        return {
            "ece": self.ece,
            "ece_by_chance": self.ece_by_chance,
            **self.brier.metrics("brier"),
            "log_loss": self.log_loss,
        }


def calibration_figures(
    is_positive: npt.ArrayLike,
    probability: npt.ArrayLike,
    patient_ids: npt.ArrayLike,
    rng: np.random.Generator,
    num_bins: int = NUM_BINS,
    num_resamples: int = NUM_RESAMPLES,
) -> CalibrationFigures:
    """The figures of a probability; the order of the rows does not matter.

    Args:
        is_positive: shape (n,).
        probability: of being positive, shape (n,).
        patient_ids: shape (n,), whose each one is.
        rng: draws patients, and labels by chance.
        num_bins: bins of equal width.
        num_resamples: how many draws of patients.

    Raises:
        AnnotationError: not one probability for each sample.
        ModelError: a probability is outside [0, 1].
    """
    loss = log_loss(is_positive, probability)
    truth, given = np.asarray(is_positive, dtype=bool), checked_probability(probability)
    in_bin = _in_bins(given, num_bins)
    squared = (given - truth) ** 2
    shares, brier = _drawn(
        truth, in_bin, squared, draws_of_patients(truth, patient_ids, rng, num_resamples)
    )
    ends = np.linspace(0, 1, num_bins + 1)
    return CalibrationFigures(
        ece=float(_ece(truth[None], given, in_bin)[0]) if len(truth) else None,
        ece_by_chance=_ece_by_chance(given, num_bins, rng) if len(truth) else None,
        brier=percentile_estimate(float(squared.mean()), brier) if len(truth) else NOT_MEASURED,
        log_loss=loss,
        num_positive=int(truth.sum()),
        num_negative=int((~truth).sum()),
        bins=tuple(
            _bin(ends[k], ends[k + 1], truth[inside], given[inside], [one[:, k] for one in shares])
            for k, inside in enumerate(in_bin.T.astype(bool))
        ),
    )


def _in_bins(probability: _Floats, num_bins: int) -> _Floats:
    """One where a probability is in a bin, shape (n, bins)."""
    ends = np.linspace(0, 1, num_bins + 1)
    # Asked from the left, so that the upper end of a bin belongs to it.
    number = np.searchsorted(ends[1:-1], probability, side="left")
    return np.asarray(number[:, None] == np.arange(num_bins), dtype=np.float64)


def _ece(labels: npt.NDArray[np.bool_], probability: _Floats, in_bin: _Floats) -> _Floats:
    """The errors of many labellings, shape (labellings, n).

    What was so less what was said, in sums: so each bin weighs as much as it has samples.
    """
    apart = np.abs(labels.astype(np.float64) @ in_bin - probability @ in_bin)
    return np.asarray(apart.sum(axis=1) / len(probability))


def _ece_by_chance(probability: _Floats, num_bins: int, rng: np.random.Generator) -> float:
    """The mean error where each sample is positive just as often as its probability says."""
    # Sorted, so that the order of the rows changes nothing.
    ordered = np.sort(probability)
    in_bin = _in_bins(ordered, num_bins)
    errors = [
        _ece(rng.random((_NUM_AT_ONCE, len(ordered))) < ordered, ordered, in_bin)
        for _ in range(_NUM_BY_CHANCE // _NUM_AT_ONCE)
    ]
    return float(np.mean(errors))


def _drawn(
    truth: npt.NDArray[np.bool_],
    in_bin: _Floats,
    squared: _Floats,
    draws: Iterator[npt.NDArray[np.int64]],
) -> tuple[list[_Floats], list[_Floats]]:
    """For some draws at a time, the share of positives, shape (draws, bins), and the Brier score.

    A share is NaN where a draw has nothing in the bin.
    """
    shares, scores = [], []
    for times in draws:
        weights = times.astype(np.float64)
        counts, positives = weights @ in_bin, (weights * truth) @ in_bin
        nothing = np.full(counts.shape, np.nan)
        shares.append(np.divide(positives, counts, out=nothing, where=counts > 0))
        scores.append(weights @ squared / weights.sum(axis=1))
    return shares, scores


def _bin(
    low: float, high: float, truth: npt.NDArray[np.bool_], given: _Floats, drawn: list[_Floats]
) -> ReliabilityBin:
    if not len(truth):
        return ReliabilityBin(float(low), float(high), 0, None, NOT_MEASURED)
    so = percentile_estimate(float(truth.mean()), drawn)
    return ReliabilityBin(float(low), float(high), len(truth), float(given.mean()), so)
