# SPDX-License-Identifier: Apache-2.0
"""Pictures of the nodules that a comparison won or lost, from the stored crops.

Belongs here: finding and drawing a crop. Does not belong here: the page they stand on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lung_pipeline.crops.store import open_crops
from lung_pipeline.evaluation.comparison.changed_nodules import ChangedNodule
from lung_pipeline.home import Home
from lung_pipeline.reporting.overlay import data_uri, window_picture

if TYPE_CHECKING:
    import pandas as pd

_PLACE = ["x_mm", "y_mm", "z_mm"]


def pictures_of(home: Home, nodules: Sequence[ChangedNodule]) -> dict[str, str]:
    """For each nodule the middle axial slice of its crop in the lung window, as a data address.

    Nodules without a stored crop are left out: their subset may have been removed since, or its
    candidates numbered anew.

    Raises:
        StoreError: crops that are there and damaged.
    """
    pictures = {}
    for subset in sorted({nodule.subset for nodule in nodules}):
        if not home.crops_index(subset).is_file():
            continue
        crops = open_crops([home.crops(subset)])
        rows = _rows(crops.index, [nodule for nodule in nodules if nodule.subset == subset])
        for name, crop_hu in zip(rows, crops.read(list(rows.values())), strict=True):
            pictures[name] = data_uri(window_picture(crop_hu[len(crop_hu) // 2]))
    return pictures


def _rows(index: pd.DataFrame, nodules: Sequence[ChangedNodule]) -> dict[str, int]:
    """The row of each nodule's crop, where a crop of that name lies at that place."""
    wanted = {nodule.candidate_id: nodule.center_xyz_mm for nodule in nodules}
    named = index[index["candidate_id"].isin(wanted)]
    rows = zip(named.index, named["candidate_id"], named[_PLACE].to_numpy().tolist(), strict=True)
    return {
        str(name): int(row)
        for row, name, place in rows
        if all(abs(a - b) < 1e-6 for a, b in zip(place, wanted[str(name)], strict=True))
    }
