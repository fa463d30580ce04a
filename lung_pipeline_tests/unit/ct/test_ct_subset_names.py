# SPDX-License-Identifier: Apache-2.0
"""Which folder may be a subset by its name."""

from __future__ import annotations

import pytest

from lung_pipeline.ct.subset_names import checked_subset_name, parted_by_name
from lung_pipeline.errors import SettingError


@pytest.mark.parametrize("name", ["subset0", "subset10", "own_scans", "2026_11", "a"])
def test_fitting_names_are_themselves(name: str) -> None:
    assert checked_subset_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Subset0", "subset-0", "subset.0", "a,b", "a b", "_a", "..", "a/b", "a\n", "süd", "٣"],
)
def test_every_other_name_is_refused_with_its_cure(name: str) -> None:
    with pytest.raises(
        SettingError, match=r"lowercase letters, digits and '_'.* Rename its folder"
    ):
        checked_subset_name(name)


def test_names_are_parted_and_sorted() -> None:
    names = ["subset1", "seg-lungs-LUNA16", "subset0", "Subset2"]
    assert parted_by_name(names) == (["subset0", "subset1"], ["Subset2", "seg-lungs-LUNA16"])
