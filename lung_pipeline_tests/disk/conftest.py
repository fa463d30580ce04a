# SPDX-License-Identifier: Apache-2.0
"""Homes that many tests read: phantoms through the data stages, and chests of balls alone.

What is made once a session is read only; a test that changes files asks for a copy of its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ball_scans import write_balls

from lung_pipeline.annotations.lidc_subset import make_lidc_reads
from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import make_candidates
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.ct.subset import convert_volumes, list_raw
from lung_pipeline.home import Home
from lung_pipeline.phantom.folder import write_luna_folder

_SUBSETS = ("subset0", "subset1")


@pytest.fixture(scope="session")
def phantom_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two subsets of three phantoms, through volumes, candidates and crops; read only.

    Of subset0 the second scan is flipped and has no nodule, and the third is for validation.
    """
    home = Home.at(tmp_path_factory.mktemp("phantoms") / "home")
    write_luna_folder(home.raw, num_subsets=2, scans_per_subset=3, seed=1)
    for subset in _SUBSETS:
        list_raw(home, subset)
        convert_volumes(home, subset)
        make_lidc_reads(home, subset)
        make_candidates(home, subset, SplitRule())
        make_crops(home, subset)
    return home


@pytest.fixture
def own_home(phantom_home: Home, tmp_path: Path) -> Home:
    """The phantoms again, for one test to change: files are linked, so replace, never edit."""
    shutil.copytree(phantom_home.root, tmp_path / "home", copy_function=os.link)
    return Home.at(tmp_path / "home")


@pytest.fixture(scope="session")
def ball_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Four small chests of three patients (``ball_scans.py``), whose truth is known; read only.

    subset0: series a1 (balls of 40 and of -50 HU) and a2 (flipped, one of 40 HU) of patient A, and
    b1 of patient B without a ball. subset1: c1 of patient C, one of -50 HU. Balls are 12 mm wide.
    """
    home = Home.at(tmp_path_factory.mktemp("balls") / "home")
    write_balls(home.raw / "subset0", "a1", [((20, 20, 20), 40), ((20, 44, 40), -50)])
    write_balls(home.raw / "subset0", "a2", [((16, 30, 40), 40)], flipped=True)
    write_balls(home.raw / "subset0", "b1", [])
    write_balls(home.raw / "subset1", "c1", [((20, 30, 30), -50)])
    place = "seriesuid,coordX,coordY,coordZ"
    tables = {
        "annotations.csv": f"{place},diameter_mm\na1,0,0,10,12\na1,30,36,10,12\n",
        "candidates.csv": f"{place},class\na1,10,5,5,0\na2,1,2,3,0\nb1,0,0,0,0\nc1,0,0,0,0\n",
        "LIDC-IDRI_MetaData.csv": "Patient Id,Modality,Series UID\nA,CT,a1\nA,CT,a2\nB,CT,b1\n",
    }
    for name, text in tables.items():
        (home.raw / name).write_text(text)
    for subset in _SUBSETS:
        list_raw(home, subset)
        convert_volumes(home, subset)
        make_lidc_reads(home, subset)
        make_candidates(home, subset, SplitRule())
    return home


@pytest.fixture
def own_ball_home(ball_home: Home, tmp_path: Path) -> Home:
    """The balls again, for one test to write beside."""
    shutil.copytree(ball_home.root, tmp_path / "balls", copy_function=os.link)
    return Home.at(tmp_path / "balls")


@pytest.fixture(scope="session")
def _empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a home nobody has logged to, made once: making it takes seconds."""
    from lung_pipeline.tracking.server import connect

    folder = tmp_path_factory.mktemp("mlflow")
    database = folder / "not yet there" / "empty.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
        connect(Home.at(folder / "home"))
    return database


@pytest.fixture
def mlflow_home(_empty_mlflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with an MLflow of its own, whatever MLflow the environment names."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return _with_database(Home.at(tmp_path / "a home"), _empty_mlflow)


@pytest.fixture
def another_mlflow_home(_empty_mlflow: Path, tmp_path: Path) -> Home:
    """A second one for the same test."""
    return _with_database(Home.at(tmp_path / "another home"), _empty_mlflow)


def _with_database(home: Home, database: Path) -> Home:
    home.mlflow_database.parent.mkdir(parents=True)
    shutil.copyfile(database, home.mlflow_database)
    return home
