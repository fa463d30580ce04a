# SPDX-License-Identifier: Apache-2.0
"""Which samples stand in a batch: fixed shares of each group, drawn from a seed.

Belongs here: row numbers. Does not belong here: voxels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import AnnotationError

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are drawn together."""

    rows: Rows
    """Row numbers of the crop table."""

    share: float
    """Share of each batch."""


def balanced_batches(
    groups: Mapping[str, Group], *, batch_size: int, num_batches: int, rng: np.random.Generator
) -> Iterator[Rows]:
    """Draw batches of rows, with replacement, each group at its share.

    Raises:
        AnnotationError: a group with a share has no rows.
    """
    for name, group in groups.items():
        if group.share > 0 and len(group.rows) == 0:
            raise AnnotationError(
                value="no crop",
                place=f"training crops of the group '{name}'",
                rule="each group with a share of the batch must have at least one crop",
                cure="Add subsets that have such candidates, or check the ratings and the split.",
            )
    chosen = list(groups.values())
    shares = np.asarray([group.share for group in chosen])
    for _ in range(num_batches):
        counts = _counts(shares / shares.sum(), batch_size, rng)
        drawn = [rng.choice(g.rows, size=n) for g, n in zip(chosen, counts, strict=True) if n]
        yield rng.permutation(np.concatenate(drawn))


def _counts(shares: npt.NDArray[np.float64], size: int, rng: np.random.Generator) -> list[int]:
    """Whole numbers that add up to ``size``; what is left over goes round by chance."""
    wanted = shares * size
    counts = np.floor(wanted + 1e-9).astype(int)
    left = size - int(counts.sum())
    if left:
        rest = np.maximum(wanted - counts, 0)  # rounding may leave a little less than nothing
        lucky = rng.choice(len(shares), size=left, replace=False, p=rest / rest.sum())
        counts[lucky] += 1
    return [int(count) for count in counts]
