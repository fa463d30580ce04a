# SPDX-License-Identifier: Apache-2.0
"""What readers' ratings say of a nodule, by a named rule.

LIDC's readers rated each nodule's malignancy from 1 (highly unlikely) to 5 (highly suspicious),
each for himself; up to four of them, and not every one rated every nodule.

Belongs here: from ratings to a label. Does not belong here: how ratings are read from a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lung_pipeline.annotations.neighbours import nearest

if TYPE_CHECKING:
    import pandas as pd

TWO_OF_READERS = "two-of-readers"
"""The rule's name: malignant if at least two readers gave 4 or 5 (the book's, on LIDC's scale)."""

SUSPICIOUS = 4
"""The lowest rating that takes a nodule for malignant."""

SAME_NODULE_MM = 1.0
"""Two tables mean the same nodule when its centres lie no farther apart.

In the published tables the same nodule differs by less than 1e-12 mm, and no two nodules of a
series lie closer than 5 mm.
"""


def two_of_readers(ratings: Sequence[int]) -> bool:
    """Whether at least two readers gave 4 or 5; the number of readers does not matter."""
    return sum(rating >= SUSPICIOUS for rating in ratings) >= 2


def label_nodules(nodules: pd.DataFrame, ratings: pd.DataFrame | None) -> pd.DataFrame:
    """Add what the readers said to each nodule.

    A nodule takes the ratings of the nearest rated row of its series within ``SAME_NODULE_MM``.

    Args:
        nodules: rows with series_uid, x_mm, y_mm, z_mm.
        ratings: as ``luna.read_ratings`` gives them; None where there are none.

    Returns:
        A copy of the nodules with ``ratings`` (as "4,2,4,2", "" where unknown), ``num_readers``
        (int64) and ``is_malignant`` (pandas "boolean", NA where there is no rating).
    """
    import pandas as pd

    texts = _ratings_of(nodules, ratings)
    numbers = [[int(digit) for digit in text.split(",") if digit] for text in texts]
    labels = [two_of_readers(given) if given else None for given in numbers]
    return nodules.assign(
        ratings=pd.Series(texts, index=nodules.index, dtype="str"),
        num_readers=pd.Series(list(map(len, numbers)), index=nodules.index, dtype="int64"),
        is_malignant=pd.Series(labels, index=nodules.index, dtype="boolean"),
    )


def _ratings_of(nodules: pd.DataFrame, ratings: pd.DataFrame | None) -> list[str]:
    if ratings is None or ratings.empty:
        return [""] * len(nodules)
    position, found = nearest(nodules, ratings, within_mm=SAME_NODULE_MM)
    taken = ratings["ratings"].iloc[position]
    return [text if known else "" for text, known in zip(taken, found, strict=True)]
