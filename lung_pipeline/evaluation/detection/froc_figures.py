# SPDX-License-Identifier: Apache-2.0
"""LUNA16's figures as records: seven sensitivities and their mean, each with its interval.

Belongs here: what is written down, and its names. Does not belong here: how it is drawn
(``froc_bootstrap.py``) and the curve (``froc.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lung_pipeline.errors import StoreError
from lung_pipeline.learning.resampling import Estimate

AtRates = tuple[tuple[float, Estimate], ...]
"""For each of ``froc.FP_RATES`` the rate and a figure there."""


@dataclass(frozen=True, slots=True)
class FrocFigures:
    """What LUNA16's protocol says of one system."""

    sensitivity: AtRates
    """For each of the seven rates the share of nodules found; unknown where there are none."""

    cpm: Estimate
    """The mean of the seven."""

    counts: dict[str, int]
    """Hits, missed, on excluded, double hits, false positives, silent series (``Matches``)."""

    num_series: int
    """The divisor: all series that were looked at."""

    num_patients: int
    """Patients they are of, the unit of the intervals."""

    num_nodules: int
    """The nodules to be found."""

    num_resamples: int
    """Bootstrap samples behind each interval; 0 where none was asked for."""

    def as_json(self) -> dict[str, Any]:
        """A record that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> FrocFigures:
        """The figures as they were before ``as_json``; ``StoreError`` where a field is missing."""
        try:
            return cls(**{**record, **_read(record)})
        except (KeyError, TypeError, ValueError) as problem:
            raise _refused("FROC figures", problem) from problem

    def metrics(self) -> dict[str, float | None]:
        """All figures under flat names; an interval's ends are ``_low`` and ``_high``."""
        return {
            **_flat(self.sensitivity, self.cpm),
            **{f"num_{name}": count for name, count in self.counts.items()},
            "num_series": self.num_series,
            "num_patients": self.num_patients,
            "num_nodules": self.num_nodules,
        }


@dataclass(frozen=True, slots=True)
class FrocDifference:
    """One system less another on the same nodules, both measured on the same draws."""

    sensitivity: AtRates
    """For each of the seven rates the difference of the two sensitivities."""

    cpm: Estimate
    """The difference of the two means."""

    num_patients: int
    """Patients that were drawn from."""

    num_resamples: int
    """Bootstrap samples behind each interval."""

    def as_json(self) -> dict[str, Any]:
        """A record that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> FrocDifference:
        """The difference as it was before ``as_json``; ``StoreError`` where a field is missing."""
        try:
            return cls(**{**record, **_read(record)})
        except (KeyError, TypeError, ValueError) as problem:
            raise _refused("difference of FROC figures", problem) from problem

    def metrics(self) -> dict[str, float | None]:
        """All differences under flat names that end in ``_difference``."""
        return _flat(self.sensitivity, self.cpm, "_difference")


def _read(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sensitivity": tuple((rate, Estimate(**at)) for rate, at in record["sensitivity"]),
        "cpm": Estimate(**record["cpm"]),
    }


def _flat(sensitivity: AtRates, cpm: Estimate, ending: str = "") -> dict[str, float | None]:
    named = {f"sensitivity_at_{rate:g}_fp_per_scan": at for rate, at in sensitivity}
    figures = {"cpm": cpm, **named}
    return {
        flat: value
        for name, at in figures.items()
        for flat, value in at.metrics(f"{name}{ending}").items()
    }


def _refused(place: str, problem: Exception) -> StoreError:
    return StoreError(
        value=str(problem),
        place=place,
        rule="a record must have exactly the fields of this version of the package",
        cure="Score the detections again.",
    )
