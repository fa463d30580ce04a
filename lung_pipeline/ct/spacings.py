# SPDX-License-Identifier: Apache-2.0
"""How large the voxels of stored scans are.

Belongs here: that, of many scans at once. Does not belong here: the manifest it stands in
(``subset.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.subset import VOLUMES
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_table

_IRC = ["slice_spacing_mm", "pixel_spacing_mm", "pixel_spacing_mm"]
_COLUMNS = ["series_uid", *_IRC[:2]]


def read_spacings_of(
    home: Home, subsets: Iterable[str], series_uids: Sequence[str]
) -> npt.NDArray[np.float64]:
    """The spacing of each series in its stored volume, shape (n, 3), (slice, row, column) in mm.

    Args:
        home: where the volumes lie.
        subsets: in which the series are.
        series_uids: as many as are wanted, each as often as it is.

    Raises:
        StoreError: a series has no volume there.
    """
    known: dict[str, npt.NDArray[np.float64]] = {}
    for subset in subsets:
        table = read_table(home.manifest(VOLUMES, subset), _COLUMNS)
        spacings = table[_IRC].to_numpy(dtype=np.float64)
        known |= dict(zip(table["series_uid"], spacings, strict=True))
    if unknown := sorted(set(series_uids) - set(known)):
        raise StoreError(
            value=f"{len(unknown)} series, {unknown[0]} the first",
            place=home.root,
            rule="each series must stand in the manifest of the volumes",
            cure="Materialize hu_volumes of its subset again, and what follows.",
        )
    return np.array([known[uid] for uid in series_uids]).reshape(-1, 3)
