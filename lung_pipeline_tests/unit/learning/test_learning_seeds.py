# SPDX-License-Identifier: Apache-2.0
"""The generator of an epoch follows from seed and number, and from both."""

from __future__ import annotations

from lung_pipeline.learning.seeds import seeded_for


def _drawn(seed: int, epoch: int) -> float:
    return float(seeded_for(seed, epoch).random())


def test_every_seed_and_every_epoch_draws_otherwise() -> None:
    pairs = [(seed, epoch) for seed in range(20) for epoch in range(1, 21)]
    assert len({_drawn(*pair) for pair in pairs}) == len(pairs)


def test_an_epoch_draws_the_same_whether_others_came_before_or_not() -> None:
    assert [_drawn(3, epoch) for epoch in (1, 2, 3)][2] == _drawn(3, 3)
