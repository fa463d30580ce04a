# SPDX-License-Identifier: Apache-2.0
"""Archives of the small chest, with something beside it or something changed."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from whole_scans import contents, write_file, write_zip

Pack = Callable[[ZipFile], None]
"""Puts something into an archive that is open."""


def packed(pack: Pack, *, with_scan: bool = True) -> Callable[[Path], Path]:
    """An archive of the whole scan, and of what ``pack`` puts beside it."""

    def make(folder: Path) -> Path:
        with ZipFile(folder / "scan.zip", "w", ZIP_DEFLATED) as archive:
            if with_scan:
                for name, content in chest_file().items():
                    archive.writestr(f"scan/{name}", content)
            pack(archive)
        return folder / "scan.zip"

    return make


@functools.cache
def chest_file() -> dict[str, bytes]:
    """The whole chest as one file, made once."""
    with tempfile.TemporaryDirectory() as folder:
        return contents(write_file(Path(folder), "a.mha"))


def odd_entry(name: str, mode: int = 0) -> ZipInfo:
    entry = ZipInfo("placeholder")
    # Past ZipInfo's own tidying, as an archive made by hand.
    entry.filename = name
    entry.external_attr = mode << 16
    return entry


def patched(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        archive = write_zip(folder / "scan.zip", chest_file())
        archive.write_bytes(change(archive.read_bytes()))
        return archive

    return make
