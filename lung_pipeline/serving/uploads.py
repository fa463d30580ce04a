# SPDX-License-Identifier: Apache-2.0
"""What a browser sends: what it says it will send, and the bytes themselves, streamed to disk.

A name that a person gave never becomes a path: it is kept only where it is a plain name of a known
ending, and else replaced by our own. A header names the file of its voxels, so a pair keeps any
name that is safe as a file's. Sizes are told beforehand and held to while bytes arrive.

Belongs here: all that is not trusted of an upload. Does not belong here: what is inside the files;
``ct.archive`` and ``ct.reading`` judge that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lung_pipeline.diagnosis.verdict.rules import DEFAULT_RULE, refuse_unknown_rule
from lung_pipeline.errors import SettingError
from lung_pipeline.writing import written_whole

ALONE = (".zip", ".mha", ".nii.gz", ".nii", ".nrrd")
"""Endings of files that are a scan by themselves; the longer before its own end."""

HEADER, VOXELS = ".mhd", (".raw", ".zraw")
"""A MetaIO header and the endings of its voxels' file, which come together."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")

_UNSAFE = re.compile(r"[/\\:*?\"<>|]|^[.\-~ ]")
"""What parts a path, or names something else than a file on one system or another."""

_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?", re.IGNORECASE
)
"""Names that Windows takes for devices, whatever their ending.
Source: Microsoft, "Naming Files, Paths, and Namespaces"."""

_LONGEST_BYTES = 200
"""Of a name in UTF-8: file systems take 255, and a file that is being written has a longer one."""


@dataclass(frozen=True, slots=True)
class Promised:
    """One file that will be sent."""

    name: str
    """Under which name it is stored."""

    num_bytes: int
    """How long it is."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks for with an upload."""

    files: tuple[Promised, ...]
    """The files of one scan, in the order they were told and are sent."""

    rule_name: str = DEFAULT_RULE
    """As in ``Wanted``."""

    has_dicom: bool = False
    """As in ``Wanted``."""

    is_forced: bool = False
    """As in ``Wanted``."""

    @property
    def scan_name(self) -> str:
        """The file to read: the header of a pair, else the only one."""
        headers = [f.name for f in self.files if f.name.lower().endswith(HEADER)]
        return headers[0] if headers else self.files[0].name

    @property
    def num_bytes(self) -> int:
        """How long all files are together."""
        return sum(file.num_bytes for file in self.files)


def read_request(asked: Any, most_bytes: int) -> Request:
    """Make out what a browser asks for.

    Args:
        asked: what its JSON says.
        most_bytes: what all files together may have.

    Raises:
        SettingError: no scan we read, a scan that is too large, or a rule there is none of.
    """
    entries = asked.get("files") if isinstance(asked, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= 2:
        count = len(entries) if isinstance(entries, list) else "nothing"
        raise _not_a_scan(f"{count} files" if isinstance(count, int) else count)
    files = tuple(_promised(entry, is_paired=len(entries) == 2) for entry in entries)
    _refuse_no_scan(files)
    rule_name = str(asked.get("rule", DEFAULT_RULE))
    refuse_unknown_rule(rule_name)
    request = Request(
        files=files,
        rule_name=rule_name,
        has_dicom=asked.get("dicom") is True,
        is_forced=asked.get("force") is True,
    )
    if request.num_bytes > most_bytes:
        raise SettingError(
            value=f"{request.num_bytes / 1e6:.0f} MB",
            place="upload",
            rule=f"a scan must have at most {most_bytes / 1e6:.0f} MB",
            cure="Send one series only, or start the server with a larger --max-upload-mb.",
        )
    return request


async def receive(chunks: AsyncIterable[bytes], folder: Path, file: Promised) -> None:
    """Stream one file to disk, whole or not at all.

    Raises:
        SettingError: more or fewer bytes than promised; reading stops at the first too many.
    """
    arrived = 0
    whole = written_whole(folder / file.name, is_flushed=False)
    with whole as temporary, temporary.open("xb") as stream:
        async for chunk in chunks:
            arrived += len(chunk)
            if arrived > file.num_bytes:
                raise _other_length("more", file.num_bytes)
            stream.write(chunk)
        if arrived < file.num_bytes:
            raise _other_length(f"{arrived}", file.num_bytes)


def _promised(entry: Any, *, is_paired: bool) -> Promised:
    name, num_bytes = (
        (entry.get("name"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
    )
    if not isinstance(name, str) or type(num_bytes) is not int or num_bytes < 1:
        raise _not_a_scan("a file without a name or of no size")
    return Promised(stored_name(name, is_paired=is_paired), num_bytes)


def stored_name(name: str, *, is_paired: bool = False) -> str:
    """The name under which an upload is stored: its own where that may be, else "scan".

    Args:
        name: as it was given.
        is_paired: whether another file may refer to it by its name; then any safe one is kept.

    Raises:
        SettingError: an ending that is none of a scan.
    """
    endings = (*ALONE, HEADER, *VOXELS)
    ending = next((known for known in endings if name.lower().endswith(known)), None)
    if ending is None:
        raise _not_a_scan("another kind of file")
    is_kept = _is_safe(name) if is_paired else _PLAIN.fullmatch(name)
    return name if is_kept else f"scan{ending}"


def _is_safe(name: str) -> bool:
    """Whether a name can be nothing but a visible file's in its folder, on any system."""
    # What is not printable covers control characters, marks of direction and lone surrogates.
    # Some systems compare names in a composed form, in which they must be as harmless.
    forms = (name, unicodedata.normalize("NFKC", name))
    return all(
        one.isprintable()
        and len(one.encode()) <= _LONGEST_BYTES
        and not _UNSAFE.search(one)
        and not _DEVICES.fullmatch(one)
        for one in forms
    )


def _refuse_no_scan(files: tuple[Promised, ...]) -> None:
    """Refuse what is neither one file that is a scan by itself nor a header with its voxels."""
    headers = [file for file in files if file.name.lower().endswith(HEADER)]
    voxels = [file for file in files if file.name.lower().endswith(VOXELS)]
    is_pair = len(headers) == len(voxels) == 1
    if not is_pair and (len(files) > 1 or voxels):
        raise _not_a_scan(" and ".join(Path(file.name).suffix for file in files))


def _not_a_scan(value: str) -> SettingError:
    return SettingError(
        value=value,
        place="upload",
        rule=f"an upload must be one file ending in {', '.join(ALONE)}, "
        f"or an {HEADER} with its {' or '.join(VOXELS)}",
        cure="Pack the slices of one DICOM series into a .zip.",
    )


def _other_length(value: str, promised: int) -> SettingError:
    return SettingError(
        value=f"{value} bytes",
        place="upload",
        rule=f"a file must have the {promised} bytes that were told",
        cure="Send it again.",
    )
