# SPDX-License-Identifier: Apache-2.0
"""What readers say of a nodule's density, worked by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from lung_pipeline.evaluation.lost_nodules.density import (
    CALCIFIED,
    GROUND_GLASS,
    PART_SOLID,
    SOLID,
    UNKNOWN,
    densities,
)

NONE = 6
"""LIDC's calcification where there is none."""

_COLUMNS = ["series_uid", "lidc_nodule", "texture", "calcification"]


def _reads(*rows: tuple[str, int, int, int]) -> pd.DataFrame:
    """A table of reads whose readers gave no word on the nodule's outline."""
    return pd.DataFrame(list(rows), columns=_COLUMNS).assign(spiculation=0, lobulation=0)


def _of(*ratings: tuple[int, int]) -> str:
    """The density of one nodule whose readers gave (texture, calcification)."""
    reads = _reads(*(("a", 3, *rating) for rating in ratings))
    (density,) = densities(pd.DataFrame({"series_uid": ["a"], "lidc_nodule": [3]}), reads)
    return str(density)


@pytest.mark.parametrize(
    ("textures", "density"),
    [
        ((5, 5, 5, 5), SOLID),
        ((4, 4, 4), SOLID),
        ((5, 5, 3, 3), SOLID),
        ((5, 5, 3, 2), PART_SOLID),
        ((3, 3, 3), PART_SOLID),
        ((2, 2, 2), PART_SOLID),
        ((1, 1, 3, 3), PART_SOLID),
        ((1, 1, 2, 3), GROUND_GLASS),
        ((1, 1, 1), GROUND_GLASS),
    ],
)
def test_mean_texture_decides(textures: tuple[int, ...], density: str) -> None:
    assert _of(*((texture, NONE) for texture in textures)) == density


@pytest.mark.parametrize(
    ("calcifications", "density"),
    [
        ((3, 3, 3, 3), CALCIFIED),
        ((1, 5, NONE), CALCIFIED),
        ((3, 3, NONE, NONE), SOLID),
        ((3, NONE, NONE), SOLID),
        ((3, 0, 0, 0), CALCIFIED),
    ],
)
def test_calcified_is_what_more_than_half_of_its_raters_call_so(
    calcifications: tuple[int, ...], density: str
) -> None:
    assert _of(*((5, calcification) for calcification in calcifications)) == density


def test_reader_who_rated_nothing_has_no_vote() -> None:
    assert _of((0, 0), (5, NONE), (4, NONE)) == SOLID
    assert _of((0, 0), (0, 0)) == UNKNOWN
    assert _of() == UNKNOWN


def test_nodules_keep_their_order_and_those_without_reads_are_unknown() -> None:
    reads = _reads(("a", 0, 5, NONE), ("b", 0, 1, NONE), ("a", 1, 3, NONE))
    nodules = pd.DataFrame(
        [("b", 0), ("a", 1), ("c", -1), ("a", 0), ("a", -1)], columns=["series_uid", "lidc_nodule"]
    )
    assert densities(nodules, reads).tolist() == [
        GROUND_GLASS,
        PART_SOLID,
        UNKNOWN,
        SOLID,
        UNKNOWN,
    ]
    assert densities(nodules.head(0), reads).tolist() == []
