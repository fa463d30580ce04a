# SPDX-License-Identifier: Apache-2.0
"""The regions of one part of the patients, which is what a segmentation learns from.

Belongs here: the regions together, whose their truth is, and that there is something to learn. Does
not belong here: how they are gathered (``subset.py``) and cut into patches (``patches.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lung_pipeline.errors import AnnotationError
from lung_pipeline.segmentation.patches import Region
from lung_pipeline.segmentation.slices import WholeSlices


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one part of the patients."""

    nodule: Sequence[Region]
    """Around annotated nodules."""

    background: Sequence[Region]
    """Around candidates that are no nodules."""

    masks_from_contours: int = 0
    """Nodules whose mask is the readers' consensus."""

    masks_grown: int = 0
    """Nodules whose mask is grown from the centre."""

    slices: Sequence[WholeSlices] = ()
    """Whole slices to judge by, for each series; where nothing is judged, none."""


def count_masks(*parts: Regions) -> dict[str, int]:
    """Whose the truth is: nodules of all parts by how their mask came about."""
    return {
        "masks_from_contours": sum(part.masks_from_contours for part in parts),
        "masks_grown": sum(part.masks_grown for part in parts),
    }


def refuse_without_nodules(name: str, regions: Regions) -> None:
    """Without nodules there is nothing to learn, and nothing to choose the best epoch by."""
    if not any(region.mask.any() for region in regions.nodule):
        raise AnnotationError(
            value="no nodule",
            place=f"segmentation's {name} part",
            rule=f"the {name} part must have at least one nodule",
            cure="Add subsets, or check the annotations and the split.",
        )
