# SPDX-License-Identifier: Apache-2.0
"""Event files, read back with TensorBoard's own reader."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lung_pipeline.tracking.tensorboard import EventFiles, event_files

LOSS = "validation/loss"


def _read(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return reader


def _scalars(folder: Path, name: str = LOSS) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in _read(folder).Scalars(name)]


def _picture(reader: EventAccumulator, name: str) -> np.ndarray:
    (event,) = reader.Images(name)
    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))


def test_figures_come_back_by_epoch(tmp_path: Path) -> None:
    with event_files(tmp_path) as files:
        files.log(1, {LOSS: 0.5, "validation/nodule/recall": 0.25})
        files.log(2, {LOSS: 0.375})
    assert _scalars(tmp_path) == [(1, 0.5), (2, 0.375)]
    assert _scalars(tmp_path, "validation/nodule/recall") == [(1, 0.25)]


def test_pictures_come_back_pixel_by_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    grey = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    colored = rng.integers(0, 256, (12, 40, 3), dtype=np.uint8)
    with event_files(tmp_path) as files:
        files.log(4, {}, {"worst/misses": grey, "slices/1": colored})
    reader = _read(tmp_path)
    assert reader.Images("worst/misses")[0].step == 4
    shown = _picture(reader, "worst/misses")
    np.testing.assert_array_equal(shown, np.broadcast_to(grey[..., None], shown.shape))
    np.testing.assert_array_equal(_picture(reader, "slices/1"), colored)


def test_an_epoch_can_be_looked_at_while_the_training_goes_on(tmp_path: Path) -> None:
    with event_files(tmp_path) as files:
        for epoch in (1, 2, 3):
            files.log(epoch, {LOSS: 0.5})
            assert len(_scalars(tmp_path)) == epoch


def test_nothing_is_made_before_the_first_epoch(tmp_path: Path) -> None:
    with event_files(tmp_path / "run"):
        assert not (tmp_path / "run").exists()


_KILLED = """
import os, pathlib, signal, sys
import numpy as np
from lung_pipeline.tracking.tensorboard import EventFiles

files = EventFiles(pathlib.Path(sys.argv[1]))
for epoch in (1, 2, 3):
    picture = np.full((4, 4), epoch, np.uint8)
    files.log(epoch, {"validation/loss": 1.0, "train/loss": 1.0}, {"worst/misses": picture})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_training_that_was_killed_goes_on_without_an_epoch_twice(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert _scalars(tmp_path) == [(1, 1.0), (2, 1.0), (3, 1.0)]
    (interrupted,) = tmp_path.iterdir()
    with interrupted.open("ab") as file:
        file.write(b"\x18\x00\x00")  # a record that was not written to its end
    with event_files(tmp_path) as files:
        files.log(3, {LOSS: 0.5})
        files.log(4, {LOSS: 0.25})
    assert _scalars(tmp_path) == [(1, 1.0), (2, 1.0), (3, 0.5), (4, 0.25)]
    # What epoch 3 does not have any more is gone too.
    assert _scalars(tmp_path, "train/loss") == [(1, 1.0), (2, 1.0)]
    assert [event.step for event in _read(tmp_path).Images("worst/misses")] == [1, 2]


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    files.close()
    files.log(1, {LOSS: 0.5})
    files.close()
    files.close()
    assert _scalars(tmp_path) == [(1, 0.5)]


def test_trainings_that_follow_each_other_at_once_are_read_in_their_order(tmp_path: Path) -> None:
    for value in (1.0, 0.5):
        with event_files(tmp_path) as files:
            files.log(1, {LOSS: value})
    first, second = sorted(path.name.split(".")[3] for path in tmp_path.iterdir())
    assert first < second
    assert _scalars(tmp_path) == [(1, 0.5)]
