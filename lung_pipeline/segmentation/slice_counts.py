# SPDX-License-Identifier: Apache-2.0
"""Figures of masks on whole slices: what was found, missed and marked in vain.

Belongs here: counting over arrays. Does not belong here: which slices, and who predicts
(``validation.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import AnnotationError
from lung_pipeline.learning.metrics import Confusion

Mask = npt.NDArray[np.bool_]
"""Marked voxels, shape (slice, row, column)."""

Labels = npt.NDArray[np.integer[Any]]
"""Which nodule a voxel belongs to, 0 for none; shape (slice, row, column)."""


@dataclass(frozen=True, slots=True)
class SliceCounts:
    """What was found, missed and marked in vain on whole slices; adds up over series with ``+``.

    All slices of a nodule belong in one count: in two it counts as two nodules.
    """

    num_slices: int = 0
    """Slices looked at."""

    voxels: Confusion = field(default_factory=Confusion)
    """Voxel by voxel."""

    nodule_dices: tuple[float, ...] = ()
    """For each nodule the Dice of it and of what touches it; 0 where nothing does."""

    num_marks: int = 0
    """Connected components of the prediction, slice by slice."""

    num_false_marks: int = 0
    """Those that share no voxel with a nodule."""

    @classmethod
    def of(cls, predicted: Mask, truth: Mask, nodules: Labels) -> SliceCounts:
        """Count over some slices of one series.

        Args:
            predicted: marked voxels, shape (slice, row, column); slices need not be neighbours.
            truth: voxels of nodules, same shape.
            nodules: which nodule a voxel belongs to, same shape; 0 for none, and the same number
                for a nodule in all its slices.

        Raises:
            AnnotationError: other shapes, or a truth that is not the voxels of the nodules.
        """
        _refuse_unfit(predicted, truth, nodules)
        marks, num_marks = _label_in_slices(predicted)
        num_true = len(np.unique(marks[truth & predicted]))
        return cls(
            len(predicted),
            Confusion.of(truth, predicted),
            _nodule_dices(marks, nodules),
            num_marks,
            num_marks - num_true,
        )

    def __add__(self, other: SliceCounts) -> SliceCounts:
        return SliceCounts(
            self.num_slices + other.num_slices,
            self.voxels + other.voxels,
            self.nodule_dices + other.nodule_dices,
            self.num_marks + other.num_marks,
            self.num_false_marks + other.num_false_marks,
        )

    def as_metrics(self, prefix: str = "validation/slice") -> dict[str, float]:
        """Named numbers for a tracker; 0 where there is nothing to divide by.

        Per nodule, recall is the share with a marked voxel, precision the share of marks that
        touch a nodule, and Dice the mean over nodules, each the same weight whatever its size.
        """
        num_nodules = len(self.nodule_dices)
        num_found = sum(dice > 0 for dice in self.nodule_dices)
        figures = {
            "voxel/recall": self.voxels.recall,
            "voxel/precision": self.voxels.precision,
            "voxel/dice": self.voxels.f1,
            "nodule/recall": num_found / max(num_nodules, 1),
            "nodule/precision": (self.num_marks - self.num_false_marks) / max(self.num_marks, 1),
            "nodule/dice": sum(self.nodule_dices) / max(num_nodules, 1),
            "nodule/correct": float(num_found),
            "nodule/total": float(num_nodules),
            "false_positives": self.num_false_marks / max(self.num_slices, 1),
            "total": float(self.num_slices),
        }
        return {f"{prefix}/{name}": value for name, value in figures.items()}


def slice_figures(
    predicted: Mask, truth: Mask, nodules: Labels, prefix: str = "validation/slice"
) -> dict[str, float]:
    """The figures of some slices of one series, all shaped (slice, row, column)."""
    return SliceCounts.of(predicted, truth, nodules).as_metrics(prefix)


def nodule_numbers(nodules: Labels) -> list[int]:
    """The numbers of the nodules that have a voxel, rising."""
    return [int(number) for number in np.unique(nodules) if number]


def _label_in_slices(predicted: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """Number the components of each slice apart; voxels hang together by their edges."""
    from scipy import ndimage

    in_plane = np.zeros((3, 3, 3), dtype=np.bool_)
    in_plane[1] = ndimage.generate_binary_structure(2, 1)
    labels, count = ndimage.label(predicted, structure=in_plane)
    return labels, int(count)


def _nodule_dices(marks: npt.NDArray[np.int32], nodules: Labels) -> tuple[float, ...]:
    dices = []
    sizes = np.bincount(marks.ravel())
    for number in nodule_numbers(nodules):
        own = marks[nodules == number]
        touching = np.unique(own[own > 0])
        # A mark over two nodules is judged with each of them by what it has beside the other.
        of_others = marks[(nodules != 0) & (nodules != number)]
        num_marked = int(sizes[touching].sum()) - int(np.isin(of_others, touching).sum())
        dices.append(2 * int(np.count_nonzero(own)) / (len(own) + num_marked))
    return tuple(dices)


def _refuse_unfit(predicted: Mask, truth: Mask, nodules: Labels) -> None:
    if not predicted.shape == truth.shape == nodules.shape:
        raise AnnotationError(
            value=f"{predicted.shape}, {truth.shape} and {nodules.shape}",
            place="prediction, truth and nodules of whole slices",
            rule="all three must have one shape (slice, row, column)",
            cure="Cut all three from the same slices.",
        )
    num_different = int(((nodules != 0) != truth).sum())
    if num_different:
        raise AnnotationError(
            value=f"{num_different} voxels that differ",
            place="truth and nodules of whole slices",
            rule="the truth must be the voxels of the numbered nodules",
            cure="Make the truth of the nodules, or number all nodules.",
        )
