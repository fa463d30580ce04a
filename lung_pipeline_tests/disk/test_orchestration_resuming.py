# SPDX-License-Identifier: Apache-2.0
"""A killed training is found again by what it was to learn and from what."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lung_pipeline.home import Home
from lung_pipeline.orchestration.resuming import attempt_at
from lung_pipeline.tracking import provenance

PARAMETERS = {"seed": 1, "subsets": ["subset0"], "candidates": "abc"}


def test_same_training_finds_its_run_and_checkpoint(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    begun = attempt_at(home, "nodule", PARAMETERS)
    assert begun.run_id is None
    begun.remember("1234")
    found = attempt_at(home, "nodule", dict(reversed(PARAMETERS.items())))
    assert (found.folder, found.run_id) == (begun.folder, "1234")
    found.forget()
    assert attempt_at(home, "nodule", PARAMETERS).run_id is None
    found.forget()  # it may be gone already


@pytest.mark.parametrize(
    ("step", "change"),
    [("nodule", {"seed": 2}), ("nodule", {"candidates": "abd"}), ("malignancy", {})],
)
def test_another_training_begins_anew(tmp_path: Path, step: str, change: dict[str, object]) -> None:
    home = Home.at(tmp_path)
    attempt_at(home, "nodule", PARAMETERS).remember("1234")
    assert attempt_at(home, step, {**PARAMETERS, **change}).run_id is None


def test_changed_code_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.at(tmp_path)
    attempt_at(home, "nodule", PARAMETERS).remember("1234")
    monkeypatch.setattr(provenance, "modules_sha256", lambda: "of an edited module")
    assert attempt_at(home, "nodule", PARAMETERS).run_id is None


_TRAINING = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    import numpy as np, pandas as pd
    from safetensors.torch import save_file
    from lung_pipeline.classification.settings import ClassifierSettings
    from lung_pipeline.classification.training import train_nodule_model
    from lung_pipeline.crops.store import CropSet

    rng = np.random.default_rng(0)
    crops = rng.integers(-1000, 400, (24, 32, 48, 48)).astype(np.int16)
    parts = ["train"] * 16 + ["validation"] * 8
    index = pd.DataFrame({"is_nodule": [True, False] * 12, "part": parts})
    settings = ClassifierSettings(epochs=4, steps_per_epoch=3, batch_size=4, device="cpu")
    out, checkpoint = Path(sys.argv[1]), Path(sys.argv[2])

    class Told:
        def begin(self, epoch):
            pass

        def step(self, num_samples, waiting_s):
            pass

        def end(self, epoch, examples):
            print(epoch.number, flush=True)

    model, _ = train_nodule_model(CropSet((crops,), index), settings, Told(), checkpoint)
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, out)
    """
)


def _start(out: Path, checkpoint: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _TRAINING, str(out), str(checkpoint)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_training_killed_at_five_random_moments_ends_bit_equal(tmp_path: Path) -> None:
    undisturbed = _start(tmp_path / "whole", tmp_path / "a")
    assert undisturbed.wait(timeout=300) == 0
    kills = 0
    for after_s in (0.0, 0.11, 0.23, 0.37, 0.05):
        training = _start(tmp_path / "killed", tmp_path / "b")
        assert training.stdout is not None
        training.stdout.readline()  # an epoch is over, one of before at the latest
        time.sleep(after_s)
        training.send_signal(signal.SIGKILL)
        kills += training.wait() == -signal.SIGKILL
    assert kills >= 3  # the last may find nothing left to do
    resumed = _start(tmp_path / "killed", tmp_path / "b")
    assert resumed.wait(timeout=300) == 0
    whole, killed = load_file(tmp_path / "whole"), load_file(tmp_path / "killed")
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
