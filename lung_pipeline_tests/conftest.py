# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for; real data is read in place and its absence is said, never hidden."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import Server, programs, running_server

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real scans, tables and weights; the test is skipped where there is none."""
    named = os.environ.get("LUNG_PIPELINE_REFERENCE_DATA")
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "data"
    if not (folder / "luna16" / "annotations.csv").is_file():
        pytest.skip(f"no real data at {folder} (set LUNG_PIPELINE_REFERENCE_DATA)")
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A real server, started by the first test that asks; skipped where there is none."""
    where = programs()
    if where is None:
        pytest.skip("no PostgreSQL here (Debian: apt install postgresql)")
    with running_server(where) as server:
        yield server
