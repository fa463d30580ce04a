# SPDX-License-Identifier: Apache-2.0
"""What a browser says it will send, and what it sends: nothing of it is trusted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.serving.uploads import Promised, read_request, receive, stored_name

MOST = 1000


def asked(*files: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"files": [{"name": name, "bytes": size} for name, size in files], **more}


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("1.3.6.1.zip", "1.3.6.1.zip"),
        ("Scan_01.NII.GZ", "Scan_01.NII.GZ"),
        ("Müller, Hans.zip", "scan.zip"),
        ("../../etc/cron.d/x.nii.gz", "scan.nii.gz"),
        ("..\\..\\x.mha", "scan.mha"),
        ("a/b.nrrd", "scan.nrrd"),
        (".hidden.zip", "scan.zip"),
        ("-rf.zip", "scan.zip"),
        ("a\x00b.zip", "scan.zip"),
        ("line\nbreak.zip", "scan.zip"),
        ("x" * 300 + ".zip", "scan.zip"),
        (".zip", "scan.zip"),
    ],
    ids=repr,
)
def test_a_name_is_kept_only_where_it_is_plain(name: str, stored: str) -> None:
    assert stored_name(name) == stored


@pytest.mark.parametrize(
    "name",
    [
        "scan 1.raw",
        "Müller (1) [a].mhd",
        "_x.raw",
        "(1) scan.zraw",
        "a,b;c'd&e%20$f.raw",
        "com10.raw",
    ],
)
def test_a_pair_keeps_its_names_since_its_header_says_one(name: str) -> None:
    assert stored_name(name, is_paired=True) == name


def test_a_pair_with_a_name_that_is_not_plain_is_stored_under_it() -> None:
    request = read_request(asked(("scan 1.mhd", 5), ("scan 1.raw", 5)), MOST)
    assert [file.name for file in request.files] == ["scan 1.mhd", "scan 1.raw"]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/x.raw",
        "..\\x.raw",
        "a/b.raw",
        "/x.raw",
        "C:x.raw",
        ".hidden.raw",
        ".raw",
        "-rf.raw",
        "~x.raw",
        " x.raw",
        "a\x00b.raw",
        "line\nbreak.raw",
        "\x1b[31mred.raw",
        "\u202egnp.raw",
        "half\ud800.raw",
        "full\uff0fwidth.raw",
        "x" * 300 + ".raw",
        "ü" * 120 + ".raw",
        "CON.raw",
        "nul .raw",
        "com1.x.raw",
        "Lpt9.raw",
        "what?.raw",
    ],
    ids=ascii,
)
def test_a_pair_keeps_no_name_that_could_be_more_than_a_file(name: str) -> None:
    assert stored_name(name, is_paired=True) == "scan.raw"


@pytest.mark.parametrize("name", ["", "scan", "scan.exe", "scan.zip.html", "scan.dcm", "zip"])
def test_another_kind_of_file_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=r"ending in \.zip.*Pack the slices"):
        stored_name(name)


@pytest.mark.parametrize(
    ("files", "scan_name"),
    [
        ([("a.zip", 5)], "a.zip"),
        ([("a.mhd", 5)], "a.mhd"),
        ([("a.raw", 900), ("a.mhd", 5)], "a.mhd"),
        ([("a.mhd", 5), ("a.zraw", 900)], "a.mhd"),
    ],
)
def test_the_file_to_read_is_the_header_or_the_only_one(
    files: list[tuple[str, int]], scan_name: str
) -> None:
    request = read_request(asked(*files), MOST)
    assert request.scan_name == scan_name
    # In the order in which they were told, which is the one they are sent in.
    assert [file.name for file in request.files] == [name for name, _ in files]


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "files",
        {},
        {"files": "a.zip"},
        {"files": [None]},
        asked(),
        asked(("a.raw", 5)),
        asked(("a.zip", 5), ("b.zip", 5)),
        asked(("a.mhd", 5), ("b.mhd", 5)),
        asked(("a.mhd", 5), ("b.zip", 5)),
        asked(("a.mhd", 5), ("b.raw", 5), ("c.raw", 5)),
        asked(("a.zip", 0)),
        asked(("a.zip", -5)),
        asked(("a.zip", True)),
        asked(("a.zip", 2.5)),
        asked(("a.zip", "5")),
        asked((5, 5)),
    ],
    ids=str,
)
def test_what_is_no_scan_is_refused(said: Any) -> None:
    with pytest.raises(SettingError, match="an upload must be"):
        read_request(said, MOST)


def test_a_scan_that_is_too_large_is_refused_before_it_is_sent() -> None:
    assert read_request(asked(("a.mhd", 5), ("a.raw", MOST - 5)), MOST).num_bytes == MOST
    with pytest.raises(SettingError, match="at most 0 MB"):
        read_request(asked(("a.mhd", 5), ("a.raw", MOST - 4)), MOST)


def test_choices_are_taken_only_as_they_are_meant() -> None:
    request = read_request(asked(("a.zip", 5), rule="noisy-or", dicom=True, force="yes"), MOST)
    assert (request.rule_name, request.has_dicom, request.is_forced) == ("noisy-or", True, False)
    assert read_request(asked(("a.zip", 5)), MOST).rule_name == "any-malignant-nodule"
    with pytest.raises(SettingError, match="the rule must be one of"):
        read_request(asked(("a.zip", 5), rule="a coin"), MOST)


def test_a_file_arrives_as_it_was_sent(tmp_path: Path) -> None:
    asyncio.run(receive(_chunks(b"ab", b"", b"c"), tmp_path, Promised("a.zip", 3)))
    assert (tmp_path / "a.zip").read_bytes() == b"abc"
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_no_more_is_read_than_was_promised(tmp_path: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 10

    with pytest.raises(SettingError, match="must have the 25 bytes that were told, got more"):
        asyncio.run(receive(endless(), tmp_path, Promised("a.zip", 25)))
    assert read == 3
    assert list(tmp_path.iterdir()) == []


def test_half_a_file_is_none(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="got 2 bytes"):
        asyncio.run(receive(_chunks(b"ab"), tmp_path, Promised("a.zip", 3)))
    assert list(tmp_path.iterdir()) == []
