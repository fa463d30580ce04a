# SPDX-License-Identifier: Apache-2.0
"""Fitting a calibrator, on patients that it will not be judged by.

Belongs here: fits by name, the log loss they minimise, and how many samples they need. Does not
belong here: the maps themselves (``calibrators.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import AnnotationError, SettingError
from lung_pipeline.learning.calibrators import (
    Calibrator,
    Identity,
    Isotonic,
    Temperature,
    checked_probability,
    logit_of,
)

TEMPERATURES = (0.2, 20.0)
"""The range searched: at .2 a probability of .7 becomes .99, at 20 one of .999 becomes .59."""

FEWEST_OF_A_CLASS = {"temperature": 10, "isotonic": 50}
"""Samples of the rarer class a fit needs. Ten for one number is the rule of ten events a variable
(P. Peduzzi and others, 1996); scikit-learn's guide warns of isotonic fits on far less than 1,000
samples, of which 50 rare ones are our own lower end."""

_Floats = npt.NDArray[np.float64]
_Truth = npt.NDArray[np.bool_]


def fit_calibrator(kind: str, is_positive: npt.ArrayLike, probability: npt.ArrayLike) -> Calibrator:
    """Fit a calibrator by name: "temperature", "isotonic", or "identity" for none.

    Both minimise the log loss, over the temperatures and over all increasing maps, so that on
    these samples none is worse than leaving the probabilities alone.

    Args:
        kind: which.
        is_positive: shape (n,).
        probability: of being positive, shape (n,).

    Returns:
        The calibrator. With too few samples of a class it is the identity, which says so: a small
        study is to be scored all the same, and no map is better than one fitted on noise.

    Raises:
        SettingError: no calibrator has that name.
        AnnotationError: not one probability for each sample.
        ModelError: a probability is outside [0, 1].
    """
    if kind != Identity.kind and kind not in _FITS:
        raise SettingError(
            value=repr(kind),
            place="calibrator",
            rule=f"a calibrator must be one of {', '.join([Identity.kind, *_FITS])}",
            cure="Choose one of these.",
        )
    truth, given = _one_for_each(is_positive, probability)
    if kind == Identity.kind:
        return Identity()
    num_positive, num_negative = int(truth.sum()), int((~truth).sum())
    samples = f"{num_positive} positive and {num_negative} negative samples"
    if min(num_positive, num_negative) < FEWEST_OF_A_CLASS[kind]:
        wanted = f"'{kind}' needs {FEWEST_OF_A_CLASS[kind]} of each"
        return Identity(f"not calibrated: {samples}, and {wanted}")
    return _FITS[kind](truth, given, f"fitted on {samples}")


def log_loss(is_positive: npt.ArrayLike, probability: npt.ArrayLike) -> float | None:
    """The mean cost of the truth, -log of the probability it was given; None without samples.

    A sure mistake costs as ``calibrators.SUREST`` has it, 104 where 0 was said and 17 where 1 was,
    and not the infinity that would end all.
    """
    truth, given = _one_for_each(is_positive, probability)
    return _cost(truth, logit_of(given)) if len(truth) else None


def _fit_temperature(truth: _Truth, given: _Floats, how: str) -> Temperature:
    from scipy.optimize import minimize_scalar

    logit = logit_of(given)
    coldest, hottest = TEMPERATURES
    # The cost is convex in the inverse, so one search finds the least there is.
    inverse = float(
        minimize_scalar(
            lambda inverse: _cost(truth, logit * inverse),
            bounds=(1 / hottest, 1 / coldest),
            method="bounded",
            options={"xatol": 1e-8},
        ).x
    )
    temperature = 1 / inverse
    if min(abs(temperature / end - 1) for end in TEMPERATURES) < 1e-3:
        how += f"; at an end of the range searched, {coldest:g} to {hottest:g}"
    return Temperature(temperature, how)


def _fit_isotonic(truth: _Truth, given: _Floats, how: str) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1).fit(given, truth.astype(np.float64))
    knots = zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)
    return Isotonic(tuple(knots), how)


_FITS: dict[str, Callable[[_Truth, _Floats, str], Calibrator]] = {
    Temperature.kind: _fit_temperature,
    Isotonic.kind: _fit_isotonic,
}


def _cost(truth: _Truth, logit: _Floats) -> float:
    return float(np.logaddexp(0, np.where(truth, -logit, logit)).mean())


def _one_for_each(is_positive: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[_Truth, _Floats]:
    truth, given = np.asarray(is_positive, dtype=bool), checked_probability(probability)
    if truth.shape != given.shape:
        raise AnnotationError(
            value=f"{given.size} for {truth.size}",
            place="probabilities",
            rule="each sample must have one probability",
            cure="Leave out samples without a probability.",
        )
    return truth, given
