# SPDX-License-Identifier: Apache-2.0
"""Whether the parts of a split have like nodules: as many malignant, large and small ones.

A part whose nodules are otherwise than chance explains is judged by another task than the models
were taught. Nodules of one patient are alike, so chance is asked by patients: the parts are dealt
out anew among the patients, 20,000 times, each part keeping its number of patients. That needs no
assumption about how nodules cluster (permutation test; Good, "Permutation, Parametric, and
Bootstrap Tests of Hypotheses", 2005).

Belongs here: shares and whether they are off. Does not belong here: what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.annotations.splits import PARTS

if TYPE_CHECKING:
    import pandas as pd

LARGE_OVER_MM, SMALL_UNDER_MM = 8.0, 6.0
"""The size classes by which follow-up is advised: under 6 mm, 6 to 8 mm, over 8 mm (Fleischner
Society 2017: MacMahon et al., Radiology 284:228)."""

TRAITS = ("malignant", "large", "small")
"""What is counted."""

LEVEL = 0.01 / (len(PARTS) * len(TRAITS))
"""A share is off when chance explains one so far away, to either side, less often than this.

One percent over all nine comparisons (Bonferroni): of a hundred sound splits at most one is warned
of, since a warning that comes with every split would not be read.
"""

PERMUTATIONS = 20_000
"""With these the least p-value is 0.00005, and one at the level is known to a fifth of itself."""

_BATCH = 2_000
"""Dealings at once, at most."""

_PARTS_AT_ONCE = 20_000_000
"""Dealings times patients at once: some 20 bytes each, however many patients there are."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many nodules of one part have one trait, beside all parts together."""

    part: str
    """train, validation or test."""

    trait: str
    """malignant, large (over 8 mm) or small (under 6 mm)."""

    num_nodules: int
    """Nodules of which it is known; nodules without a label do not count for "malignant"."""

    num_with: int
    """Those that have the trait."""

    share: float | None
    """Their share; None where there is no nodule."""

    share_of_all: float | None
    """The share over all parts."""

    p_value: float | None
    """How often chance brings a share as far from that of all, or farther; None without nodules."""

    @property
    def is_off(self) -> bool:
        """Whether it is off by more than chance explains."""
        return self.p_value is not None and self.p_value < LEVEL

    def in_words(self) -> str:
        """One line for a person."""
        if self.share is None or self.share_of_all is None or self.p_value is None:
            return f"{self.part}: no nodule is known to be {self.trait} or not"
        return (
            f"{self.part}: {self.num_with} of {self.num_nodules} nodules are {self.trait} "
            f"({self.share:.1%}; of all {self.share_of_all:.1%}; p = {self.p_value:.2g})"
        )

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {**asdict(self), "is_off": self.is_off}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Share:
        """The share as it was before ``as_json``; ``TypeError`` where it is none."""
        return cls(**{name: value for name, value in record.items() if name != "is_off"})


def shares_of_parts(
    nodules: pd.DataFrame, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> tuple[Share, ...]:
    """The share of each trait in each part, and what chance says of it.

    Args:
        nodules: rows with patient_id, part, diameter_mm and is_malignant (NA where unknown).
        permutations: how often the parts are dealt out anew.
        seed: of that; the same nodules give the same figures, in whatever order they come.
    """
    diameter_mm = nodules["diameter_mm"]
    traits = {
        "malignant": nodules["is_malignant"].astype("boolean"),
        "large": (diameter_mm > LARGE_OVER_MM).astype("boolean"),
        "small": (diameter_mm < SMALL_UNDER_MM).astype("boolean"),
    }
    found = []
    for trait in TRAITS:
        has, known = traits[trait], traits[trait].notna()
        rows = nodules[known][["patient_id", "part"]].assign(has=has[known].astype("int64"))
        found += _shares(rows, trait, permutations, np.random.default_rng(seed))
    return tuple(found)


def _shares(
    rows: pd.DataFrame, trait: str, permutations: int, rng: np.random.Generator
) -> list[Share]:
    of_patients = rows.groupby(["patient_id", "part"])["has"].agg(["size", "sum"]).reset_index()
    # In the order of their names: the dealing must not depend on the order of the rows.
    counts = of_patients[["size", "sum"]].to_numpy(dtype=np.float64)
    part = np.asarray([PARTS.index(name) for name in of_patients["part"]], dtype=np.int8)
    total, with_trait = counts.sum(axis=0)
    share_of_all = with_trait / total if total else None
    p_values = _p_values(counts, part, permutations, rng)
    shares = []
    for number, name in enumerate(PARTS):
        num_nodules, num_with = (int(value) for value in counts[part == number].sum(axis=0))
        share = num_with / num_nodules if num_nodules else None
        p_value = p_values[number] if num_nodules else None
        shares.append(Share(name, trait, num_nodules, num_with, share, share_of_all, p_value))
    return shares


def _p_values(
    counts: npt.NDArray[np.float64],
    part: npt.NDArray[np.int8],
    permutations: int,
    rng: np.random.Generator,
) -> list[float]:
    """For each part how often a dealing is as far off, the real one counted in.

    Args:
        counts: nodules and nodules with the trait of each patient, shape (patients, 2).
        part: each patient's part as a number, shape (patients,).
        permutations: how many dealings.
        rng: where they come from.
    """
    if len(part) == 0:
        return [1.0] * len(PARTS)
    total, with_trait = counts.sum(axis=0)
    real = _deviation(_sums(part[None], counts), with_trait / total)
    as_far = np.ones(len(PARTS))
    # One dealing is drawn after the other: their number at once changes no figure.
    at_once = max(1, min(_BATCH, _PARTS_AT_ONCE // len(part)))
    for start in range(0, permutations, at_once):
        size = min(at_once, permutations - start)
        dealt = rng.permuted(np.broadcast_to(part, (size, len(part))), axis=1)
        far = _deviation(_sums(dealt, counts), with_trait / total) >= real - 1e-12
        as_far += far.sum(axis=0)
    return [float(value) for value in as_far / (permutations + 1)]


def _sums(dealt: npt.NDArray[np.int8], counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Nodules and nodules with the trait of each part, shape (dealings, parts, 2)."""
    # Whole numbers far below 2^24 are exact in float32, which multiplies faster.
    narrow = counts.astype(np.float32)
    of_parts = [(dealt == number).astype(np.float32) @ narrow for number in range(len(PARTS))]
    return np.stack(of_parts, axis=1).astype(np.float64)


def _deviation(sums: npt.NDArray[np.float64], share_of_all: float) -> npt.NDArray[np.float64]:
    """How far each part's share is from that of all, 0 for a part without nodules."""
    nodules, with_trait = sums[..., 0], sums[..., 1]
    return np.abs(with_trait - share_of_all * nodules) / np.maximum(nodules, 1)
