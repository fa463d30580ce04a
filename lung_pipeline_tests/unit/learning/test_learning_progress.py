# SPDX-License-Identifier: Apache-2.0
"""The line of progress, and a meter whose clock stands still until it is told to go on."""

from __future__ import annotations

import mmap

import pytest
import torch

from lung_pipeline.learning.progress import (
    Memory,
    Progress,
    ProgressMeter,
    duration,
    memory_from_here,
    memory_in_use,
)

HERE = Progress(3, 30, 120, 1000, 812.4, 0.034, Memory(1_940_000_000, 4_100_000_000), 742)


class _Training:
    """Steps of one sample on a clock of its own; what the meter shows is kept."""

    def __init__(self, epochs: int = 2, steps: int = 10, every_s: float = 5.0) -> None:
        self.now_s = 1000.0
        self.lines: list[str] = []
        self.meter = ProgressMeter(
            epochs, steps, self.lines.append, lambda: Memory(0), every_s, lambda: self.now_s
        )

    def learn(self, epoch: int, steps: int, step_s: float = 1.0, waiting_s: float = 0.25) -> None:
        self.meter.begin(epoch)
        for done in range(1, steps + 1):
            self.now_s += step_s
            self.meter.step(8 * done, waiting_s * done)


def test_line_says_all_that_is_known() -> None:
    assert HERE.line() == (
        "epoch  3/30  step  120/1000  812 samples/s  3% waiting for data"
        "  1.9 GB of memory  4.1 GB of GPU at most  12 min left"
    )


def test_line_without_a_card_says_nothing_of_one() -> None:
    slow = Progress(1, 1, 1, 1, 0.84, 1.0, Memory(400_000_000), 0)
    assert slow.line() == (
        "epoch 1/1  step 1/1  0.8 samples/s  100% waiting for data  0.4 GB of memory  0 s left"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3540, "59 min"), (3590, "1 h 00 min")],
)
def test_time_is_told_as_a_person_would(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_line_comes_when_it_is_due_and_at_the_end_of_an_epoch() -> None:
    training = _Training(every_s=4)
    training.learn(1, 10)
    assert [line[11:21] for line in training.lines] == ["step  4/10", "step  8/10", "step 10/10"]


def test_figures_are_those_of_the_epoch_so_far() -> None:
    training = _Training()
    training.learn(1, 5)
    # 5 steps of a second, each 8 samples and a quarter of a second of waiting; 15 steps to come.
    assert "8.0 samples/s  25% waiting for data" in training.lines[-1]
    assert training.lines[-1].endswith("15 s left")
    training.now_s += 1000
    training.learn(2, 5, step_s=0.5, waiting_s=0.0)
    training.learn(2, 10, step_s=0.5, waiting_s=0.0)
    assert "16 samples/s  0% waiting for data" in training.lines[-1]


def test_time_left_counts_what_lies_between_epochs() -> None:
    training = _Training(epochs=3)
    training.learn(1, 10)
    # Nothing is known yet of the validation.
    assert training.lines[-1].endswith("20 s left")
    training.now_s += 7
    training.learn(2, 5)
    # 15 steps, and two more validations.
    assert training.lines[-1].endswith("29 s left")


def test_a_training_that_goes_on_begins_at_its_epoch() -> None:
    training = _Training(epochs=3)
    training.learn(3, 10)
    assert training.lines[-1].startswith("epoch 3/3  step 10/10")
    assert training.lines[-1].endswith("0 s left")


def test_steps_that_take_no_time_divide_by_nothing() -> None:
    training = _Training(steps=1)
    training.learn(1, 1, step_s=0.0, waiting_s=0.0)
    assert "0% waiting" in training.lines[-1]


def test_memory_is_that_of_this_process() -> None:
    before = memory_in_use(torch.device("cpu"))
    # Straight from the system: an allocator may have as much at hand since an earlier test.
    with mmap.mmap(-1, 200_000_000) as taken:
        taken.write(b"x" * len(taken))
        after = memory_in_use(torch.device("cpu"))
    assert after.resident_bytes - before.resident_bytes > 0.9 * 200_000_000
    assert after.gpu_peak_bytes is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_memory_of_a_card_is_its_peak() -> None:
    cuda = torch.device("cuda")
    taken = torch.ones(100_000_000, dtype=torch.uint8, device=cuda)
    size = taken.nbytes
    del taken
    assert (memory_in_use(cuda).gpu_peak_bytes or 0) >= size


def test_memory_is_told_to_a_tracker_by_names_with_units() -> None:
    assert Memory(1_940_000_000).as_metrics() == {"memory/resident_gb": 1.94}
    assert Memory(1_000_000, 4_100_000_000).as_metrics() == {
        "memory/resident_gb": 0.001,
        "memory/gpu_peak_gb": 4.1,
    }


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_peak_of_a_card_counts_from_where_a_training_begins() -> None:
    cuda = torch.device("cuda")
    before = torch.ones(1_000_000_000, dtype=torch.uint8, device=cuda)
    del before
    ask = memory_from_here(cuda)
    assert (ask().gpu_peak_bytes or 0) < 500_000_000
    kept = torch.ones(600_000_000, dtype=torch.uint8, device=cuda)
    size = kept.nbytes
    del kept
    assert (ask().gpu_peak_bytes or 0) >= size
