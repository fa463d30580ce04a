# SPDX-License-Identifier: Apache-2.0
"""What MLflow, TensorBoard and the log keep of a training, also of one that was interrupted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lung_pipeline.home import Home
from lung_pipeline.learning.epoch import Epoch
from lung_pipeline.learning.examples import CropExamples, Example, SliceExample
from lung_pipeline.learning.settings import TrainingSettings
from lung_pipeline.orchestration.watching import in_words, watched
from lung_pipeline.reporting.examples import MOST_BYTES, example_picture
from lung_pipeline.tracking.runs import Run, run
from lung_pipeline.tracking.tensorboard import EventFiles

SETTINGS = TrainingSettings(epochs=3, steps_per_epoch=2, device="cpu")
EXPERIMENT = "lung-nodule"


class _PowerCutError(Exception):
    """What ends a training in the middle."""


def _epoch(number: int) -> Epoch:
    metrics = {"train/loss": 1 / number, "validation/loss": 2 / number}
    return Epoch(number, metrics, 5.0, num_samples=64, learning_s=4.0, waiting_s=1.0)


def _examples(size: int = 64, num: int = 2) -> tuple[Example, ...]:
    rng = np.random.default_rng(1)
    crops_hu = rng.integers(-1000, 100, (num, 32, 48, 48)).astype(np.int16)
    slice_hu = rng.integers(-1000, 100, (size, size)).astype(np.int16)
    mark = np.zeros(slice_hu.shape, dtype=bool)
    mark[10:20, 10:20] = True
    return (
        CropExamples("worst-misses", "misses", crops_hu, np.zeros(num), ("a:1",) * num),
        SliceExample("worst-slice-1", "slice 7", slice_hu, mark, mark),
    )


def _train(
    home: Home,
    folder: Path,
    numbers: Sequence[int],
    *,
    run_id: str | None = None,
    examples: Sequence[Example] | None = None,
    told_before: Sequence[int] = (),
    cut: bool = False,
) -> tuple[Run, list[str]]:
    """Tell a watcher what the loop would tell it of some epochs."""
    said: list[str] = []
    opened: list[Run] = []

    def learn() -> None:
        with (
            run(home, EXPERIMENT, "training", run_id=run_id) as run_of_training,
            watched(run_of_training, SETTINGS, folder, said.append) as watcher,
        ):
            opened.append(run_of_training)
            for number in told_before:
                watcher.end(_epoch(number), ())
            for number in numbers:
                watcher.begin(number)
                watcher.step(32, 0.5)
                watcher.step(64, 1.0)
                watcher.end(_epoch(number), examples or _examples())
            if cut:
                raise _PowerCutError

    if cut:
        with pytest.raises(_PowerCutError):
            learn()
    else:
        learn()
    return opened[0], said


def _kept(home: Home, kept: Run) -> Path:
    return home.mlflow_artifacts / EXPERIMENT / kept.run_id / "artifacts"


def _events(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder), size_guidance={"images": 0})
    reader.Reload()
    return reader


def _steps(home: Home, kept: Run, name: str = "train/loss") -> list[int]:
    return [metric.step for metric in kept.client.get_metric_history(kept.run_id, name)]


def test_figures_speed_and_memory_stand_in_mlflow_and_in_tensorboard(
    mlflow_home: Home, tmp_path: Path
) -> None:
    kept, _ = _train(mlflow_home, tmp_path / "events", (1, 2))
    metrics = kept.client.get_run(kept.run_id).data.metrics
    assert metrics["train/loss"] == 0.5
    assert metrics["speed/samples_per_second"] == 16
    assert metrics["speed/waiting_share"] == 0.25
    assert 0.05 < metrics["memory/resident_gb"] < 100
    reader = _events(_kept(mlflow_home, kept) / "tensorboard")
    assert set(reader.Tags()["scalars"]) == set(metrics)
    assert [(e.step, e.value) for e in reader.Scalars("validation/loss")] == [(1, 2.0), (2, 1.0)]


def test_pictures_are_small_and_the_same_in_both(mlflow_home: Home, tmp_path: Path) -> None:
    kept, _ = _train(mlflow_home, tmp_path / "events", (1, 2), examples=_examples(512, 12))
    folder = _kept(mlflow_home, kept)
    pictures = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert pictures == [
        f"examples/epoch-00{number}/{name}.png"
        for number in (1, 2)
        for name in ("worst-misses", "worst-slice-1")
    ]
    assert all((folder / picture).stat().st_size <= MOST_BYTES for picture in pictures)
    reader = _events(folder / "tensorboard")
    for name in ("worst-misses", "worst-slice-1"):
        first, second = reader.Images(f"examples/{name}")
        assert (first.step, second.step) == (1, 2)
        shown = np.asarray(Image.open(io.BytesIO(second.encoded_image_string)))
        np.testing.assert_array_equal(
            shown, np.asarray(Image.open(folder / f"examples/epoch-002/{name}.png"))
        )


def test_examples_are_drawn_by_what_they_are() -> None:
    crops, whole = (example_picture(example) for example in _examples(64, 12))
    assert crops.shape[1] > crops.shape[0]  # two rows of six
    assert whole.shape[1] == 512


def test_log_has_a_line_of_progress_and_the_figures_of_each_epoch(
    mlflow_home: Home, tmp_path: Path
) -> None:
    _, said = _train(mlflow_home, tmp_path / "events", (1, 2))
    assert [line.split("  ")[0] for line in said[::2]] == ["epoch 1/3", "epoch 2/3"]
    assert all(" samples/s  " in line for line in said[::2])
    assert said[1] == "epoch 1 (5 s)\n  train       loss 1\n  validation  loss 2"


def test_figures_of_one_kind_stand_in_one_line() -> None:
    figures = {"v/loss": 0.123456, "v/nodule/total": 1234.0, "v/roc_auc": 1.0, "v/nodule/f1": 0.5}
    assert in_words(figures) == (
        "  v         loss 0.1235  roc_auc 1\n  v/nodule  total 1234  f1 0.5"
    )
    assert in_words({}) == ""


def test_interrupted_training_goes_on_without_an_epoch_twice_or_a_picture_lost(
    mlflow_home: Home, tmp_path: Path
) -> None:
    events = tmp_path / "events"
    first, _ = _train(mlflow_home, events, (1, 2), cut=True)
    assert not (_kept(mlflow_home, first) / "tensorboard").exists()
    again, said = _train(mlflow_home, events, (3,), run_id=first.run_id, told_before=(1, 2))
    assert again.run_id == first.run_id
    assert _steps(mlflow_home, again) == [1, 2, 3]
    reader = _events(_kept(mlflow_home, again) / "tensorboard")
    assert [event.step for event in reader.Scalars("train/loss")] == [1, 2, 3]
    assert [event.step for event in reader.Images("examples/worst-misses")] == [1, 2, 3]
    assert not any(line.startswith(("epoch 1 ", "epoch 2 ")) for line in said)


def test_epoch_that_was_killed_while_it_was_told_is_told_again(
    mlflow_home: Home, tmp_path: Path
) -> None:
    events = tmp_path / "events"
    first, _ = _train(mlflow_home, events, (1,), cut=True)
    files = EventFiles(events)
    files.log(2, {"train/loss": 99.0})  # and then the power went, before MLflow had it
    files.close()
    again, _ = _train(mlflow_home, events, (3,), run_id=first.run_id, told_before=(1, 2))
    assert _steps(mlflow_home, again) == [1, 2, 3]
    reader = _events(_kept(mlflow_home, again) / "tensorboard")
    losses = [(event.step, event.value) for event in reader.Scalars("train/loss")]
    assert losses == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_run_that_is_gone_is_told_everything_anew(mlflow_home: Home, tmp_path: Path) -> None:
    events = tmp_path / "events"
    first, _ = _train(mlflow_home, events, (1, 2), cut=True)
    first.client.delete_run(first.run_id)
    again, _ = _train(mlflow_home, events, (3,), run_id=first.run_id, told_before=(1, 2))
    assert again.run_id != first.run_id
    assert _steps(mlflow_home, again) == [1, 2, 3]
    reader = _events(_kept(mlflow_home, again) / "tensorboard")
    assert [event.step for event in reader.Scalars("train/loss")] == [1, 2, 3]


def test_training_that_was_done_already_keeps_its_event_files(
    mlflow_home: Home, tmp_path: Path
) -> None:
    events = tmp_path / "events"
    first, _ = _train(mlflow_home, events, (1, 2, 3), cut=True)
    again, said = _train(mlflow_home, events, (), run_id=first.run_id, told_before=(1, 2, 3))
    reader = _events(_kept(mlflow_home, again) / "tensorboard")
    assert [event.step for event in reader.Scalars("train/loss")] == [1, 2, 3]
    assert said == []
