# SPDX-License-Identifier: Apache-2.0
"""LIDC files as accidents and ill will leave them: each reads, its losses listed, or is left out.

A good file lies beside each mutant, and is read whatever the mutant is. The mutations are seeded,
so a failure can be made again.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import signal
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lidc_messages import message, nodule, roi
from xml_mutations import HIDDEN, HIDDEN_FILE, MUTATIONS, REFUSED_ALWAYS

from lung_pipeline.annotations.lidc import LidcMarks, read_lidc
from lung_pipeline.annotations.lidc_message import CHARACTERISTICS, HIGHEST_MALIGNANCY
from lung_pipeline.annotations.reads import marked_twice, reads_table
from lung_pipeline.phantom.lidc_xml import make_xml
from lung_pipeline.phantom.plan import plan_scan

GOOD_SERIES = "9.9.9"
GOOD = message(*[nodule(roi())] * 3, series=GOOD_SERIES)
SECONDS = 5
LONGEST_LINE = 1000


@contextlib.contextmanager
def _no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        pytest.fail(f"no answer after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _outcome(folder: Path) -> str:
    """ "read", "read with losses" or "left out"; fails where more than the mutant suffers."""
    with _no_hang(), contextlib.chdir(folder):
        marks = read_lidc(folder)
        reads, hollow = reads_table(marks)
    lines = [f"{loss.place}: {loss.reason}" for loss in (*marks.losses, *hollow)]
    for line in lines:
        assert line.isprintable(), repr(line[:300])
        assert len(line) < LONGEST_LINE, line[:300]
        assert "good.xml" not in line.partition(":")[0]
    assert len(marks.series[GOOD_SERIES].reads) == 3
    assert marks.counts["files"] == 2
    _all_is_plausible(marks)
    assert marked_twice(reads) == []
    assert (reads["series_uid"] == GOOD_SERIES).sum() == 3
    assert HIDDEN not in "".join(lines) + repr(marks.series) + reads["name"].str.cat()
    if marks.counts["unreadable_files"]:
        assert len(lines) == 1
        assert lines[0].startswith("mutant.xml: ")
        return "left out"
    return "read with losses" if lines else "read"


def _all_is_plausible(marks: LidcMarks) -> None:
    for series_uid, message_ in marks.series.items():
        assert re.fullmatch("[0-9.]{1,64}", series_uid)
        for mark in message_.marks:
            assert min(mark.column, mark.row) >= 0
            assert np.isfinite(mark.z_mm)
        for read in message_.reads:
            assert read.reader in range(4)
            assert set(read.characteristics) <= set(CHARACTERISTICS)
            assert 1 <= read.characteristics.get("malignancy", 1) <= HIGHEST_MALIGNANCY
            for contour in read.contours:
                assert np.isfinite(contour.z_mm)
                assert min(contour.columns.min(), contour.rows.min()) >= 0


def _tried(files: list[bytes], folder: Path, number: int, seed: int) -> Counter[tuple[str, str]]:
    """So many mutants, every mutation and every file in turn."""
    outcomes: Counter[tuple[str, str]] = Counter()
    source = folder / "xml"
    source.mkdir()
    (source / "good.xml").write_text(GOOD)
    for place in (folder, source):
        (place / HIDDEN_FILE).write_text(HIDDEN)
    turns = zip(itertools.cycle(MUTATIONS), range(number), strict=False)
    for mutation, k in turns:
        mutant = mutation(files[k % len(files)], np.random.default_rng([seed, k]))
        (source / "mutant.xml").write_bytes(mutant.replace(b"FOLDER", folder.as_uri().encode()))
        started = time.perf_counter()
        try:
            outcomes[mutation.__name__, _outcome(source)] += 1
        except BaseException as error:
            error.add_note(f"{mutation.__name__} of file {k % len(files)}, seed [{seed}, {k}]")
            raise
        assert time.perf_counter() - started < SECONDS
    return outcomes


def _of(outcomes: Counter[tuple[str, str]], wanted: str) -> int:
    return sum(number for (_, outcome), number in outcomes.items() if outcome == wanted)


def _check(outcomes: Counter[tuple[str, str]], number: int) -> None:
    by_outcome = {name: _of(outcomes, name) for name in ("read", "read with losses", "left out")}
    print(f"\n{number} mutants: {by_outcome}")
    assert sum(by_outcome.values()) == number
    assert all(found > number // 20 for found in by_outcome.values())
    for mutation in REFUSED_ALWAYS:
        names = {outcome for name, outcome in outcomes if name == mutation.__name__}
        assert names == {"left out"}, mutation.__name__


@pytest.fixture(scope="module")
def phantom_files() -> list[bytes]:
    return [make_xml(plan_scan(5, subset=0, scan=scan, size="small")) for scan in range(3)]


@pytest.fixture(scope="module")
def real_files(reference_data: Path) -> list[bytes]:
    """Five of the archive, each below 200 kB and with outlines, far from each other."""
    with zipfile.ZipFile(reference_data / "lidc" / "LIDC-XML-only.zip") as archive:
        fit = [
            info
            for info in archive.infolist()
            if info.filename.endswith(".xml") and 60_000 < info.file_size < 200_000
        ]
        files = [archive.read(info) for info in fit]
    return [xml for xml in files if b"<malignancy>" in xml][::60][:5]


def test_files_are_read_whole_before_they_are_mutated(
    phantom_files: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "good.xml").write_text(GOOD)
    for xml in phantom_files:
        (tmp_path / "mutant.xml").write_bytes(xml)
        assert _outcome(tmp_path) == "read"


def test_mutated_phantoms_are_read_or_left_out_in_one_line(
    phantom_files: list[bytes], tmp_path: Path
) -> None:
    number = 2 * len(MUTATIONS)
    _check(_tried(phantom_files, tmp_path, number, seed=1), number)


@pytest.mark.slow
def test_hundred_mutations_of_real_files_are_read_or_left_out_in_one_line(
    real_files: list[bytes], tmp_path: Path
) -> None:
    assert len(real_files) == 5
    _check(_tried(real_files, tmp_path, 100, seed=3), 100)
