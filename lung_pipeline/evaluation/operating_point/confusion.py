# SPDX-License-Identifier: Apache-2.0
"""What became of everything in the scans, from nodule to prediction, in one table.

The table of the reference design ("Deep Learning with PyTorch", chapter 14), with what it means:

- Rows are nodules by the readers' rule, benign or malignant, and findings that are none. Nodules
  the rule says nothing of (no ratings, or left out by it) are a row of their own: they count as
  nodules to be found, and neither as malignant nor as a false alarm.
- A nodule is **missed** when no finding lies on it, **filtered out** when the best finding on it
  has a nodule probability below the threshold, and else **predicted** malignant or benign by that
  finding's malignancy probability. The best is the one with the highest nodule probability; other
  findings on the nodule count neither way. A finding on two nodules counts for both.
- A **non-nodule** is a finding on no nodule. It cannot be missed. Findings on excluded marks count
  neither way.
- **Not assessed** is what passes as a nodule and has no malignancy probability, as all have where
  there is no malignancy model.

Which finding lies on which nodule is told by ``matching.py``. What the segmentation passes over was
decided when the findings were made, by the threshold of its mask.

Belongs here: counts at two thresholds, and their shares. Does not belong here: which thresholds
(``thresholds.py``), and at which stage a nodule was lost (``waterfall.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.detection.matching import FALSE_POSITIVE, Matches

if TYPE_CHECKING:
    import pandas as pd

NON_NODULE, BENIGN, MALIGNANT, UNRATED = "non-nodule", "benign", "malignant", "unrated"
"""What a thing in a scan is, and the rows of the table."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Things:
    """All that counts in some scans: each nodule, and each finding that is on none."""

    kind: npt.NDArray[np.str_]
    """One of the four kinds, shape (n,)."""

    nodule_probability: _Floats
    """Of the best finding on it, shape (n,); NaN for a nodule that was missed."""

    malignancy_probability: _Floats
    """Of the same finding, shape (n,); NaN where there is none."""

    num_series: int
    """How many series were looked at, those with nothing in them included."""


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """What became of the things of one kind; the five counts add up to all of them."""

    missed: int
    """No finding lies on it."""

    filtered_out: int
    """Its nodule probability is below the threshold."""

    predicted_benign: int
    """It passes as a nodule, and its malignancy probability is below the threshold."""

    predicted_malignant: int
    """It passes as a nodule, and its malignancy probability is not below the threshold."""

    not_assessed: int
    """It passes as a nodule, and has no malignancy probability."""

    @property
    def total(self) -> int:
        """All things of this kind."""
        return self.missed + self.filtered_out + self.passed

    @property
    def passed(self) -> int:
        """Those that pass as a nodule."""
        return self.predicted_benign + self.predicted_malignant + self.not_assessed


@dataclass(frozen=True, slots=True)
class ConfusionTable:
    """The table at two thresholds."""

    non_nodule: ConfusionRow
    """Findings on no nodule."""

    benign: ConfusionRow
    """Nodules the readers' rule calls benign."""

    malignant: ConfusionRow
    """Nodules the readers' rule calls malignant."""

    unrated: ConfusionRow
    """Nodules the readers' rule says nothing of."""

    nodule_threshold: float
    """A finding passes as a nodule from this nodule probability on."""

    malignancy_threshold: float
    """A nodule is predicted malignant from this malignancy probability on."""

    num_series: int
    """The divisor of what is counted a scan."""

    @property
    def rows(self) -> dict[str, ConfusionRow]:
        """The four rows by the kind of thing."""
        rows = (self.non_nodule, self.benign, self.malignant, self.unrated)
        return dict(zip((NON_NODULE, BENIGN, MALIGNANT, UNRATED), rows, strict=True))

    @property
    def nodule_sensitivity(self) -> float | None:
        """Of all nodules, the share that passes as a nodule; None without nodules."""
        nodules = (self.benign, self.malignant, self.unrated)
        return _share(sum(row.passed for row in nodules), sum(row.total for row in nodules))

    @property
    def malignant_sensitivity(self) -> float | None:
        """Of all malignant nodules, the share found and predicted malignant; None without any."""
        return _share(self.malignant.predicted_malignant, self.malignant.total)

    @property
    def fp_per_scan(self) -> float | None:
        """Non-nodules a scan that pass as a nodule; None without a scan."""
        return _share(self.non_nodule.passed, self.num_series)

    @property
    def false_alarms_per_scan(self) -> float | None:
        """Non-nodules and benign nodules a scan that are predicted malignant."""
        num = self.non_nodule.predicted_malignant + self.benign.predicted_malignant
        return _share(num, self.num_series)

    def as_rows(self) -> list[list[str | int]]:
        """The table as it is printed: a line of headings, then a line for each kind.

        A non-nodule cannot be missed; nothing stands there.
        """
        headings = [field.name.replace("_", " ") for field in fields(ConfusionRow)]
        lines: list[list[str | int]] = [["", *headings]]
        for kind, row in self.rows.items():
            cells = list(asdict(row).values())
            lines.append([kind, *(["", *cells[1:]] if kind == NON_NODULE else cells)])
        return lines

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ConfusionTable:
        """The table as it was before ``as_json``; ``KeyError`` or ``TypeError`` if it is none."""
        kinds = ("non_nodule", "benign", "malignant", "unrated")
        return cls(**{**record, **{kind: ConfusionRow(**record[kind]) for kind in kinds}})

    def metrics(self) -> dict[str, float | None]:
        """All counts and shares under flat names."""
        counts = {
            f"{kind.replace('-', '_')}_{name}": count
            for kind, row in self.rows.items()
            for name, count in asdict(row).items()
            if (kind, name) != (NON_NODULE, "missed")
        }
        return {
            **counts,
            "nodule_sensitivity": self.nodule_sensitivity,
            "malignant_sensitivity": self.malignant_sensitivity,
            "fp_per_scan": self.fp_per_scan,
            "false_alarms_per_scan": self.false_alarms_per_scan,
        }


def things_seen(
    nodules: pd.DataFrame, findings: pd.DataFrame, matches: Matches, num_series: int
) -> Things:
    """All that counts, with the probabilities that decide what becomes of it.

    Args:
        nodules: column is_malignant (boolean, NA where the readers' rule says nothing).
        findings: column malignancy_probability (NaN where there is none).
        matches: fates of these nodules and findings, with the nodule probability as the score.
        num_series: how many series were looked at.
    """
    of_finding = findings["malignancy_probability"].to_numpy(dtype=np.float64)
    is_false = matches.finding_fate == FALSE_POSITIVE
    of_nodule = np.append(of_finding, np.nan)[matches.nodule_finding]
    return Things(
        kind=np.concatenate([_kinds(nodules["is_malignant"]), np.full(is_false.sum(), NON_NODULE)]),
        nodule_probability=np.append(matches.nodule_score, matches.finding_score[is_false]),
        malignancy_probability=np.append(of_nodule, of_finding[is_false]),
        num_series=num_series,
    )


def confusion_table(
    things: Things, *, nodule_threshold: float, malignancy_threshold: float
) -> ConfusionTable:
    """Count what becomes of all things at two thresholds."""
    passes = things.nodule_probability >= nodule_threshold
    is_called = things.malignancy_probability >= malignancy_threshold
    has_none = np.isnan(things.malignancy_probability)
    is_missed = np.isnan(things.nodule_probability)
    fates = {
        "missed": is_missed,
        "filtered_out": ~is_missed & ~passes,
        "predicted_benign": passes & ~is_called & ~has_none,
        "predicted_malignant": passes & is_called,
        "not_assessed": passes & has_none,
    }
    rows = {
        kind: ConfusionRow(
            **{name: int((fate & (things.kind == kind)).sum()) for name, fate in fates.items()}
        )
        for kind in (NON_NODULE, BENIGN, MALIGNANT, UNRATED)
    }
    return ConfusionTable(
        non_nodule=rows[NON_NODULE],
        benign=rows[BENIGN],
        malignant=rows[MALIGNANT],
        unrated=rows[UNRATED],
        nodule_threshold=nodule_threshold,
        malignancy_threshold=malignancy_threshold,
        num_series=things.num_series,
    )


def _kinds(is_malignant: pd.Series[bool]) -> npt.NDArray[np.str_]:
    known = is_malignant.notna().to_numpy()
    malignant = is_malignant.fillna(value=False).to_numpy(dtype=bool)
    return np.where(known, np.where(malignant, MALIGNANT, BENIGN), UNRATED)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
