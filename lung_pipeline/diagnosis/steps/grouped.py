# SPDX-License-Identifier: Apache-2.0
"""What stands between the network's probabilities and the findings, for who wants to look.

Belongs here: the value, and how it is asked by voxels of the whole volume. Does not belong here:
how it comes about (``pipeline.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.grouping.components import Component, Labels
from lung_pipeline.segmentation.probability_box import Probabilities, ProbabilityBox


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Marked voxels and what became of them, in the box that was looked at."""

    probabilities: ProbabilityBox
    """Probability of nodule tissue."""

    labels: Labels
    """What was marked and kept, shape of the box."""

    components: list[Component]
    """Those that become findings, in the findings' order before any are merged."""

    def part(self, box: tuple[slice, ...]) -> tuple[Probabilities, Labels]:
        """Probabilities and labels in a box of the volume; 0 where nothing was looked at."""
        shape = [max(0, s.stop - s.start) for s in box]
        probabilities, labels = np.zeros(shape, np.float16), np.zeros(shape, np.int32)
        ours, theirs = [], []
        for wanted, first, size in zip(
            box, self.probabilities.start_irc, self.labels.shape, strict=True
        ):
            start, stop = max(wanted.start, first), min(wanted.stop, first + size)
            if start >= stop:
                return probabilities, labels
            ours.append(slice(start - first, stop - first))
            theirs.append(slice(start - wanted.start, stop - wanted.start))
        probabilities[tuple(theirs)] = self.probabilities.values[tuple(ours)]
        labels[tuple(theirs)] = self.labels[tuple(ours)]
        return probabilities, labels

    def labels_at(self, points_irc: npt.NDArray[np.int64]) -> Labels:
        """The label of each voxel of the volume, shape (..., 3) to (...); 0 off the box."""
        here = points_irc - np.asarray(self.probabilities.start_irc)
        last = np.asarray(self.labels.shape) - 1
        is_inside = ((here >= 0) & (here <= last)).all(axis=-1)
        found = self.labels[tuple(np.moveaxis(np.clip(here, 0, last), -1, 0))]
        return np.where(is_inside, found, 0)
