# SPDX-License-Identifier: Apache-2.0
"""Which cells of a chest are aerated lung: air within the trunk that is not bowel gas.

Belongs here: telling air, tissue, lung and gas apart by density, size and place. Does not belong
here: what lies within the lungs and is not air (``lung_closing.py``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.cells import CellsHu

Mask = npt.NDArray[np.bool_]
"""Which cells are meant, shape (index, row, column)."""

TISSUE_HU = -400
"""Half way between lung (-850 HU) and muscle (50 HU): where a blurred border between them lies."""

GAS_HU = -945
"""Air pockets below this are gas, not lung. Emphysema is what lies below -950 HU (Gevenois et al.
1996): of a lung half of that would be a ruin. Measured: gas in the bowel -948 to -984, in the
lungs of three patients -798 to -931, all as medians of pockets without their borders."""

SURELY_GAS_HU = -975
"""The same for a pocket of a litre or more: no bowel is that large, so it is left out only where
it can be nothing but air, such as that between an arm and the trunk."""

LARGE_ML = 1000.0
"""No pocket of bowel gas is expected to be larger."""

SMALLEST_POCKET_ML = 10.0
"""Smaller pockets of air are left out: they are loops of bowel, the gullet, or air in a fold."""

AIRWAY_SHARE = 0.025
"""Slices above the lungs hold only the windpipe, with less than this share of the area of the
largest slice: 2 to 5 cm2 beside 300 to 500 cm2. Of the tips of the lungs about 2 mm go with it."""

_SQUARE = np.ones((1, 3, 3), dtype=np.bool_)
"""A cell and its neighbours within the slice."""


def find_trunk(cells_hu: CellsHu) -> Mask:
    """The trunk with all it encloses: the largest piece of tissue, its holes filled per slice.

    Tissue is thinned first, so that the table's shell, clothes and wires do not hang on it.
    """
    from scipy import ndimage

    tissue = ndimage.binary_opening(cells_hu > TISSUE_HU, _SQUARE)
    labels, count = ndimage.label(tissue)
    if count == 0:
        return np.zeros(cells_hu.shape, dtype=np.bool_)
    sizes = np.bincount(labels.ravel())
    trunk = labels == 1 + int(sizes[1:].argmax())
    for plane in trunk:
        plane[...] = ndimage.binary_fill_holes(plane)
    return trunk


def find_aerated(cells_hu: CellsHu, trunk: Mask, cell_ml: float) -> Mask:
    """The air within the trunk that is lung: large pockets, denser than gas, no windpipe above.

    The windpipe stays where it lies between the lungs: at this grain it hangs on them.

    Args:
        cells_hu: mean HU of each cell.
        trunk: the trunk, same shape.
        cell_ml: the volume of a cell.
    """
    from scipy import ndimage

    labels, _ = ndimage.label(trunk & (cells_hu <= TISSUE_HU))
    aerated = np.zeros(trunk.shape, dtype=np.bool_)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        pocket = labels[box] == number
        if _is_lung(cells_hu[box], pocket, cell_ml):
            aerated[box] |= pocket
    return _without_windpipe_above(aerated)


def _is_lung(cells_hu: CellsHu, pocket: Mask, cell_ml: float) -> bool:
    from scipy import ndimage

    volume_ml = int(pocket.sum()) * cell_ml
    if volume_ml < SMALLEST_POCKET_ML:
        return False
    # Border cells are half tissue: a narrow loop of bowel would look like lung.
    core = ndimage.binary_erosion(pocket, _SQUARE)
    middle_hu = float(np.median(cells_hu[core if core.any() else pocket]))
    return middle_hu > (SURELY_GAS_HU if volume_ml >= LARGE_ML else GAS_HU)


def _without_windpipe_above(aerated: Mask) -> Mask:
    areas = aerated.sum(axis=(1, 2))
    large = np.flatnonzero(areas > AIRWAY_SHARE * areas.max())
    if len(large):
        aerated[large[-1] + 1 :] = False
    return aerated
