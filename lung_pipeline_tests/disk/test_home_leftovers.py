# SPDX-License-Identifier: Apache-2.0
"""What a killed writer leaves: told by its name, never a living writer's, and put right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lung_pipeline import renaming, writing
from lung_pipeline.processes import lives, place
from lung_pipeline.renaming import exchange
from lung_pipeline.temporaries import (
    ASIDE,
    UNCHANGED_S,
    leftover_at,
    leftovers_below,
    temporary_beside,
)
from lung_pipeline.writing import put_right, written_whole

DEAD_PID = 4_194_304
"""One more than the highest that Linux gives."""


def _left(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("half")
    return path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _killed_while_writing(final: Path) -> str:
    """A process writes half of a file and is killed; returns the name that it left."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from lung_pipeline.writing import written_whole\n"
        "with written_whole(Path(sys.argv[1])) as path:\n"
        "    path.write_text('half'); print(path.name, flush=True); time.sleep(600)"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(final)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    name = writer.stdout.readline().strip()
    assert leftover_at(final.with_name(name)) is None, "its writer lives"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    return name


def test_what_a_killed_process_left_goes_when_the_same_is_written_again(tmp_path: Path) -> None:
    final = tmp_path / "table.parquet"
    name = _killed_while_writing(final)
    assert _names(tmp_path) == [name]
    other = _left(tmp_path, f".other.{place()}-{DEAD_PID}-0a1b2c3d.tmp")
    with written_whole(final) as path:
        path.write_text("whole")
    assert _names(tmp_path) == sorted([final.name, other.name])
    assert final.read_text() == "whole"


def test_living_writers_and_other_files_are_never_left_over(tmp_path: Path) -> None:
    mine = temporary_beside(tmp_path / "a")
    mine.write_text("half")
    for name in (".hidden", "plain.tmp", ".gitignore", ".a.tmp", f".a.{place()}-x-0a1b2c3d.tmp"):
        _left(tmp_path, name)
    assert list(leftovers_below(tmp_path)) == []


def test_number_that_another_process_got_later_is_not_the_writer(tmp_path: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        path = _left(tmp_path, f".a.{place()}-{sleeper.pid}-0a1b2c3d.tmp")
        assert leftover_at(path) is None
        for behind_s in (30, UNCHANGED_S - 60):
            os.utime(path, (time.time() - behind_s,) * 2)
            assert leftover_at(path) is None, "the file server's clock may be behind"
        os.utime(path, (time.time() - UNCHANGED_S - 60,) * 2)
        assert leftover_at(path) is not None
        assert lives(sleeper.pid, time.time())
    finally:
        sleeper.communicate()
    assert not lives(sleeper.pid, time.time())


@pytest.mark.parametrize(
    "name", [".a.00000000-1-0a1b2c3d.tmp", ".a.0a1b2c3d.tmp", ".a.0a1b2c3d.tmp-journal"]
)
def test_of_a_process_elsewhere_only_a_day_without_a_change_tells(
    tmp_path: Path, name: str
) -> None:
    path = _left(tmp_path, name)
    assert leftover_at(path) is None
    assert leftover_at(path, time.time() + UNCHANGED_S - 60) is None
    left = leftover_at(path, time.time() + UNCHANGED_S + 60)
    assert left is not None
    assert left.final == tmp_path / "a"


def test_folder_counts_as_changed_when_anything_below_it_did(tmp_path: Path) -> None:
    folder = tmp_path / ".a.0a1b2c3d.tmp"
    (folder / "c").mkdir(parents=True)
    (folder / "c" / "0").write_text("half")
    old = time.time() - 2 * UNCHANGED_S
    for path in (folder / "c", folder):
        os.utime(path, (old, old))
    assert leftover_at(folder) is None
    os.utime(folder / "c" / "0", (old, old))
    assert leftover_at(folder) is not None


def test_folder_that_stood_aside_goes_back_where_its_successor_never_came(tmp_path: Path) -> None:
    final = tmp_path / "crops"
    aside = tmp_path / f".crops.{place()}-{DEAD_PID}-0a1b2c3d.{ASIDE}"
    aside.mkdir()
    (aside / "crops.npy").write_text("whole")
    (left,) = leftovers_below(tmp_path)
    assert left.is_to_go_back
    put_right(left)
    assert (final / "crops.npy").read_text() == "whole"
    aside.mkdir()
    (again,) = leftovers_below(tmp_path)
    assert not again.is_to_go_back
    put_right(again)
    assert _names(tmp_path) == ["crops"]


def _write_folder(final: Path, text: str) -> None:
    with written_whole(final) as folder:
        folder.mkdir()
        (folder / "file").write_text(text)


def test_folder_is_at_no_moment_without_its_final_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "crops"
    _write_folder(final, "first")
    if not exchange(final, final):
        pytest.skip("this file system cannot exchange two names")

    def refuse(*_: object) -> None:
        raise AssertionError("the old folder stepped aside")

    monkeypatch.setattr(writing, "_step_aside", refuse)
    _write_folder(final, "second")
    assert (final / "file").read_text() == "second"
    assert _names(tmp_path) == ["crops"]


def test_folder_is_replaced_where_names_cannot_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "exchange", lambda one, other: False)
    for text in ("first", "second"):
        _write_folder(tmp_path / "crops", text)
    assert (tmp_path / "crops" / "file").read_text() == "second"
    assert _names(tmp_path) == ["crops"]


def test_exchange_says_what_went_wrong_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_text("")
    if exchange(tmp_path / "there", tmp_path / "there"):
        with pytest.raises(FileNotFoundError, match="absent"):
            exchange(tmp_path / "absent", tmp_path / "there")
    monkeypatch.setattr(renaming, "_RENAME_EXCHANGE", 1 << 20)  # no flag of any kernel
    assert not exchange(tmp_path / "there", tmp_path / "there")
