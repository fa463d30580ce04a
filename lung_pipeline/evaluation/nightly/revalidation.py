# SPDX-License-Identifier: Apache-2.0
"""What a set of models was promoted with: the record that every night is held against.

Belongs here: the record, its JSON, the key of a set. Does not belong here: how it is gathered and
kept (``orchestration``) and what may differ (``drift.py``). It takes no clock and no path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.nightly.input_profile import InputProfile


@dataclass(frozen=True, slots=True)
class TableState:
    """What a table held of the validation part."""

    num_rows: int
    """Its rows."""

    fingerprint: str
    """Sixteen hex digits over its values."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A set of models, what it was scored on, and how it did; on one day, or in one night."""

    models: dict[str, str]
    """For each step its model: name, version and hash of the weights, as one string."""

    files: dict[str, dict[str, str]]
    """For each step the SHA-256 of each file of its model's folder, by name."""

    subsets: tuple[str, ...]
    """The subsets whose validation part is scored; a subset that is added later is none of it."""

    max_fp_per_scan: float
    """What the operating point is chosen for."""

    tables: dict[str, TableState]
    """The tables of the validation part, such as ``candidates of subset0``."""

    inputs: InputProfile
    """The scans of the validation part, summed up."""

    figures: dict[str, float]
    """``Scorecard.metrics()`` of the validation part; empty where the set was not scored."""

    findings_per_scan: float | None
    """Findings of any probability; None where the set was not scored."""

    libraries: dict[str, str]
    """Versions of what decides a result, this package's included."""

    computed_on: dict[str, str]
    """The device, in words."""

    made_at: str
    """When, in ISO 8601."""

    made_by: str
    """Why it was made: a promotion, or a night that found no record."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any], place: str = "baseline") -> Baseline:
        """The record as it was before ``as_json``; ``StoreError`` where it is none."""
        try:
            changed = {
                "subsets": tuple(record["subsets"]),
                "tables": {name: TableState(**one) for name, one in record["tables"].items()},
                "inputs": InputProfile.from_json(record["inputs"]),
            }
            return cls(**{**record, **changed})
        except (KeyError, TypeError, AttributeError) as problem:
            raise StoreError(
                value=str(problem),
                place=place,
                rule="a baseline must have exactly the fields of this version of the package",
                cure="Renew it: run the job `revalidate` with a reason in `renew_baseline`.",
            ) from problem


def set_key(weights_sha256: Mapping[str, str]) -> str:
    """Twelve hex digits that name a set of models, from the hash of each step's weights."""
    lines = "".join(f"{step}:{sha}\n" for step, sha in sorted(weights_sha256.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]
