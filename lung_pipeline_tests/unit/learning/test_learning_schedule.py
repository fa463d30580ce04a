# SPDX-License-Identifier: Apache-2.0
"""The rate of each step, worked out by hand."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from lung_pipeline.learning.schedule import Schedule
from lung_pipeline.learning.settings import TrainingSettings


def test_rate_rises_in_a_line_and_falls_in_a_cosine() -> None:
    plan = Schedule(epochs=2, steps_per_epoch=10, learning_rate=0.8, warmup_share=0.2)
    rates = [plan.rate_of(step) for step in range(20)]
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == pytest.approx(0.8)
    assert rates[12] == pytest.approx(0.4)  # half way down
    assert 0 < rates[-1] < 0.01
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[4:]))


def test_without_a_warm_up_the_highest_rate_comes_first() -> None:
    plan = Schedule(epochs=1, steps_per_epoch=5, learning_rate=0.3, warmup_share=0)
    assert plan.rate_of(0) == 0.3


def test_settings_carry_the_whole_schedule() -> None:
    settings = TrainingSettings(
        epochs=3, steps_per_epoch=7, learning_rate=0.5, patience=2, average_decay=0.9, micro_batch=4
    )
    assert settings.schedule() == Schedule(
        3, 7, 0.5, patience=2, average_decay=0.9, micro_batch=4, weight_decay=1e-4, warmup_share=0.1
    )


def test_seed_below_nothing_is_refused_where_it_is_set() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        TrainingSettings(seed=-1)
