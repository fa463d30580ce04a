# SPDX-License-Identifier: Apache-2.0
"""Names that stay below the root, and writes that are seen whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.home import HOME_VARIABLE, Home, checked_name
from lung_pipeline.writing import written_whole


def _everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "name", ["..", ".", "", "../up", "a/b", "/root", "a\\b", ".hidden", "a b", "a\n", "é", "-x"]
)
def test_names_that_climb_out_or_hide_are_refused(name: str) -> None:
    home = Home.at("anywhere")
    for way in (home.raw_subset, home.crops, home.findings, home.diagnoses):
        with pytest.raises(SettingError, match="letters, digits"):
            way(name)
    for two_names in ((name, "fine"), ("fine", name)):
        with pytest.raises(SettingError):
            home.volume(*two_names)
        with pytest.raises(SettingError):
            home.manifest(*two_names)


@pytest.mark.parametrize("name", ["subset0", "1.3.6.1.4.1", "LIDC-IDRI-0003", "a..b"])
def test_ordinary_names_are_themselves(name: str) -> None:
    assert checked_name(name) == name


def test_everything_lies_below_the_root(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    assert home.volume("subset0", "1.2.3") == tmp_path / "volumes" / "subset0" / "1.2.3.zarr"
    assert home.manifest("crops", "subset0") == tmp_path / "tables" / "crops" / "subset0.parquet"
    assert home.crops("subset0") == tmp_path / "crops" / "subset0"
    assert home.findings("s") == tmp_path / "findings" / "s" / "findings.parquet"
    assert home.diagnoses("s") == tmp_path / "findings" / "s" / "diagnoses.parquet"
    others = (home.raw, home.scorecards, home.mlflow_database, home.mlflow_artifacts)
    assert all(path.is_relative_to(tmp_path) for path in others)


def test_a_store_that_does_not_speak_s3_is_refused_in_words() -> None:
    with pytest.raises(SettingError) as told:
        Home.at("gs://bucket/prefix")
    assert "gs://bucket/prefix" in str(told.value)
    assert "must be a local folder or s3://BUCKET/PREFIX" in str(told.value)


def test_the_environment_names_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "there"))
    assert Home.from_environment().root == tmp_path / "there"
    monkeypatch.setenv(HOME_VARIABLE, "")
    assert Home.from_environment().root == tmp_path / "data"
    monkeypatch.delenv(HOME_VARIABLE)
    assert Home.from_environment().root == tmp_path / "data"


def test_subsets_are_the_folders_with_scans_and_nothing_else(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    assert home.subsets_on_disk() == []
    for file in (
        "subset1/a.mhd",
        "subset0/a.mhd",
        "hospital/patient/study/slice",
        "LIDC-XML-only/subset0/scan.xml",
        "tcia-lidc-xml/157/158.XML",
        "tcia-lidc-xml/.DS_Store",
        ".hidden/a.mhd",
        "__MACOSX/a.mhd",
        "annotations.csv",
    ):
        (home.raw / file).parent.mkdir(parents=True, exist_ok=True)
        (home.raw / file).touch()
    (home.raw / "empty").mkdir()
    assert home.subsets_on_disk() == ["hospital", "subset0", "subset1"]


def test_a_file_appears_under_its_name_only_when_whole(tmp_path: Path) -> None:
    final = tmp_path / "new" / "table.txt"
    with written_whole(final) as temporary:
        temporary.write_text("whole")
        assert not final.exists()
        assert temporary.parent == final.parent  # a rename between file systems is a copy
    assert final.read_text() == "whole"
    assert _everything_below(tmp_path) == ["new", "new/table.txt"]


def _break_off_a_file(final: Path) -> None:
    with written_whole(final) as temporary:
        temporary.write_text("half")
        raise KeyError


def _break_off_a_folder(final: Path) -> None:
    with written_whole(final) as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise KeyError


def test_a_write_that_raises_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    final = tmp_path / "table.txt"
    final.write_text("former")
    with pytest.raises(KeyError):
        _break_off_a_file(final)
    assert final.read_text() == "former"
    assert _everything_below(tmp_path) == ["table.txt"]


def test_a_write_that_raises_leaves_the_former_folder_and_nothing_else(tmp_path: Path) -> None:
    final = tmp_path / "crops"
    final.mkdir()
    (final / "former").touch()
    with pytest.raises(KeyError):
        _break_off_a_folder(final)
    assert _everything_below(tmp_path) == ["crops", "crops/former"]


def test_a_folder_replaces_a_filled_folder_whole(tmp_path: Path) -> None:
    final = tmp_path / "crops"
    final.mkdir()
    (final / "former").touch()
    with written_whole(final) as temporary:
        (temporary / "deep").mkdir(parents=True)
        (temporary / "deep" / "new").touch()
    assert _everything_below(tmp_path) == ["crops", "crops/deep", "crops/deep/new"]


def test_the_former_folder_comes_back_where_the_new_one_cannot_be_named(tmp_path: Path) -> None:
    final = tmp_path / "crops"
    final.mkdir()
    (final / "former").touch()
    with pytest.raises(FileNotFoundError), written_whole(final):
        pass  # nothing was written: there is nothing to rename
    assert _everything_below(tmp_path) == ["crops", "crops/former"]


def test_a_linked_folder_is_replaced_and_what_it_points_at_stays(tmp_path: Path) -> None:
    elsewhere, final = tmp_path / "elsewhere", tmp_path / "crops"
    elsewhere.mkdir()
    (elsewhere / "former").touch()
    final.symlink_to(elsewhere, target_is_directory=True)
    with written_whole(final) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    names = ["crops", "crops/new", "elsewhere", "elsewhere/former"]
    assert _everything_below(tmp_path) == names
    assert not final.is_symlink()


def test_a_patient_id_that_is_no_file_name_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    odd, odder = home.report("subset0", "Doe^Jane 7"), home.report("subset0", "Doe Jane^7")
    assert odd.parent == odder.parent == tmp_path / "reports" / "subset0"
    assert odd.name.startswith("Doe_Jane_7-")
    assert odd != odder
    assert home.report("subset0", "../../etc").parent == odd.parent
    assert home.report("subset0", "LIDC-IDRI-0003").name == "LIDC-IDRI-0003"


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, bool]]:
    """What the disk was told to keep, in turn, and whether the final name stood there then."""
    told: list[tuple[str, bool]] = []
    names: dict[int, Path] = {}
    really_open, really_flush = os.open, os.fsync

    def opened(path: str | Path, *args: int, **kwargs: int) -> int:
        number = really_open(path, *args, **kwargs)
        names[number] = Path(path)
        return number

    def flush(number: int) -> None:
        name = names[number].relative_to(tmp_path).as_posix()
        short = re.sub(r"\.final\.[\w-]+\.tmp", "temporary", name)
        told.append((short, (tmp_path / "final").exists()))
        really_flush(number)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", flush)
    return told


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_the_name(
    tmp_path: Path, flushed: list[tuple[str, bool]]
) -> None:
    with written_whole(tmp_path / "final") as temporary:
        temporary.write_text("text")
    assert flushed == [("temporary", False), (".", True)]


@pytest.mark.parametrize("is_there", [False, True])
def test_so_is_all_of_a_folder(
    tmp_path: Path, flushed: list[tuple[str, bool]], is_there: bool
) -> None:
    if is_there:
        (tmp_path / "final").mkdir()
    _write_folder(tmp_path / "final", is_flushed=True)
    parts = ("temporary", "temporary/deeper", "temporary/deeper/file")
    assert sorted(flushed[:-1]) == [(part, is_there) for part in parts]
    assert flushed[-1] == (".", True)


def test_what_its_readers_check_is_not_waited_for(
    tmp_path: Path, flushed: list[tuple[str, bool]]
) -> None:
    _write_folder(tmp_path / "final", is_flushed=False)
    assert flushed == []


def _write_folder(final: Path, *, is_flushed: bool) -> None:
    with written_whole(final, is_flushed=is_flushed) as temporary:
        (temporary / "deeper").mkdir(parents=True)
        (temporary / "deeper" / "file").write_text("text")
    assert (final / "deeper" / "file").read_text() == "text"


def test_a_file_system_that_flushes_no_folder_is_none_the_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_flush = os.fsync

    def flush(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        really_flush(number)

    monkeypatch.setattr(os, "fsync", flush)
    with written_whole(tmp_path / "final") as temporary:
        temporary.write_text("text")
    assert (tmp_path / "final").read_text() == "text"


def test_a_disk_that_fails_while_it_is_flushed_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush(number: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "final").write_text("old")
    monkeypatch.setattr(os, "fsync", flush)
    with (
        pytest.raises(OSError, match=os.strerror(errno.EIO)),
        written_whole(tmp_path / "final") as temporary,
    ):
        temporary.write_text("new")
    assert _everything_below(tmp_path) == ["final"]
    assert (tmp_path / "final").read_text() == "old"
