# SPDX-License-Identifier: Apache-2.0
"""What readers say they see in a nodule, as numbers a model can learn.

LIDC's readers gave nine characteristics of each nodule; malignancy is one of them, and most of the
others are why. Here each nodule gets the mean of its readers' words, and its size.

Belongs here: from reads to a number for each nodule. Does not belong here: who learns them
(``classification/described.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.reads import NOT_RATED

if TYPE_CHECKING:
    import pandas as pd

LOG2_DIAMETER, CALCIFIED = "log2_diameter", "calcified"
"""The diameter's logarithm to the base 2 (in mm): what doubles counts the same at every size. The
share of the readers who saw calcification, 0 to 1: LIDC's scale names its kinds, and no order."""

LEARNED = (LOG2_DIAMETER, "spiculation", "lobulation", "texture", CALCIFIED)
"""The characteristics that are learned, in this order. The rest of LIDC's says the same again
(margin, sphericity), or nothing of the nodule itself (subtlety)."""

_ABSENT = 6
"""LIDC's calcification of a nodule without any."""

_NODULE = ["series_uid", "lidc_nodule"]


def described(index: pd.DataFrame, reads: pd.DataFrame) -> pd.DataFrame:
    """What the readers said of each candidate.

    Args:
        index: rows with series_uid, lidc_nodule and diameter_mm, as a table of candidates or crops.
        reads: ``reads.reads_table`` of as many series as there are.

    Returns:
        One row for each of the index, in its order, with the columns of ``LEARNED``: means over the
        readers who gave the characteristic; NaN where none did, and of what is no nodule.
    """
    found = readers_means(index, reads)
    log2_diameter = np.log2(index["diameter_mm"].to_numpy(dtype=np.float64))
    return found.assign(**{LOG2_DIAMETER: log2_diameter})[list(LEARNED)]


def readers_means(index: pd.DataFrame, reads: pd.DataFrame) -> pd.DataFrame:
    """As ``described``, without the diameter; the index needs none."""
    by_nodule = _numbers(reads).groupby([reads[name] for name in _NODULE]).mean()
    # A nodule without marks has the number -1, which no read has.
    found = index[_NODULE].merge(by_nodule, how="left", left_on=_NODULE, right_index=True)
    return found[list(by_nodule)].reset_index(drop=True)


def _numbers(reads: pd.DataFrame) -> pd.DataFrame:
    """The characteristics of each read; NaN where its reader gave none."""
    names = [name for name in LEARNED if name not in (LOG2_DIAMETER, CALCIFIED)]
    numbers = reads[names].astype("float64")
    numbers = numbers.where(reads[names] != NOT_RATED)
    calcification = reads["calcification"]
    is_calcified = (calcification != _ABSENT).astype("float64")
    return numbers.assign(**{CALCIFIED: is_calcified.where(calcification != NOT_RATED)})
