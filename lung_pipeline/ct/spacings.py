# SPDX-License-Identifier: Apache-2.0
"""How large the voxels of stored scans are.

Belongs here: that, of many scans at once. The manifest has one number for rows and columns, which
a coronal stack that was turned does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.store import open_volume
from lung_pipeline.ct.subset import series_with_volume
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home


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
    wanted, known = set(series_uids), {}
    for subset in subsets:
        for uid in wanted & set(series_with_volume(home, subset)):
            known[uid] = open_volume(home.volume(subset, uid)).grid.spacing_irc_mm
    if unknown := sorted(wanted - set(known)):
        raise StoreError(
            value=f"{len(unknown)} series, {unknown[0]} the first",
            place=home.root,
            rule="each series must stand in the manifest of the volumes",
            cure="Materialize hu_volumes of its subset again, and what follows.",
        )
    return np.array([known[uid] for uid in series_uids]).reshape(-1, 3)
