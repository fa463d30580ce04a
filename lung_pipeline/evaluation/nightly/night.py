# SPDX-License-Identifier: Apache-2.0
"""What one night's look at the champions found: a record for checks, trackers and people.

Belongs here: the record and its words. Does not belong here: how it came about.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.nightly.drift import Drift


@dataclass(frozen=True, slots=True)
class Night:
    """One revalidation."""

    at: str
    """When, in ISO 8601."""

    models: dict[str, str]
    """The champions: for each step its model as one string."""

    subsets: tuple[str, ...]
    """Whose validation part was looked at."""

    baseline_made_at: str
    """When the record was made that this night was held against."""

    kept_because: str
    """Why this night's state was kept as that record itself; empty where it was not."""

    is_scored: bool
    """Whether the champions were run; changed weights are not."""

    drifts: tuple[Drift, ...]
    """What changed beyond its tolerance."""

    figures: dict[str, float]
    """The figures of the validation part; empty where nothing was scored."""

    @property
    def failures(self) -> list[str]:
        """The sentences on what fails this night."""
        return [one.sentence for one in self.drifts if one.is_failure]

    @property
    def warnings(self) -> list[str]:
        """The sentences on what only warns: libraries and device."""
        return [one.sentence for one in self.drifts if not one.is_failure]

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when anything but the time does."""
        said = {k: v for k, v in self.as_json().items() if k not in ("in_words", "at")}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def in_words(self) -> str:
        """The outcome first, then each sentence."""
        verdict = f"As on {self.baseline_made_at}, within tolerance."
        if self.kept_because:
            verdict = f"Tonight's state is kept as the baseline of this set ({self.kept_because})."
        if self.failures:
            verdict = f"Not as on {self.baseline_made_at}."
        skipped = [] if self.is_scored else ["Changed models are not run: nothing was scored."]
        return " ".join([verdict, *self.failures, *skipped, *self.warnings])

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary; the sentences stand in it once more, for a person to read."""
        return {
            "in_words": self.in_words,
            "at": self.at,
            "models": self.models,
            "subsets": list(self.subsets),
            "baseline_made_at": self.baseline_made_at,
            "kept_because": self.kept_because,
            "is_scored": self.is_scored,
            "drifts": [one.as_json() for one in self.drifts],
            "figures": self.figures,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any], place: str = "night") -> Night:
        """The record as it was before ``as_json``; ``StoreError`` where it is none."""
        known = {name: value for name, value in record.items() if name != "in_words"}
        try:
            drifts = tuple(Drift(**one) for one in known["drifts"])
            return cls(**{**known, "subsets": tuple(known["subsets"]), "drifts": drifts})
        except (KeyError, TypeError) as problem:
            raise StoreError(
                value=str(problem),
                place=place,
                rule="the record of a night must have exactly the fields of this version",
                cure="Run the job `revalidate` again.",
            ) from problem
