# SPDX-License-Identifier: Apache-2.0
"""That nobody who is scored had been learned from, as a scorecard says it.

Belongs here: the statement, of the series that were scored. Does not belong here: the certificate
that models are trained under (``crops/certificate.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.splits import PARTS, patients_in_two_parts
from lung_pipeline.annotations.subset import SERIES
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin

if TYPE_CHECKING:
    import pandas as pd


SAME_SPLIT, ANOTHER_SPLIT, UNKNOWN_SPLIT = "the same", "another", "not known"
"""Of a model: the split it was learned under, beside the one that the tables have now."""


@dataclass(frozen=True, slots=True)
class SplitCertificate:
    """That nobody who was scored had been learned from."""

    rule: dict[str, Any]
    """The rule of the split as JSON has it: kind, seed, shares."""

    patients_per_part: dict[str, int]
    """How many patients each part has."""

    patients_in_two_parts: int
    """How many stand in more than one part; anything but 0 makes the figures worthless."""

    split_of_models: dict[str, str] = field(default_factory=dict)
    """For each step which split its model was learned under, one of the three above; imported
    models and old records do not say."""

    @property
    def models_of_another_split(self) -> list[str]:
        """The steps whose model may have learned from who is scored."""
        return self._steps(ANOTHER_SPLIT)

    @property
    def models_of_unknown_split(self) -> list[str]:
        """The steps whose model nothing is known of."""
        return self._steps(UNKNOWN_SPLIT)

    @property
    def num_models_of_another_split(self) -> int | None:
        """How many there are; None where some are not known and none is found."""
        found = len(self.models_of_another_split)
        is_known = bool(self.split_of_models) and not self.models_of_unknown_split
        return found if found or is_known else None

    def _steps(self, split: str) -> list[str]:
        return [step for step, found in self.split_of_models.items() if found == split]


def split_certificate(
    home: Home, series: pd.DataFrame, subset: str, split_of_models: Mapping[str, str]
) -> SplitCertificate:
    """That no patient of these series stands in two parts; the rule is that of ``subset``."""
    patients = series[["patient_id", "part"]].drop_duplicates()
    return SplitCertificate(
        rule=dict(read_origin(home.manifest(SERIES, subset)).get("split", {})),
        patients_per_part={part: int((patients["part"] == part).sum()) for part in PARTS},
        patients_in_two_parts=len(patients_in_two_parts(patients)),
        split_of_models=dict(split_of_models),
    )
