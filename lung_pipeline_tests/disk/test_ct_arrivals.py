# SPDX-License-Identifier: Apache-2.0
"""A subset that arrives below ``raw``: when it is whole, when new, when it is asked for again.

Time goes on by hand: each file gets the time it changed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lung_pipeline.ct.arrivals import (
    Look,
    Remembered,
    arrival_of,
    as_text,
    from_text,
    is_ingested,
    look_below_raw,
    remember_listed,
)
from lung_pipeline.home import Home


def _put(folder: Path, name: str, text: str = "scan", at: float = 100.0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """One subset of two files, and a table beside it."""
    home = Home.at(tmp_path / "home")
    _put(home.raw_subset("subset0"), "a.mhd")
    _put(home.raw_subset("subset0"), "a.raw", "voxels")
    _put(home.raw, "annotations.csv")
    return home


def _looks(home: Home, number: int = 2, former: Look | None = None) -> Look:
    """The last of some looks, each told what the one before left, as text."""
    look = former or Look()
    for _ in range(number):
        look = look_below_raw(home, from_text(as_text(look.remembered)))
    return look


def _ingest(home: Home, subset: str = "subset0") -> None:
    """What an ingest leaves that a look goes by."""
    remember_listed(home, subset, arrival_of(home.raw_subset(subset)))
    home.crops_index(subset).parent.mkdir(parents=True, exist_ok=True)
    home.crops_index(subset).touch()


def test_a_subset_is_asked_for_when_it_stood_still_between_two_looks(home: Home) -> None:
    first = _looks(home, 1)
    assert (first.asks, list(first.waiting)) == ({}, ["subset0"])
    content = arrival_of(home.raw_subset("subset0")).content
    second = _looks(home, 1, first)
    assert (second.asks, second.waiting) == ({"subset0": f"subset0:{content}"}, {})


def test_it_is_asked_for_once(home: Home) -> None:
    asked = _looks(home, 2)
    assert _looks(home, 3, asked).asks == {}


def test_one_that_is_being_copied_waits_until_it_is_still(home: Home) -> None:
    look = Look()
    for number in range(4):
        _put(home.raw_subset("subset0"), f"b{number}.raw")
        look = _looks(home, 1, look)
        assert look.asks == {}
    assert list(_looks(home, 1, look).asks) == ["subset0"]


def test_a_file_that_grows_keeps_it_waiting(home: Home) -> None:
    look = _looks(home, 1)
    _put(home.raw_subset("subset0"), "a.raw", "voxels and more")
    look = _looks(home, 1, look)
    assert look.asks == {}
    assert list(_looks(home, 1, look).asks) == ["subset0"]


def test_a_hidden_file_that_grows_keeps_it_waiting_but_is_no_content(home: Home) -> None:
    folder = home.raw_subset("subset0")
    content, look = arrival_of(folder).content, _looks(home, 1)
    _put(folder, ".b.raw.Xy12", "half of a scan")
    look = _looks(home, 1, look)
    assert look.asks == {}
    assert _looks(home, 1, look).asks == {"subset0": f"subset0:{content}"}


def test_done_makes_it_whole_at_the_first_look(home: Home) -> None:
    folder = home.raw_subset("subset0")
    content = arrival_of(folder).content
    _put(folder, ".done", "", at=100.0)
    assert _looks(home, 1).asks == {"subset0": f"subset0:{content}"}


def test_done_that_is_older_than_a_file_does_not_count(home: Home) -> None:
    _put(home.raw_subset("subset0"), ".done", "", at=99.0)
    assert _looks(home, 1).asks == {}
    assert list(_looks(home, 2).asks) == ["subset0"]


def test_done_alone_is_an_empty_folder(home: Home) -> None:
    _put(home.raw_subset("subset1"), ".done", "")
    assert _looks(home, 2).waiting == {"subset1": "holds no scan yet"}


def test_a_changed_subset_is_asked_for_again_with_another_key(home: Home) -> None:
    first = _looks(home, 2)
    _ingest(home)
    _put(home.raw_subset("subset0"), "a.raw", "voxelS", at=200.0)
    changed = _looks(home, 1, first)
    assert (changed.asks, list(changed.waiting)) == ({}, ["subset0"])
    again = _looks(home, 1, changed)
    assert list(again.asks) == ["subset0"]
    assert again.asks != first.asks


def test_what_comes_back_to_a_former_content_is_asked_for_with_a_key_of_its_own(home: Home) -> None:
    folder = home.raw_subset("subset0")
    first = _looks(home, 2)
    _ingest(home)
    _put(folder, "a.raw", "other", at=200.0)
    second = _looks(home, 2, first)
    _ingest(home)
    _put(folder, "a.raw", "voxels", at=100.0)
    third = _looks(home, 2, second)
    keys = [look.asks["subset0"] for look in (first, second, third)]
    assert len(set(keys)) == 3
    assert keys[2] == f"{keys[0]}:2"


def test_one_that_is_ingested_as_it_stands_is_not_asked_for(home: Home) -> None:
    _ingest(home)
    look = _looks(home, 3)
    assert (look.asks, look.waiting) == ({}, {})
    assert look.in_words() == "no new subset below raw/"


def test_one_that_was_only_listed_is_asked_for(home: Home) -> None:
    _ingest(home)
    home.crops_index("subset0").unlink()
    assert list(_looks(home, 2).asks) == ["subset0"]


def test_a_record_of_another_content_is_no_ingest_of_this_one(home: Home) -> None:
    _ingest(home)
    folder = home.raw_subset("subset0")
    _put(folder, "b.mhd")
    assert not is_ingested(home, "subset0", arrival_of(folder))


def test_changed_tables_ask_for_nothing(home: Home) -> None:
    _ingest(home)
    look = _looks(home, 2)
    _put(home.raw, "annotations.csv", "other", at=300.0)
    assert _looks(home, 2, look).asks == {}


def test_a_folder_of_another_name_is_said_and_left_alone(home: Home) -> None:
    _put(home.raw / "Subset 1", "a.mhd")
    look = _looks(home, 2)
    assert list(look.asks) == ["subset0"]
    assert "lowercase letters" in look.waiting["Subset 1"]


def test_folders_of_xml_and_hidden_ones_are_none(home: Home) -> None:
    _put(home.raw / "LIDC-XML", "1/a.xml")
    _put(home.raw / ".partial", "a.mhd")
    look = _looks(home, 2)
    assert (list(look.asks), look.waiting) == (["subset0"], {})


@pytest.mark.parametrize("what", ["name", "size", "time", "deeper"])
def test_the_fingerprint_knows_names_sizes_and_times(home: Home, what: str) -> None:
    folder = home.raw_subset("subset0")
    before = arrival_of(folder).content
    match what:
        case "name":
            (folder / "a.raw").rename(folder / "b.raw")
        case "size":
            _put(folder, "a.raw", "voxel")
        case "time":
            _put(folder, "a.raw", "voxels", at=101.0)
        case _:
            _put(folder, "deep/er/a.dcm")
    assert arrival_of(folder).content != before


def test_a_folder_that_cannot_be_read_costs_the_others_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(home.raw_subset("subset1"), "a.mhd")
    (home.raw_subset("subset1") / "gone.raw").symlink_to("nowhere")
    look = _looks(home, 2)
    assert list(look.asks) == ["subset0"]
    assert look.waiting["subset1"] == "cannot be read (No such file or directory)"


def test_a_home_without_raw_asks_for_nothing(tmp_path: Path) -> None:
    assert _looks(Home.at(tmp_path / "none"), 2) == Look()


@pytest.mark.parametrize("text", [None, "", "no json", "[]", '{"a": 1}', '{"a": {"asked": []}}'])
def test_a_cursor_of_something_else_is_forgotten(text: str | None) -> None:
    assert from_text(text) == {}


def test_what_is_remembered_survives_as_text() -> None:
    remembered = {"subset0": Remembered("e", ("a", "b")), "subset1": Remembered("f")}
    assert from_text(as_text(remembered)) == remembered


def test_a_look_at_a_whole_subset_of_luna16_opens_no_file_and_is_quick(home: Home) -> None:
    folder = home.raw_subset("subset0")
    for number in range(89):
        _put(folder, f"{number}.mhd")
        path = _put(folder, f"{number}.raw")
        path.chmod(0)
    started = time.process_time()
    arrival_of(folder)
    assert time.process_time() - started < 0.5
