# SPDX-License-Identifier: Apache-2.0
"""What the voxels themselves tell of a scan: are they a CT's, in HU, and is every slice in place.

Belongs here: refusing what is no such picture. Does not belong here: size, thickness and lungs
(``quality``, which asks this module too); how slices are held against each other (``slice_order``).
"""

from __future__ import annotations

import numpy as np

from lung_pipeline.ct.slice_order import coarse_pictures, disorder, doubled_slices
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import QualityError

FEWEST_VALUES = 300
"""Different HU values in a scan. Noise alone gives a CT a thousand; 8 bits have 256, however they
were stretched over the scale."""

TISSUE_HU = (-200, 200)
"""Fat, muscle, blood and water: a quarter to a half of every picture of a chest."""

LEAST_TISSUE = 0.02
"""Share of tissue below which the zero of the scale lies elsewhere, as after rescaling twice."""

STEP_MM = 5.0
"""How far the slices lie apart that are held against each other: in thinner slices noise alone
would be the most of any difference."""

MOST_DISORDER = 0.8
"""Between scans in order (.70 at most, also under heavy noise) and shuffled ones (.83 at least), as
measured on two real scans, a downsampled one and phantoms."""

MOST_DISORDER_OF_NEIGHBOURS = 1.2
"""Noise alone makes 1, two series or halves of one slice by slice in turn make 7 or more."""

_SAMPLED_SLICES = 32
"""Slices, evenly spread, whose values are looked at: a million voxels tell a histogram."""


def refuse_other_pictures(volume: CtVolume) -> None:
    """Refuse values that are not HU, and pictures that do not belong where they stand.

    Raises:
        QualityError: windowed, stretched from 8 bits, rescaled twice; shuffled or doubled slices.
    """
    _refuse_other_values(volume)
    _refuse_mixed_up(volume)


def _refuse_other_values(volume: CtVolume) -> None:
    """Refuse what is not on the scale of Hounsfield."""
    step = -(-volume.grid.shape_irc[0] // _SAMPLED_SLICES)
    lowest = int(np.iinfo(np.int16).min)
    counts = np.zeros(1 << 16, dtype=np.int64)
    for plane in volume.voxels_hu[::step]:
        counts += np.bincount(plane.ravel().astype(np.int64) - lowest, minlength=1 << 16)
    num_values = int(np.count_nonzero(counts))
    if num_values < FEWEST_VALUES:
        rule = f"a CT must have at least {FEWEST_VALUES} different HU values"
        raise _not_hu(volume, f"{num_values}", rule)
    start, stop = (hu - lowest for hu in TISSUE_HU)
    share = float(counts[start : stop + 1].sum() / counts.sum())
    if share < LEAST_TISSUE:
        rule = (
            f"{LEAST_TISSUE:.0%} of the voxels must be tissue ({TISSUE_HU[0]} to {TISSUE_HU[1]} HU)"
        )
        raise _not_hu(volume, f"{share:.1%}", rule)


def _not_hu(volume: CtVolume, value: str, rule: str) -> QualityError:
    cure = "Give the CT as the scanner made it, in HU: not windowed, rescale applied once."
    return QualityError(value=value, place=volume.series_uid, rule=rule, cure=cure)


def _refuse_mixed_up(volume: CtVolume) -> None:
    """Refuse pictures that do not belong where their headers put them."""
    pictures = coarse_pictures(volume.voxels_hu)
    step = max(1, round(STEP_MM / volume.grid.spacing_irc_mm[0]))
    doubled = doubled_slices(volume.voxels_hu)
    cure = "Export the series again from its source: positions and pictures were mixed up."
    for apart, most in ((step, MOST_DISORDER), (1, MOST_DISORDER_OF_NEIGHBOURS)):
        found = disorder(pictures, apart)
        if found > most:
            raise QualityError(
                value=f"{found:.2f}",
                place=volume.series_uid,
                rule=f"slices {apart} apart must differ by at most {most:g} of what those "
                f"{2 * apart} apart do, as neighbouring parts of a body",
                cure=cure,
            )
    if doubled:
        raise QualityError(
            value=f"{len(doubled)}, slice {doubled[0]} from the feet the first",
            place=volume.series_uid,
            rule="no slice may show the very picture of the one before",
            cure=cure,
        )
