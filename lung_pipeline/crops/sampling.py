# SPDX-License-Identifier: Apache-2.0
"""Which samples stand in a batch: fixed shares of each group, in an order that follows from a seed.

Each group is gone through like a pack of cards: shuffled, dealt to the end, shuffled anew. So every
row is met before one is met twice, over the borders of epochs too. (Drawing with replacement meets
only 63 % of a group in as many draws as it has rows.) Which cards an epoch gets follows from its
number alone: a training that resumes at epoch k need not draw the ones before.

Belongs here: row numbers. Does not belong here: voxels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import AnnotationError, SettingError

Rows = npt.NDArray[np.int64]

HARDEST = 0.1
"""Of the rows with scores, this share with the highest counts as hard."""

HARD_SHARE = 0.5
"""Of the draws from a group with scores, this share falls on its hard rows: each of these comes
nine times as often as each other row (0.5 / 0.1 to 0.5 / 0.9)."""

_ROUNDING = 1e-6
"""Of a row: what sums of shares may be off by."""

_SHUFFLES, _EPOCHS = 0, 1
"""Streams of randomness that must not meet."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are drawn together."""

    rows: Rows
    """Row numbers of the crop table."""

    share: float
    """Share of each batch, beside the shares of the other groups."""

    scores: npt.NDArray[np.float64] | None = None
    """How hard each row is, such as a former model's probability that a negative is a nodule; NaN
    where it is unknown, which is never hard. None: all rows come equally often."""

    hard_share: float = HARD_SHARE
    """Share of the draws that falls on the hardest tenth, where there are scores; less where fewer
    rows have one, so that none of them comes more often than in a full tenth."""

    def layers(self) -> list[tuple[Rows, float]]:
        """Rows that come equally often, with their shares: the hardest tenth and the others."""
        if self.scores is None:
            return [(self.rows, self.share)]
        tenth = math.ceil(HARDEST * len(self.rows))
        num_hard = min(tenth, int(np.count_nonzero(~np.isnan(self.scores))))
        if num_hard in (0, len(self.rows)):
            return [(self.rows, self.share)]
        hard_share = self.hard_share * num_hard / tenth
        order = np.argsort(-np.nan_to_num(self.scores, nan=-np.inf), kind="stable")
        return [
            (self.rows[order[:num_hard]], self.share * hard_share),
            (self.rows[order[num_hard:]], self.share * (1 - hard_share)),
        ]


class BalancedSampler:
    """The batches of each epoch, each group at its share."""

    def __init__(
        self, groups: Mapping[str, Group], *, batch_size: int, num_batches: int, seed: int
    ) -> None:
        """Nothing is drawn yet.

        Raises:
            AnnotationError: a group with a share has no rows.
            SettingError: a share so small that no row of it would ever be drawn.
        """
        for name, group in groups.items():
            if group.share > 0 and len(group.rows) == 0:
                raise _empty(name)
        layers = [(n, *layer) for n, group in groups.items() for layer in group.layers()]
        layers = [layer for layer in layers if layer[2] > 0]
        self._layers = [np.asarray(rows, dtype=np.int64) for _, rows, _ in layers]
        shares = np.asarray([share for _, _, share in layers])
        shares /= shares.sum()
        self._counts = _counts(shares, batch_size, num_batches)
        self._seed = seed
        num_draws = batch_size * num_batches
        for (name, _, _), share, num in zip(layers, shares, self._counts.sum(axis=0), strict=True):
            # All epochs get as many. What rounding left of a share of 0 is none.
            if num == 0 and share * num_draws > _ROUNDING:
                raise _too_small(name, float(share), num_draws)

    def epoch(self, number: int) -> list[Rows]:
        """The rows of each batch of an epoch; epochs are counted from 1.

        A group's share of a batch is met to less than one row, and so is its share of the epoch.
        """
        rng = self._rng(_EPOCHS, number)
        counts = rng.permutation(self._counts)  # which batch gets the odd row goes by chance
        cuts = np.cumsum(counts, axis=0)
        dealt = [
            np.split(self._dealt(layer, number, int(of_layer[-1])), of_layer[:-1])
            for layer, of_layer in enumerate(cuts.T)
        ]
        return [rng.permutation(np.concatenate(batch)) for batch in zip(*dealt, strict=True)]

    def _dealt(self, layer: int, number: int, num_rows: int) -> Rows:
        """The rows an epoch gets of a layer, whose epochs all get as many."""
        rows = self._layers[layer]
        first, last = (number - 1) * num_rows, number * num_rows
        shuffles = range(first // len(rows), -(-last // len(rows)))
        packs = [rows[:0], *(self._rng(_SHUFFLES, layer, n).permutation(rows) for n in shuffles)]
        begin = first - shuffles.start * len(rows)
        return np.concatenate(packs)[begin : begin + num_rows]

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=stream))


def _counts(
    shares: npt.NDArray[np.float64], batch_size: int, num_batches: int
) -> npt.NDArray[np.int64]:
    """How many rows of each layer stand in each batch, shape (num_batches, layers).

    The epoch is shared out by largest remainders (Hamilton's method); what does not go evenly into
    the batches is dealt round, layer after layer, so that no batch gets two odd rows of one layer.
    """
    wanted = shares * batch_size * num_batches
    totals = np.floor(wanted + _ROUNDING).astype(np.int64)  # a sum of tenths may end just below
    left = batch_size * num_batches - int(totals.sum())
    totals[np.argsort(totals - wanted, kind="stable")[:left]] += 1
    whole, odd = np.divmod(totals, num_batches)
    counts = np.tile(whole, (num_batches, 1))
    layers = np.repeat(np.arange(len(shares)), odd)
    np.add.at(counts, (np.arange(len(layers)) % num_batches, layers), 1)
    return counts


def _empty(name: str) -> AnnotationError:
    return AnnotationError(
        value="no crop",
        place=f"training crops of the group '{name}'",
        rule="each group with a share of the batch must have at least one crop",
        cure="Add subsets that have such candidates, or check the ratings and the split.",
    )


def _too_small(name: str, share: float, num_draws: int) -> SettingError:
    return SettingError(
        value=f"{share:g} of {num_draws}",
        place=f"share of the group '{name}', or of its hard rows",
        rule="a share of the draws must give at least one crop an epoch",
        cure="Give it a larger share or none, or make the epoch longer (steps_per_epoch).",
    )
