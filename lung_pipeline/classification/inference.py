# SPDX-License-Identifier: Apache-2.0
"""A trained classifier over crops: fast over all, exact where it matters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lung_pipeline.classification.described import DescribingClassifier
from lung_pipeline.classification.network import CropNetwork, fast_layout
from lung_pipeline.crops.augmentation import framed
from lung_pipeline.crops.sampling import Rows
from lung_pipeline.crops.store import CropSet
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.learning.device import AUTO, inference_dtype, mixed_precision

Spacings = npt.NDArray[np.float64]
"""Of each crop's voxels, shape (n, 3), (slice, row, column) in mm."""

BATCH_CROPS = 16
"""Crops computed together: with more the first layers fall out of a CPU's cache."""

READ_CROPS = 1024
"""Crops of a store read together: 150 MB. The validation part of LUNA16 has some 80,000."""

HOPELESS = 0.01
"""Below this probability bfloat16 is exact enough: it errs by about 0.001 (measured on six real
crops with the reference weights), and nobody looks at such a finding."""


def classify(
    model: nn.Module,
    crops_hu: VoxelsHu,
    precision: str = AUTO,
    spacing_irc_mm: Spacings | None = None,
) -> npt.NDArray[np.float64]:
    """The probability of "yes" for each crop.

    Of a scan's thousand candidates all but a few are hopeless. Where the hardware computes
    bfloat16, all are seen in it first (4 to 7 times as fast on a CPU), and only the others again
    in float32: a probability that is printed, compared or thresholded is a float32 one.

    Args:
        model: a nodule or malignancy model.
        crops_hu: HU, shape (n, 32, 48, 48); a memory-mapped array is read batch by batch.
        precision: ``auto``, or ``float32`` for all.
        spacing_irc_mm: of each crop's voxels, shape (n, 3), for a model that sees close-ups.

    Raises:
        ValueError: the model sees close-ups, and the spacing was not given.
    """
    fast_layout(model)
    device = next(model.parameters()).device
    if inference_dtype(device, precision) == torch.float32:
        return _probabilities(model, crops_hu, contextlib.nullcontext(), spacing_irc_mm)
    probabilities = _probabilities(model, crops_hu, mixed_precision(device), spacing_irc_mm)
    hopeful = np.flatnonzero(probabilities >= HOPELESS)
    probabilities[hopeful] = _probabilities(
        model,
        crops_hu[hopeful],
        contextlib.nullcontext(),
        None if spacing_irc_mm is None else spacing_irc_mm[hopeful],
    )
    return probabilities


def classify_rows(
    model: nn.Module, crops: CropSet, rows: Rows, spacing_irc_mm: Spacings | None = None
) -> npt.NDArray[np.float64]:
    """The probability of "yes" for some crops of a store, read some by some.

    Args:
        model: a nodule or malignancy model.
        crops: the store.
        rows: which of them.
        spacing_irc_mm: of all crops of the store, shape (n, 3), for a model that sees close-ups.

    Returns:
        Shape (len(rows),).
    """
    probabilities = np.zeros(len(rows))
    with crops.reader() as reader:
        for start in range(0, len(rows), READ_CROPS):
            chosen = slice(start, start + READ_CROPS)
            spacing = None if spacing_irc_mm is None else spacing_irc_mm[rows[chosen]]
            read = reader.read(rows[chosen])
            probabilities[chosen] = classify(model, read, spacing_irc_mm=spacing)
    return probabilities


@torch.inference_mode()
def tell(model: DescribingClassifier, crops_hu: VoxelsHu, spacing_irc_mm: Spacings) -> Tensor:
    """What a describing model tells of crops, (n, characteristics), as it is learned.

    Args:
        model: says what it sees.
        crops_hu: HU, shape (n, 32, 48, 48).
        spacing_irc_mm: of each crop's voxels, shape (n, 3).
    """
    fast_layout(model.eval())
    return torch.cat([model.tell(seen) for _, seen in _seen_by(model, crops_hu, spacing_irc_mm)])


@torch.inference_mode()
def _probabilities(
    model: nn.Module,
    crops_hu: VoxelsHu,
    precision: contextlib.AbstractContextManager[None],
    spacing_irc_mm: Spacings | None,
) -> npt.NDArray[np.float64]:
    model.eval()
    probabilities = np.zeros(len(crops_hu))
    with precision:
        for chosen, seen in _seen_by(model, crops_hu, spacing_irc_mm):
            logits = model(seen).float()
            probabilities[chosen] = logits.softmax(dim=1)[:, 1].cpu().numpy()
    return probabilities


def _seen_by(
    model: nn.Module, crops_hu: VoxelsHu, spacing_irc_mm: Spacings | None
) -> Iterator[tuple[slice, Tensor]]:
    """Batches as a model is to be given them, each with its place among the crops."""
    device = next(model.parameters()).device
    for start in range(0, len(crops_hu), BATCH_CROPS):
        chosen = slice(start, start + BATCH_CROPS)
        batch = np.ascontiguousarray(crops_hu[chosen], dtype=np.float32)
        seen = torch.from_numpy(batch)[:, None].to(device)
        if isinstance(model, CropNetwork) and model.sees_close_ups:
            spacing = None if spacing_irc_mm is None else spacing_irc_mm[chosen]
            seen = framed(seen, model.frame(spacing))
        yield chosen, seen
