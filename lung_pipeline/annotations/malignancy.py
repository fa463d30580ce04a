# SPDX-License-Identifier: Apache-2.0
"""What the readers said of each nodule, by a named rule.

Belongs here: a label, and how sure one may be of it, beside each nodule. Does not belong here: the
rules themselves (``rules.py``) and how ratings are read from a file (``luna.py``, ``lidc.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lung_pipeline.annotations.neighbours import nearest
from lung_pipeline.annotations.rules import SUSPICIOUS, MalignancyRule

if TYPE_CHECKING:
    import pandas as pd

SAME_NODULE_MM = 1.0
"""Two tables mean the same nodule when its centres lie no farther apart.

In the published tables the same nodule differs by less than 1e-12 mm, and no two nodules of a
series lie closer than 5 mm.
"""

FROM_CSV, FROM_LIDC = "csv", "lidc"
"""Where ratings come from: somebody's table, or the readers' own XML."""

NO_CONTOURS = -1
"""``lidc_nodule`` of a nodule whose readers' contours are not there."""

_ANY_RATING = range(1, 6)


def label_nodules(
    nodules: pd.DataFrame, ratings: pd.DataFrame | None, rule: MalignancyRule
) -> pd.DataFrame:
    """Add what the readers said to each nodule.

    A nodule takes the ratings of the nearest rated row of its series within ``SAME_NODULE_MM``.

    Args:
        nodules: rows with series_uid, x_mm, y_mm, z_mm.
        ratings: rows with series_uid, x_mm, y_mm, z_mm, ratings and, where they come from the
            readers' XML, ratings_from and lidc_nodule; None where there are none.
        rule: from ratings to a label.

    Returns:
        A copy of the nodules with ``ratings`` (as "4,2,4,2", "" where unknown), ``num_readers``
        (int64), ``is_malignant`` (pandas "boolean", NA where unknown or left out by the rule),
        ``expected_suspicious`` (float64, NaN where unknown), ``is_borderline`` (bool),
        ``ratings_from`` and ``lidc_nodule`` (the number of the readers' nodule, or
        ``NO_CONTOURS``).
    """
    import pandas as pd

    found = _rated_rows(nodules, ratings)
    texts = found["ratings"].tolist()
    numbers = {text: [int(digit) for digit in text.split(",") if digit] for text in set(texts)}
    labels = {text: rule.label(given) for text, given in numbers.items()}
    expected = {text: expected_suspicious(given) for text, given in numbers.items()}
    borderline = {text: is_borderline(given, rule) for text, given in numbers.items()}

    def column(values: list[object], dtype: str) -> pd.Series:
        return pd.Series(values, index=nodules.index, dtype=dtype)

    return nodules.assign(
        ratings=column(texts, "str"),
        num_readers=column([len(numbers[text]) for text in texts], "int64"),
        is_malignant=column([labels[text] for text in texts], "boolean"),
        expected_suspicious=column([expected[text] for text in texts], "float64"),
        is_borderline=column([borderline[text] for text in texts], "bool"),
        ratings_from=column(found["ratings_from"].tolist(), "str"),
        lidc_nodule=column(found["lidc_nodule"].tolist(), "int64"),
    )


def expected_suspicious(ratings: Sequence[int]) -> float:
    """The share of all such readers expected to call the nodule suspicious (4 or 5).

    The mean of what is known after these ratings when nothing was before, (k + 1/2) / (n + 1)
    (H. Jeffreys' prior for a share): two of two readers do not make a certainty. NaN without any.
    """
    num_suspicious = sum(rating >= SUSPICIOUS for rating in ratings)
    return (num_suspicious + 0.5) / (len(ratings) + 1) if ratings else float("nan")


def is_borderline(ratings: Sequence[int], rule: MalignancyRule) -> bool:
    """Whether one more reader could change the label; False where nobody rated."""
    label = rule.label(ratings)
    return bool(ratings) and any(rule.label([*ratings, one]) != label for one in _ANY_RATING)


def _rated_rows(nodules: pd.DataFrame, ratings: pd.DataFrame | None) -> pd.DataFrame:
    """For each nodule its ratings, where they come from and its readers' nodule."""
    import pandas as pd

    unknown = pd.DataFrame(
        {"ratings": "", "ratings_from": "", "lidc_nodule": NO_CONTOURS}, index=range(len(nodules))
    )
    if ratings is None or ratings.empty or nodules.empty:
        return unknown
    position, found = nearest(nodules, ratings, within_mm=SAME_NODULE_MM)
    taken = ratings.iloc[position].reset_index(drop=True)
    if "ratings_from" not in taken:
        taken = taken.assign(ratings_from=FROM_CSV, lidc_nodule=NO_CONTOURS)
    taken = taken[list(unknown)]
    taken.loc[~found] = unknown.loc[~found]
    return taken
