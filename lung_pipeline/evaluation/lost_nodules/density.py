# SPDX-License-Identifier: Apache-2.0
"""The density of a nodule by its readers: solid, part-solid, ground glass, or calcified.

LIDC's readers gave texture 1 (ground glass) to 5 (solid) with 3 for part-solid, and calcification
1 to 5 for its kinds and 6 for none (McNitt-Gray et al. 2007, doi:10.1016/j.acra.2007.07.023). Here
a nodule is calcified where more than half of those who rated it saw calcification; else its mean
texture decides: from 4 on solid, from 2 on part-solid, below ground glass. The cuts are ours: LIDC
names 1, 3 and 5, and says nothing of what lies between.

Belongs here: the readers' word. Does not belong here: what voxels measure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lung_pipeline.annotations.characteristics import CALCIFIED as SHARE_CALCIFIED
from lung_pipeline.annotations.characteristics import readers_means

if TYPE_CHECKING:
    import pandas as pd

SOLID, PART_SOLID, GROUND_GLASS = "solid", "part-solid", "ground glass"
CALCIFIED, UNKNOWN = "calcified", "unknown"
DENSITIES = (SOLID, PART_SOLID, GROUND_GLASS, CALCIFIED, UNKNOWN)
"""In the order of tables; unknown is what no reader rated, or whose reads are not known."""

SOLID_FROM, PART_SOLID_FROM = 4.0, 2.0
"""Mean textures from which on a nodule is solid, or part-solid."""


def densities(nodules: pd.DataFrame, reads: pd.DataFrame) -> npt.NDArray[np.object_]:
    """One of ``DENSITIES`` for each nodule, in the order of the rows.

    Args:
        nodules: columns series_uid and lidc_nodule (``NO_CONTOURS`` where none).
        reads: ``reads.reads_table`` of as many series as there are.
    """
    said = readers_means(nodules, reads)
    texture = said["texture"].to_numpy(dtype=np.float64)
    choices = {
        CALCIFIED: said[SHARE_CALCIFIED].to_numpy(dtype=np.float64) > 0.5,
        SOLID: texture >= SOLID_FROM,
        PART_SOLID: texture >= PART_SOLID_FROM,
        GROUND_GLASS: np.isfinite(texture),
    }
    return np.select(list(choices.values()), list(choices), UNKNOWN).astype(object)
