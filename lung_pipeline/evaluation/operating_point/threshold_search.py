# SPDX-License-Identifier: Apache-2.0
"""The search over pairs of thresholds, as arrays.

Belongs here: counting at all pairs at once. Does not belong here: what is searched for and why
(``thresholds.py``).
"""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.operating_point.confusion import BENIGN, MALIGNANT, NON_NODULE, Things

_Floats = npt.NDArray[np.float64]
_Counts = npt.NDArray[np.int64]


def pairs_found(things: Things, *kinds: str) -> _Floats:
    """Nodule and malignancy probability of things of some kinds that have both, shape (n, 2)."""
    pairs = np.column_stack([things.nodule_probability, things.malignancy_probability])
    return pairs[np.isin(things.kind, kinds) & np.isfinite(pairs).all(axis=1)]


def fewest_alarms(malignant: _Floats, alarming: _Floats, wanted: int) -> tuple[int, int]:
    """Malignant nodules predicted and false alarms at the best pair of thresholds.

    The fewest alarms with at least ``wanted`` predicted, and with these the most. Pairs of the
    malignant nodules' own probabilities are enough: from any other pair both thresholds can be
    raised to the lowest that pass, and no alarm is added.

    Args:
        malignant: nodule and malignancy probability of the malignant nodules, shape (n, 2).
        alarming: the same of what is a false alarm when it passes both, shape (m, 2).
        wanted: 1 to n.
    """
    ends = [np.unique(of) for of in malignant.T]
    hits, alarms = (_passing(pairs, *ends) for pairs in (malignant, alarming))
    fewest = int(alarms[hits >= wanted].min())
    return int(hits[(hits >= wanted) & (alarms == fewest)].max()), fewest


def _passing(pairs: _Floats, nodule: _Floats, malignancy: _Floats) -> _Counts:
    """How many pairs pass at each pair of ascending thresholds, shape (nodule, malignancy)."""
    # How many thresholds each passes; below the first it is in the row or column cut off.
    rows, columns = (
        np.searchsorted(ends, of, side="right")
        for ends, of in zip((nodule, malignancy), pairs.T, strict=True)
    )
    shape = (len(nodule) + 1, len(malignancy) + 1)
    cells = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return np.asarray(cells[::-1, ::-1].cumsum(axis=0).cumsum(axis=1)[::-1, ::-1][1:, 1:])


def loosest(
    things: Things, num_hits: int, num_alarms: int, tolerated_fp_per_scan: float
) -> tuple[float, float]:
    """Of all pairs with so many hits and alarms the loosest, as far as is tolerated.

    At a nodule threshold, all malignancy thresholds will do that are no higher than the
    ``num_hits``-th highest malignancy probability of the malignant nodules that pass, and higher
    than the next after ``num_alarms`` of the others.

    Args:
        things: all that counts.
        num_hits: malignant nodules predicted, as ``fewest_alarms`` gave it.
        num_alarms: false alarms, as it gave them.
        tolerated_fp_per_scan: pairs with more non-nodules a scan are taken only where there is
            none with fewer, those that pass it by the least.

    Returns:
        Nodule and malignancy threshold, each of them something's probability.
    """
    nodule = np.unique(things.nodule_probability[~np.isnan(things.nodule_probability)])[::-1]
    highest = _highest_of_passing(pairs_found(things, MALIGNANT), nodule, num_hits)
    above = _highest_of_passing(pairs_found(things, BENIGN, NON_NODULE), nodule, num_alarms + 1)
    beyond = np.maximum(fp_per_scan(things, nodule) - tolerated_fp_per_scan, 0)
    beyond[highest <= above] = np.inf
    # Descending, so that the last of the best is the loosest.
    best = int(np.flatnonzero(beyond == beyond.min())[-1])
    known = things.malignancy_probability[np.isfinite(things.malignancy_probability)]
    return float(nodule[best]), float(known[known > above[best]].min())


def _highest_of_passing(pairs: _Floats, nodule: _Floats, rank: int) -> _Floats:
    """The ``rank``-th highest malignancy probability of what passes at each nodule threshold.

    Args:
        pairs: nodule and malignancy probability, shape (n, 2).
        nodule: thresholds, descending.
        rank: from 1 on.

    Returns:
        Shape of ``nodule``; minus infinity where fewer pass.
    """
    ordered = pairs[np.argsort(-pairs[:, 0], kind="stable")]
    highest, best = np.full(len(pairs) + 1, -np.inf), [-np.inf] * rank
    for place, malignancy in enumerate(ordered[:, 1].tolist()):
        heapq.heappushpop(best, malignancy)
        highest[place + 1] = best[0]
    num_passing = np.searchsorted(-ordered[:, 0], -nodule, side="right")
    return highest[num_passing]


def fp_per_scan(things: Things, nodule: _Floats) -> _Floats:
    """Non-nodules a scan that pass at each nodule threshold, shape of ``nodule``."""
    false = np.sort(things.nodule_probability[things.kind == NON_NODULE])
    return (len(false) - np.searchsorted(false, nodule)) / things.num_series
