# SPDX-License-Identifier: Apache-2.0
"""What the two models on crops are to tell apart, in rows of a crop table.

Belongs here: labels, groups with their shares of a batch, who chooses the epoch. Does not belong
here: how crops are read (``samples.py``) and learned from (``training.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from lung_pipeline.classification.inference import Spacings, classify_rows
from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.crops.sampling import Group, Rows
from lung_pipeline.crops.store import CropSet
from lung_pipeline.errors import AnnotationError, SettingError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be told apart."""

    crops: CropSet
    """All crops."""

    labels: npt.NDArray[np.int64]
    """0 or 1 for each crop."""

    train: Mapping[str, Group]
    """Groups of training crops with their shares of a batch."""

    validation: Rows
    """Crops of patients that are not trained on."""

    names: tuple[str, str]
    """What 0 and 1 are called."""

    diameter_mm: Floats | None = None
    """Of each crop's nodule, shape (n,): the ruler that the model must be set beside; None where
    there is none."""

    said: Floats | None = None
    """What the readers said of each crop, shape (n, characteristics), NaN where nobody did; None
    where only the label is learned."""

    spacing_irc_mm: Spacings | None = None
    """Of each crop's voxels, shape (n, 3); there wherever something is said."""

    def __post_init__(self) -> None:
        if len(self.validation) == 0:
            raise AnnotationError(
                value="no crop",
                place="validation crops",
                rule="there must be at least one, to choose the epoch by",
                cure="Add subsets that have such candidates, or check the ratings and the split.",
            )


def nodule_task(
    crops: CropSet, settings: ClassifierSettings, hardness: Floats | None = None
) -> Task:
    """Nodule or not: each batch has its share of nodules, the rest are candidates that are none.

    Args:
        crops: all crops.
        settings: the shares.
        hardness: what a former model takes each crop for, shape (n,), NaN where unknown; the
            non-nodules it is most wrong about come more often. None: all come equally often.

    Raises:
        AnnotationError: the validation part is empty.
    """
    is_nodule = crops.index["is_nodule"].to_numpy(dtype=bool)
    in_train, in_validation = (_in_part(crops, part) for part in ("train", "validation"))
    others = np.flatnonzero(in_train & ~is_nodule)
    scores = None if hardness is None else hardness[others]
    return Task(
        crops,
        is_nodule.astype(np.int64),
        {
            "nodule": Group(np.flatnonzero(in_train & is_nodule), settings.nodule_share),
            "non-nodule": Group(others, 1 - settings.nodule_share, scores, settings.hard_share),
        },
        np.flatnonzero(in_validation),
        ("non-nodule", "nodule"),
    )


def hardness_of(crops: CropSet, model: nn.Module) -> Floats:
    """What a model takes the training part's non-nodules for, shape (n,); NaN for all others."""
    is_nodule = crops.index["is_nodule"].to_numpy(dtype=bool)
    others = np.flatnonzero(_in_part(crops, "train") & ~is_nodule)
    hardness = np.full(len(crops), np.nan)
    hardness[others] = classify_rows(model, crops, others)
    return hardness


def malignancy_task(crops: CropSet, settings: MalignancySettings) -> Task:
    """Malignant or not; nodules without ratings are left out.

    What is no nodule at all is learned from too, so that what the segmentation marks by mistake is
    not called malignant. Validation is on rated nodules alone: telling malignant from benign is
    the figure wanted.

    Raises:
        AnnotationError: the validation part has no rated nodule.
        SettingError: the shares leave less than nothing.
    """
    other_share = 1 - settings.malignant_share - settings.benign_share
    if other_share < -1e-9:
        raise SettingError(
            value=f"{settings.malignant_share:g} and {settings.benign_share:g}",
            place="settings 'malignant_share' and 'benign_share'",
            rule="the shares of a batch must not sum to more than 1",
            cure="Lower one of them; what both leave are candidates that are no nodule.",
        )
    index = crops.index
    is_nodule = index["is_nodule"].to_numpy(dtype=bool)
    is_rated = is_nodule & index["is_malignant"].notna().to_numpy()
    is_malignant = is_rated & index["is_malignant"].fillna(value=False).to_numpy(dtype=bool)
    in_train, in_validation = (_in_part(crops, part) for part in ("train", "validation"))
    is_benign = is_rated & ~is_malignant
    return Task(
        crops,
        is_malignant.astype(np.int64),
        {
            "malignant": Group(np.flatnonzero(in_train & is_malignant), settings.malignant_share),
            "benign": Group(np.flatnonzero(in_train & is_benign), settings.benign_share),
            "non-nodule": Group(np.flatnonzero(in_train & ~is_nodule), max(other_share, 0.0)),
        },
        np.flatnonzero(in_validation & is_rated),
        ("benign", "malignant"),
        index["diameter_mm"].to_numpy(dtype=np.float64),
    )


def _in_part(crops: CropSet, part: str) -> npt.NDArray[np.bool_]:
    return (crops.index["part"] == part).to_numpy()
