# SPDX-License-Identifier: Apache-2.0
"""Csv files as accidents leave them: each reads, or is refused in one plain line, and soon.

The mutations are seeded, so a failure can be made again. Where a mutant reads, Python's own csv
module is the oracle: it must see as many rows, and the same numbers in them.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from csv_mutations import MUTATIONS, in_utf_16, lines_of, zip_renamed

from lung_pipeline.annotations import luna
from lung_pipeline.errors import AnnotationError
from lung_pipeline.phantom.plan import plan_scan
from lung_pipeline.phantom.tables import HEADERS, Row, rows_of

Reader = Callable[[Path], pd.DataFrame]

READERS: dict[str, Reader] = {
    "annotations.csv": luna.read_annotations,
    "annotations_excluded.csv": luna.read_excluded,
    "annotations_with_malignancy.csv": luna.read_ratings,
    "candidates.csv": luna.read_candidates,
    "LIDC-IDRI_MetaData.csv": luna.read_patients,
}
NUMBERS = {"coordX": "x_mm", "coordY": "y_mm", "coordZ": "z_mm", "diameter_mm": "diameter_mm"}

LONGEST_MESSAGE = 1000
"""Characters, the path not counted."""

SECONDS = 5
"""Of the processors' time, so that a busy machine fails nobody."""

LINES = 3_000
"""As many lines of each file are mutated: what goes wrong does not depend on the rest."""


@pytest.fixture(scope="module")
def real_tables(reference_data: Path) -> dict[str, bytes]:
    luna16 = reference_data / "luna16"
    paths = {name: luna16 / name for name in READERS}
    paths["candidates.csv"] = luna16 / "candidates_standin.csv"
    paths["LIDC-IDRI_MetaData.csv"] = reference_data / "lidc" / "LIDC-IDRI_MetaData.csv"
    return {name: b"\n".join(lines_of(p.read_bytes())[:LINES]) for name, p in paths.items()}


@pytest.fixture(scope="module")
def phantom_tables() -> dict[str, bytes]:
    plans = [plan_scan(5, subset=0, scan=scan, size="small") for scan in range(6)]
    by_scan = [rows_of(plan) for plan in plans]
    return {
        name: _written(HEADERS[name], itertools.chain(*(rows[name] for rows in by_scan)))
        for name in READERS
    }


def _written(header: tuple[str, ...], rows: Iterator[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


@contextlib.contextmanager
def _no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        pytest.fail(f"no answer after {SECONDS} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _outcome(path: Path, reader: Reader) -> str:
    """ "read" or "refused"; fails where the one was wrong or the other was not plain."""
    try:
        with _no_hang():
            table = reader(path)
    except AnnotationError as error:
        message = str(error)
        assert message.isprintable(), repr(message[:300])
        assert len(message.replace(str(path), "")) < LONGEST_MESSAGE, message[:300]
        return "refused"
    _same_as_pythons_own(path, table, reader)
    return "read"


def _rows_by_python(path: Path) -> list[dict[str, str]]:
    # The limit is the whole process's: what it is for others stays as it was.
    limit = csv.field_size_limit(2**30)
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
            return [row for row in csv.DictReader(text) if any(row.values())]
    finally:
        csv.field_size_limit(limit)


def _same_as_pythons_own(path: Path, table: pd.DataFrame, reader: Reader) -> None:
    rows = _rows_by_python(path)
    assert (table["series_uid"].str.len() > 0).all()
    if reader is luna.read_patients:
        assert set(table["patient_id"]) <= {row["Patient Id"] for row in rows}
        return
    assert table["series_uid"].tolist() == [row["seriesuid"] for row in rows]
    for theirs, ours in NUMBERS.items():
        if ours in table:
            assert (table[ours].abs() <= luna.FARTHEST_MM).all()
            assert table[ours].tolist() == [float(row[theirs]) for row in rows]


def _tried(tables: dict[str, bytes], folder: Path, seed: int) -> Counter[tuple[str, str]]:
    """Every mutation on every table."""
    path, outcomes = folder / "table.csv", Counter[tuple[str, str]]()
    for k, (mutation, name) in enumerate(itertools.product(MUTATIONS, READERS)):
        path.write_bytes(mutation(tables[name], np.random.default_rng([seed, k])))
        started = time.process_time()
        try:
            outcomes[mutation.__name__, _outcome(path, READERS[name])] += 1
        except BaseException as error:
            error.add_note(f"{mutation.__name__} of {name}, seed [{seed}, {k}]")
            raise
        assert time.process_time() - started < SECONDS
    return outcomes


def _of(outcomes: Counter[tuple[str, str]], wanted: str) -> int:
    return sum(number for (_, outcome), number in outcomes.items() if outcome == wanted)


def test_tables_read_before_they_are_mutated(
    phantom_tables: dict[str, bytes], tmp_path: Path
) -> None:
    for name, reader in READERS.items():
        (tmp_path / "table.csv").write_bytes(phantom_tables[name])
        assert _outcome(tmp_path / "table.csv", reader) == "read"


def test_mutated_phantom_tables_are_read_or_refused_in_one_line(
    phantom_tables: dict[str, bytes], tmp_path: Path
) -> None:
    outcomes = _tried(phantom_tables, tmp_path, seed=1)

    assert _of(outcomes, "read") + _of(outcomes, "refused") == 100
    for always in (in_utf_16, zip_renamed):
        assert outcomes[always.__name__, "refused"] == len(READERS)


@pytest.mark.slow
def test_hundred_mutations_of_the_real_tables_are_read_or_refused_in_one_line(
    real_tables: dict[str, bytes], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcomes = _tried(real_tables, tmp_path, seed=3)

    read, refused = _of(outcomes, "read"), _of(outcomes, "refused")
    record_property("read", read)
    record_property("refused", refused)
    print(f"{read} of {read + refused} mutants read, {refused} were refused in one line")
    assert read + refused == 100
    assert refused >= 60
    assert read >= 5
