# SPDX-License-Identifier: Apache-2.0
"""Laws of calibrators that hold for every set of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.learning.calibrating import fit_calibrator, log_loss
from lung_pipeline.learning.calibrators import Calibrator, Temperature
from lung_pipeline.learning.ranking import roc_auc

# As a network gives them: 0 and 1 and what lies at their very edge included.
PROBABILITIES = st.floats(0, 1, width=32) | st.sampled_from([0.0, 1.0, 0.5, 2.0**-149])

PLACES = np.arange(200)

SAMPLES = st.lists(st.tuples(st.booleans(), PROBABILITIES), max_size=60).map(
    # Enough of both classes that all are fitted, and the more positive the higher.
    lambda rows: (
        np.array([*(37 * PLACES % 200 < PLACES), *(row[0] for row in rows)]),
        np.array([*(PLACES + 0.5) / 200, *(row[1] for row in rows)]),
    )
)

KINDS = st.sampled_from(["temperature", "isotonic", "identity"])

few = settings(max_examples=60, deadline=None)


def _fitted(kind: str, samples: tuple[np.ndarray, np.ndarray]) -> Calibrator:
    fitted = fit_calibrator(kind, *samples)
    assert fitted.kind == kind
    return fitted


@few
@given(KINDS, SAMPLES, st.lists(PROBABILITIES, min_size=2, max_size=20))
def test_no_calibrator_turns_a_ranking_round(kind, samples, others) -> None:  # type: ignore[no-untyped-def]
    applied = _fitted(kind, samples).apply(np.sort(others))
    assert (np.diff(applied) >= 0).all()
    assert applied.min() >= 0
    assert applied.max() <= 1


@few
@given(KINDS, SAMPLES)
def test_no_fit_is_worse_than_none_on_its_own_samples(kind, samples) -> None:  # type: ignore[no-untyped-def]
    truth, probability = samples
    after = log_loss(truth, _fitted(kind, samples).apply(probability))
    assert after <= log_loss(truth, probability) + 1e-6


@few
@given(SAMPLES)
def test_isotonic_fits_its_own_samples_best(samples) -> None:  # type: ignore[no-untyped-def]
    truth, probability = samples
    free, one = (
        log_loss(truth, _fitted(kind, samples).apply(probability))
        for kind in ("isotonic", "temperature")
    )
    assert free <= one + 1e-6


@few
@given(st.floats(0.5, 20), st.lists(PROBABILITIES, min_size=2, max_size=20, unique=True))
def test_temperature_keeps_apart_what_was_apart(temperature: float, given: list[float]) -> None:
    assert (np.diff(Temperature(temperature).apply(np.sort(given))) > 0).all()


@few
@given(SAMPLES)
def test_temperature_leaves_the_auc_as_it_is(samples) -> None:  # type: ignore[no-untyped-def]
    truth, probability = samples
    rounded = probability.round(3)
    applied = _fitted("temperature", (truth, rounded)).apply(rounded)
    assert roc_auc(truth, applied) == pytest.approx(roc_auc(truth, rounded))


@few
@given(SAMPLES)
def test_no_other_temperature_fits_better(samples) -> None:  # type: ignore[no-untyped-def]
    truth, probability = samples
    inside = probability.clip(0.001, 0.999)
    fitted = _fitted("temperature", (truth, inside))
    others = [Temperature(float(value)) for value in np.geomspace(0.2, 20, 200)]
    costs = [log_loss(truth, other.apply(inside)) for other in others]
    assert log_loss(truth, fitted.apply(inside)) <= min(costs) + 1e-6


@few
@given(KINDS, SAMPLES, st.integers(0, 99))
def test_order_of_the_samples_is_irrelevant(kind, samples, seed) -> None:  # type: ignore[no-untyped-def]
    order = np.random.default_rng(seed).permutation(len(samples[0]))
    shuffled = tuple(one[order] for one in samples)
    grid = np.linspace(0, 1, 101)
    one, other = (_fitted(kind, each).apply(grid) for each in (samples, shuffled))
    np.testing.assert_allclose(one, other, atol=1e-5)
