# SPDX-License-Identifier: Apache-2.0
"""That nobody who is scored had been learned from, as a scorecard says it.

Belongs here: the statement, of the series that were scored. Does not belong here: the certificate
that models are trained under (``crops/certificate.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.splits import PARTS, patients_in_two_parts
from lung_pipeline.annotations.subset import SERIES
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class SplitCertificate:
    """That nobody who was scored had been learned from."""

    rule: dict[str, Any]
    """The rule of the split as JSON has it: kind, seed, shares."""

    patients_per_part: dict[str, int]
    """How many patients each part has."""

    patients_in_two_parts: int
    """How many stand in more than one part; anything but 0 makes the figures worthless."""


def split_certificate(home: Home, series: pd.DataFrame, subset: str) -> SplitCertificate:
    """That no patient of these series stands in two parts; the rule is that of ``subset``."""
    patients = series[["patient_id", "part"]].drop_duplicates()
    return SplitCertificate(
        rule=dict(read_origin(home.manifest(SERIES, subset)).get("split", {})),
        patients_per_part={part: int((patients["part"] == part).sum()) for part in PARTS},
        patients_in_two_parts=len(patients_in_two_parts(patients)),
    )
