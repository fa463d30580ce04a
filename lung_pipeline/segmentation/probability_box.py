# SPDX-License-Identifier: Apache-2.0
"""Probabilities of nodule tissue in the part of a volume that was looked at.

Belongs here: the value, without torch, for whoever shows or stores it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float16]
"""Probability of nodule tissue, shape (index, row, column)."""


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityBox:
    """Probabilities within a box of a volume; outside it nothing was looked for."""

    start_irc: tuple[int, int, int]
    """First voxel of the box in the volume, in canonical order."""

    values: Probabilities
    """Probability of nodule tissue, shape of the box."""
