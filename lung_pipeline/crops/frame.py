# SPDX-License-Identifier: Apache-2.0
"""What a network wants to see of a crop: how much of its middle, and how finely.

A crop is a number of voxels, and those of one scan are three times as large as those of another.
Where size and form decide, a network is shown a close-up instead: a cube of the same millimetres
whatever the scan, so that what it learns of one nodule holds for the next (docs/results.md).

Belongs here: sizes. Does not belong here: voxels (``augmentation.py``), and who wants what
(``classification/network.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Triple

Floats = npt.NDArray[np.float64]

CLOSE_UP_MM = 22.4
"""Edge of a close-up. A crop holds it whole from 0.7 mm a slice and 0.47 mm a pixel on; where
voxels are smaller, the crop's edge is repeated beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The middle of crops, in voxels of a certain size."""

    shape_irc: Triple
    """Voxels of the result. Where they are as fine as the crop's, as many or an even number fewer:
    a crop's middle lies between two voxels."""

    step_irc: Floats | None = None
    """How many voxels of its crop one of the result spans, shape (batch, 3); None: one."""

    def steps(self, axis: int) -> Floats | float:
        """Along an axis, of each crop, (batch, 1)."""
        return 1.0 if self.step_irc is None else self.step_irc[:, axis, None]


def close_up(shape_irc: Triple, spacing_irc_mm: Floats) -> Frame:
    """A cube of ``CLOSE_UP_MM`` around the middle of each crop.

    Args:
        shape_irc: voxels of the cube.
        spacing_irc_mm: of each crop's voxels, shape (batch, 3).
    """
    return Frame(shape_irc, CLOSE_UP_MM / np.asarray(shape_irc) / spacing_irc_mm)
