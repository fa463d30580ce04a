# SPDX-License-Identifier: Apache-2.0
"""A stored series is asked what the command asks a file, before any model looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ball_scans import GRID, MARKS_FROM_HU
from dense_networks import dense_models
from pydicom.dataset import Dataset
from whole_scans import SERIES_UID, write_dicom

from lung_pipeline.ct.lungs import find_lungs
from lung_pipeline.ct.quality import pass_gate
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.subset import convert_volumes, list_raw
from lung_pipeline.diagnosis import memory
from lung_pipeline.diagnosis.memory import needed_bytes
from lung_pipeline.diagnosis.stored_series import look_at
from lung_pipeline.diagnosis.subset import find_in_subset
from lung_pipeline.errors import DeviceError, QualityError
from lung_pipeline.home import Home

MODELS = dense_models(marks_from_hu=MARKS_FROM_HU)


def test_too_little_memory_ends_the_run_and_is_no_problem_of_the_series(
    own_ball_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = needed_bytes(GRID.shape_irc, keeps_probabilities=True)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    look_at(own_ball_home, "subset0", "a1", MODELS)
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(DeviceError, match="64 x 64 x 64 voxels needs"):
        find_in_subset(own_ball_home, "subset0", MODELS, {})


def test_thick_slices_are_refused_as_the_command_refuses_them(tmp_path: Path) -> None:
    """Slices of 8 mm every 3 mm: the grid alone does not tell."""

    def thicken(one: Dataset, number: int) -> None:
        one.SliceThickness = 8.0

    home = Home.at(tmp_path / "home")
    scan = write_dicom(home.raw / "subset0" / "thick", thicken)
    list_raw(home, "subset0")
    convert_volumes(home, "subset0")
    looked = look_at(home, "subset0", SERIES_UID, MODELS)
    volume = read_ct(scan)
    with pytest.raises(QualityError, match="at most 5 mm thick, got 8 mm") as caught:
        pass_gate(volume, find_lungs(volume.voxels_hu, volume.grid))
    assert looked.problem == str(caught.value)
