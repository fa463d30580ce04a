# SPDX-License-Identifier: Apache-2.0
"""What lies in the lungs and is not air: nodules, vessels, masses at the wall.

A closing with a ball takes in whatever the ball cannot enter from outside. It is wide, so that a
mass at the wall stays inside, and done for each side of the chest by itself: both lungs at once
would take in what lies between them. The heart and the dome of the liver are wider than the ball.

Belongs here: the closing. Does not belong here: what aerated lung is (``lung_air.py``).
"""

from __future__ import annotations

import numpy as np

from lung_pipeline.ct.cells import block_shares, spread, step_for
from lung_pipeline.ct.lung_air import Mask

CLOSING_RADIUS_MM = 20.0
"""A mass of 30 mm that is sunk into the wall by half leaves a dent 30 mm wide; a ball of this
radius enters it by 7 mm, one of 10 mm goes all the way. From 10 to 20 mm the mask of a real chest
grows by 2 %."""

_COARSE_MM = 5.0
"""The closing is done on cells of about this edge, eight times fewer than those of the mask."""


def closed_by_side(aerated: Mask, trunk: Mask, cell_irc_mm: tuple[float, float, float]) -> Mask:
    """The aerated lung and what a ball outside it cannot reach, for each side by itself.

    Args:
        aerated: aerated lung, shape (index, row, column).
        trunk: the trunk, same shape; its middle parts the sides.
        cell_irc_mm: the size of a cell along each axis.
    """
    from scipy import ndimage

    closed = aerated.copy()
    if not aerated.any():
        return closed
    [box] = ndimage.find_objects(aerated.astype(np.uint8))
    middle = _middle_column(trunk, aerated) - box[2].start
    for side in (np.s_[:, :, : max(middle, 0)], np.s_[:, :, max(middle, 0) :]):
        half = aerated[box][side]
        if half.any():
            closed[box][side] |= _closed(half, cell_irc_mm)
    return closed


def _middle_column(trunk: Mask, aerated: Mask) -> int:
    """The column of the trunk's centre of mass, which a collapsed lung does not move.

    Slices count by the lung they show: above and below, arms would draw it to one side.
    """
    weights = aerated.sum(axis=(1, 2)) @ trunk.sum(axis=1)
    return round(float(np.average(np.arange(len(weights)), weights=weights)))


def _closed(half: Mask, cell_irc_mm: tuple[float, float, float]) -> Mask:
    from scipy import ndimage

    step = step_for(cell_irc_mm, _COARSE_MM)
    size_mm = [k * cell for k, cell in zip(step, cell_irc_mm, strict=True)]
    room = [int(np.ceil(CLOSING_RADIUS_MM / size)) + 1 for size in size_mm]
    coarse = block_shares(half, step) >= 0.5
    # Where a scan ends within the lungs they go on; to the sides there is none.
    longer = np.pad(coarse, [(room[0], room[0]), (0, 0), (0, 0)], mode="edge")
    roomy = np.pad(longer, [(0, 0), (room[1], room[1]), (room[2], room[2])])
    near = ndimage.distance_transform_edt(~roomy, sampling=size_mm) <= CLOSING_RADIUS_MM
    closed = ndimage.distance_transform_edt(near, sampling=size_mm) > CLOSING_RADIUS_MM
    # A mass wider than the ball that lung surrounds on all sides is filled here.
    filled = ndimage.binary_fill_holes(closed)
    inner = tuple(slice(width, -width) for width in room)
    return spread(np.asarray(filled[inner]), step, half.shape)
