# SPDX-License-Identifier: Apache-2.0
"""What a model in training gets wrong, as the data of pictures.

Belongs here: choosing and carrying. Does not belong here: predicting, and drawing
(``reporting/examples.py``). Knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.hounsfield import VoxelsHu

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CropExamples:
    """Some crops, to be looked at side by side."""

    name: str
    """Of the picture, as a file is called: the same in each epoch."""

    title: str
    """Stands above them."""

    crops_hu: VoxelsHu
    """Shape (n, 32, 48, 48)."""

    probability: npt.NDArray[np.float64]
    """What the model said of each, shape (n,)."""

    names: tuple[str, ...]
    """What each is, such as its candidate's id."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceExample:
    """A whole slice with what was marked in it."""

    name: str
    """Of the picture, as a file is called: the same in each epoch."""

    title: str
    """Stands above it."""

    slice_hu: npt.NDArray[np.int16]
    """Shape (row, column)."""

    predicted: npt.NDArray[np.bool_]
    """Voxels that were marked, same shape."""

    truth: npt.NDArray[np.bool_]
    """Voxels of nodules, same shape."""


Example: TypeAlias = CropExamples | SliceExample


def worst_rows(
    labels: npt.NDArray[Any], probability: npt.NDArray[Any], num: int = 12
) -> tuple[Rows, Rows]:
    """The worst misses and the worst false alarms, worst first.

    Args:
        labels: 0 or 1, shape (n,).
        probability: of class 1, shape (n,).
        num: how many of each; fewer where there are fewer.

    Returns:
        Rows of the positives of lowest probability, and of the negatives of highest.
    """
    is_positive = np.asarray(labels).astype(bool)
    positives, negatives = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)
    # Stable, so that the same figures give the same picture.
    rising = np.argsort(probability[positives], kind="stable")
    falling = np.argsort(-probability[negatives], kind="stable")
    return positives[rising[:num]], negatives[falling[:num]]
