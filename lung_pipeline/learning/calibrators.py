# SPDX-License-Identifier: Apache-2.0
"""Calibrators: increasing maps that make of a network's probability one to be taken at its word.

A calibrator is fitted on the validation part (``calibrating.py``), kept as JSON beside the weights,
and applied wherever the model is. Increasing, so that none turns a ranking round; a threshold
chosen on probabilities as they were does not fit calibrated ones.

Belongs here: the maps, for evaluation and diagnosis alike; no torch. Does not belong here: how they
are fitted, and how well calibrated a model is (``evaluation/ranking/calibration.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import ModelError, SettingError, StoreError

SUREST = (2.0**-150, 1 - 2.0**-25)
"""What 0 and 1 are read as where a logit is taken: they are rounded in float32, and these lie half
way to the next number it knows. So all other float32 probabilities stay as they are."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Identity:
    """Leaves probabilities as they are."""

    kind: ClassVar[str] = "identity"

    how: str = "not calibrated"
    """Why nothing is changed, in words."""

    def apply(self, probability: npt.ArrayLike) -> _Floats:
        """The same probabilities; ``ModelError`` for one outside [0, 1]."""
        return checked_probability(probability).copy()

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for ``calibrator_from_json``."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Temperature:
    """Divides the logit by one number (C. Guo and others, 2017): the ranking stays."""

    kind: ClassVar[str] = "temperature"

    temperature: float
    """Above 1 for a network that is too sure, below 1 for one not sure enough."""

    how: str = ""
    """On what it was fitted, in words."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf:
            raise SettingError(
                value=self.temperature,
                place="calibrator 'temperature'",
                rule="a temperature must be a number above 0",
                cure="Fit it again.",
            )

    def apply(self, probability: npt.ArrayLike) -> _Floats:
        """Calibrated probabilities of the same shape; ``ModelError`` for one outside [0, 1]."""
        from scipy.special import expit

        return np.asarray(expit(logit_of(checked_probability(probability)) / self.temperature))

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for ``calibrator_from_json``."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """The increasing steps that fit best, joined by lines (B. Zadrozny and C. Elkan, 2002).

    Neighbours may become equal. A value of 0 or 1 says no more than that no counter-example was
    among the samples.
    """

    kind: ClassVar[str] = "isotonic"

    knots: tuple[tuple[float, float], ...]
    """Pairs of probability and calibrated probability; beyond the ends it stays level."""

    how: str = ""
    """On what it was fitted, in words."""

    def __post_init__(self) -> None:
        knots = np.asarray(self.knots, dtype=np.float64).reshape(-1, 2)
        in_range = ((knots >= 0) & (knots <= 1)).all()
        x_rise, y_rise = np.diff(knots, axis=0).T
        if not (len(knots) and in_range and (x_rise > 0).all() and (y_rise >= 0).all()):
            raise SettingError(
                value=f"{len(knots)} knots",
                place="calibrator 'isotonic'",
                rule="knots must be probabilities that rise, at least one",
                cure="Fit it again.",
            )

    def apply(self, probability: npt.ArrayLike) -> _Floats:
        """Calibrated probabilities of the same shape; ``ModelError`` for one outside [0, 1]."""
        x, y = np.asarray(self.knots, dtype=np.float64).T
        return np.asarray(np.interp(checked_probability(probability), x, y))

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for ``calibrator_from_json``."""
        return {"kind": self.kind, **asdict(self)}


Calibrator: TypeAlias = Identity | Temperature | Isotonic
"""Any of them: ``apply``, ``as_json``, and ``how`` it came about."""


_KINDS: dict[str, Callable[..., Calibrator]] = {
    one.kind: one for one in (Identity, Temperature, Isotonic)
}


def calibrator_from_json(record: Mapping[str, Any]) -> Calibrator:
    """The calibrator as it was before ``as_json``; ``StoreError`` where it is none."""
    try:
        fields = {name: value for name, value in record.items() if name != "kind"}
        if record["kind"] == Isotonic.kind:
            fields["knots"] = tuple((float(x), float(y)) for x, y in fields["knots"])
        return _KINDS[record["kind"]](**fields)
    except (KeyError, TypeError, ValueError, SettingError) as problem:
        raise StoreError(
            value=str(problem),
            place="calibrator",
            rule=f"a record must be one of {', '.join(_KINDS)} with its fields",
            cure="Score the models again, which fits it anew.",
        ) from problem


def checked_probability(probability: npt.ArrayLike) -> _Floats:
    """The probabilities in double precision; ``ModelError`` for one that is none."""
    given = np.asarray(probability, dtype=np.float64)
    # Asked this way round, because NaN is in no range.
    unfit = ~((given >= 0) & (given <= 1))
    if unfit.any():
        raise ModelError(
            value=given[unfit].flat[0],
            place=f"probability {int(np.argmax(unfit))} to calibrate",
            rule="a probability must lie between 0 and 1",
            cure="Leave out what has none, or look for what spoilt it.",
        )
    return given


def logit_of(probability: _Floats) -> _Floats:
    """The logarithm of the odds; 0 and 1 have that of ``SUREST``."""
    from scipy.special import logit

    return np.asarray(logit(probability.clip(*SUREST)))
