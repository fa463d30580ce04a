# SPDX-License-Identifier: Apache-2.0
"""How sure the models are of each component, some crops at a time.

Belongs here: cutting crops and asking both models of them. Does not belong here: the models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lung_pipeline.classification.inference import Spacings, classify
from lung_pipeline.classification.network import CropNetwork
from lung_pipeline.crops.windows import cut_window
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.models import Models

AT_ONCE = 128
"""Crops in memory at a time: 19 MB, however many candidates a scan has."""


@dataclass(frozen=True, slots=True, eq=False)
class Sureness:
    """What the models say of some crops, in their order."""

    nodule: npt.NDArray[np.float64]
    """Probability of a nodule, shape (n,)."""

    malignancy: npt.NDArray[np.float64] | None
    """Probability of malignancy, shape (n,); None without such a model."""


def how_sure(
    models: Models,
    voxels_hu: VoxelsHu,
    centers_irc: Sequence[tuple[float, float, float]],
    spacing_irc_mm: tuple[float, float, float],
    on_share: Callable[[float], None] = lambda share: None,
    *,
    is_mirrored: bool = False,
) -> Sureness:
    """Ask the models of the crops around some points.

    Args:
        models: the nodule model and, where there is one, the malignancy model are asked.
        voxels_hu: the volume in canonical order.
        centers_irc: the points, fractions allowed.
        spacing_irc_mm: of the volume's voxels.
        on_share: told the share of the crops that are done.
        is_mirrored: each crop is also seen left for right, and the mean of both is taken.
    """
    nodule = np.zeros(len(centers_irc))
    malignancy = None if models.malignancy is None else np.zeros(len(centers_irc))
    nearest = np.floor(np.asarray(centers_irc).reshape(-1, 3) + 0.5).astype(np.int64)
    for start in range(0, len(nearest), AT_ONCE):
        chosen = slice(start, start + AT_ONCE)
        crops_hu = np.stack([cut_window(voxels_hu, center) for center in nearest[chosen]])
        spacings = np.tile(np.asarray(spacing_irc_mm, dtype=np.float64), (len(crops_hu), 1))
        asked = partial(_asked, crops_hu, spacings, models.precision, is_mirrored=is_mirrored)
        nodule[chosen] = asked(models.nodule)
        if models.malignancy is not None and malignancy is not None:
            malignancy[chosen] = asked(models.malignancy)
        on_share(min(1.0, (start + len(crops_hu)) / len(nearest)))
    return Sureness(nodule, malignancy)


def _asked(
    crops_hu: VoxelsHu, spacings: Spacings, precision: str, model: CropNetwork, *, is_mirrored: bool
) -> npt.NDArray[np.float64]:
    seen = classify(model, crops_hu, precision, spacings)
    if not is_mirrored:
        return seen
    return (seen + classify(model, crops_hu[..., ::-1], precision, spacings)) / 2
