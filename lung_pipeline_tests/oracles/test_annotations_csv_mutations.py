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
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations import luna
from lung_pipeline.errors import AnnotationError
from lung_pipeline.phantom.plan import plan_scan
from lung_pipeline.phantom.tables import HEADERS, Row, rows_of

Mutation = Callable[[bytes, np.random.Generator], bytes]
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


def _lines(content: bytes) -> list[bytes]:
    return content.split(b"\n")


def _somewhere(content: bytes, rng: np.random.Generator) -> int:
    """A place anywhere, or, as often, in the first lines."""
    return int(rng.integers(len(content) if rng.random() < 0.5 else min(len(content), 400)))


def _inserted(content: bytes, rng: np.random.Generator, piece: bytes) -> bytes:
    at = _somewhere(content, rng)
    return content[:at] + piece + content[at:]


def _with_cell(content: bytes, rng: np.random.Generator, cell: bytes) -> bytes:
    """One to five cells replaced, the header's too."""
    lines = _lines(content)
    for _ in range(rng.integers(1, 6)):
        k = int(rng.integers(len(lines) - 1))
        cells = lines[k].split(b",")
        cells[int(rng.integers(len(cells)))] = cell
        lines[k] = b",".join(cells)
    return b"\n".join(lines)


def _recolumned(content: bytes, change: Callable[[list[bytes]], list[bytes]], lines: int) -> bytes:
    every = _lines(content)
    changed = [b",".join(change(line.split(b","))) for line in every[:lines]]
    return b"\n".join(changed + every[lines:])


def truncated(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: _somewhere(content, rng)]


def bytes_flipped(content: bytes, rng: np.random.Generator) -> bytes:
    array = np.frombuffer(content, dtype=np.uint8).copy()
    for _ in range(rng.integers(1, 20)):
        array[_somewhere(content, rng)] ^= np.uint8(1 << rng.integers(8))
    return array.tobytes()


def cells_emptied(content: bytes, rng: np.random.Generator) -> bytes:
    return _with_cell(content, rng, b"")


def header_cells_swapped(content: bytes, rng: np.random.Generator) -> bytes:
    order = rng.permutation(_lines(content)[0].count(b",") + 1)
    return _recolumned(content, lambda cells: [cells[k] for k in order], lines=1)


def column_dropped(content: bytes, rng: np.random.Generator) -> bytes:
    gone = int(rng.integers(_lines(content)[0].count(b",") + 1))
    reach = int(rng.choice([1, len(content)]))
    return _recolumned(content, lambda cells: cells[:gone] + cells[gone + 1 :], lines=reach)


def quote_opened(content: bytes, rng: np.random.Generator) -> bytes:
    lines = _lines(content)
    k = int(rng.integers(len(lines) - 1))
    lines[k] = b'"' + lines[k] if rng.random() < 0.5 else lines[k].replace(b",", b',"', 1)
    return b"\n".join(lines)


def newline_in_quotes(content: bytes, rng: np.random.Generator) -> bytes:
    return _with_cell(content, rng, b'"two\nlines"')


def nul_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    return _inserted(content, rng, b"\0" * int(rng.integers(1, 600)))


def in_utf_16(content: bytes, rng: np.random.Generator) -> bytes:
    return content.decode().encode(str(rng.choice(["utf-16", "utf-16-le", "utf-16-be"])))


def in_latin_1(content: bytes, rng: np.random.Generator) -> bytes:
    return _with_cell(content, rng, "Müller".encode("latin-1"))


def huge_number(content: bytes, rng: np.random.Generator) -> bytes:
    return _with_cell(content, rng, [b"1e308", b"-1e400", b"9" * 5_000, b"1e9"][rng.integers(4)])


def no_number(content: bytes, rng: np.random.Generator) -> bytes:
    cells = [b"nan", b"-inf", b"Infinity", b"NULL", b"1_000", b"0x10", b"1,5", "١٢".encode()]
    return _with_cell(content, rng, cells[rng.integers(len(cells))])


def line_of_ten_megabytes(content: bytes, rng: np.random.Generator) -> bytes:
    piece = [b"1", b",", b'"', b"\r", b" ", b"\x85"][rng.integers(6)]
    return _inserted(content, rng, piece * (10 * 1024 * 1024))


def cell_of_spaces(content: bytes, rng: np.random.Generator) -> bytes:
    return _with_cell(content, rng, b"[" + b" " * 400_000 + b"x]")


def column_named_twice(content: bytes, rng: np.random.Generator) -> bytes:
    k = int(rng.integers(_lines(content)[0].count(b",") + 1))
    return _recolumned(
        content, lambda cells: [*cells, *cells[k : k + 1]], int(rng.choice([1, 9**9]))
    )


def header_again(content: bytes, rng: np.random.Generator) -> bytes:
    lines = _lines(content)
    lines.insert(int(rng.integers(len(lines))), lines[0])
    return b"\n".join(lines)


def zip_renamed(content: bytes, rng: np.random.Generator) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", int(rng.choice([0, 8]))) as archive:
        archive.writestr("table.csv", content)
    return packed.getvalue()


def two_halves_joined(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy that was begun again: a line cut short, then the file from its start."""
    return content[: _somewhere(content, rng)] + content


def other_line_ends(content: bytes, rng: np.random.Generator) -> bytes:
    return content.replace(b"\n", [b"\r", b"\n\r", b"\x85", b"\x0c", b""][rng.integers(5)])


def noise(content: bytes, rng: np.random.Generator) -> bytes:
    return _inserted(content, rng, rng.bytes(int(rng.integers(1, 3_000))))


MUTATIONS: tuple[Mutation, ...] = (
    *(truncated, bytes_flipped, cells_emptied, header_cells_swapped, column_dropped),
    *(quote_opened, newline_in_quotes, nul_bytes, in_utf_16, in_latin_1, huge_number, no_number),
    *(line_of_ten_megabytes, cell_of_spaces, column_named_twice, header_again, zip_renamed),
    *(two_halves_joined, other_line_ends, noise),
)


@pytest.fixture(scope="module")
def real_tables(reference_data: Path) -> dict[str, bytes]:
    luna16 = reference_data / "luna16"
    paths = {name: luna16 / name for name in READERS}
    paths["candidates.csv"] = luna16 / "candidates_standin.csv"
    paths["LIDC-IDRI_MetaData.csv"] = reference_data / "lidc" / "LIDC-IDRI_MetaData.csv"
    return {name: b"\n".join(_lines(p.read_bytes())[:LINES]) for name, p in paths.items()}


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


def _same_as_pythons_own(path: Path, table: pd.DataFrame, reader: Reader) -> None:
    csv.field_size_limit(2**30)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        rows = [row for row in csv.DictReader(text) if any(row.values())]
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
