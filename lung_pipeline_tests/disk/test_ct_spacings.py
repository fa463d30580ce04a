# SPDX-License-Identifier: Apache-2.0
"""The size of the voxels of stored scans, in the order they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from lung_pipeline.crops.store import open_crops
from lung_pipeline.ct.spacings import read_spacings_of
from lung_pipeline.ct.store import open_volume
from lung_pipeline.ct.subset import convert_volumes, list_raw
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home

SUBSETS = ["subset0", "subset1"]


def test_each_crop_has_the_spacing_of_its_volume(phantom_home: Home) -> None:
    crops = open_crops([phantom_home.crops(subset) for subset in SUBSETS])
    uids = crops.index["series_uid"].tolist()[::-1]
    found = read_spacings_of(phantom_home, SUBSETS, uids)
    by_uid = {
        uid: open_volume(phantom_home.volume(subset, uid)).grid.spacing_irc_mm
        for subset in SUBSETS
        for uid in open_crops([phantom_home.crops(subset)]).index["series_uid"].unique()
    }
    assert len(set(by_uid.values())) > 2
    np.testing.assert_array_equal(found, [by_uid[uid] for uid in uids])


def test_rows_and_columns_may_lie_otherwise_apart(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.raw_subset("subset0").mkdir(parents=True)
    image = SimpleITK.GetImageFromArray(np.full((4, 6, 8), -1000, np.int16))
    image.SetSpacing((0.5, 0.75, 2.5))
    SimpleITK.WriteImage(image, str(home.raw_subset("subset0") / "1.2.mhd"))
    list_raw(home, "subset0")
    convert_volumes(home, "subset0")
    found = read_spacings_of(home, ["subset0"], ["1.2", "1.2"])
    np.testing.assert_array_equal(found, [[2.5, 0.75, 0.5]] * 2)


def test_no_series_no_spacing(phantom_home: Home) -> None:
    assert read_spacings_of(phantom_home, SUBSETS, []).shape == (0, 3)


def test_a_series_without_a_volume_is_refused(phantom_home: Home) -> None:
    with pytest.raises(StoreError, match=r"2 series, 9.8 the first.*Materialize hu_volumes"):
        read_spacings_of(phantom_home, SUBSETS, ["9.9", "9.8"])
