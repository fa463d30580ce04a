# SPDX-License-Identifier: Apache-2.0
"""Archives that unpack to more than they should: what is theirs to fill is the disk and memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from damaged_scans import Damage
from whole_scans import write_zip
from zip_making import Pack, packed, patched


def _deflated(name: str) -> ZipInfo:
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    return entry


def _zeros(name: str, mebibytes: int) -> Pack:
    def pack(archive: ZipFile) -> None:
        with archive.open(_deflated(name), "w") as file:
            for _ in range(mebibytes):
                file.write(bytes(1 << 20))

    return pack


def zip_bombs() -> Iterator[Damage]:
    """All of them."""
    for mebibytes in (256, 1000):
        yield Damage("zip bomb", f"{mebibytes} MiB of zeros", packed(_zeros("a.raw", mebibytes)))
    yield Damage(
        "zip bomb", "300 MiB of zeros alone", packed(_zeros("a.dcm", 300), with_scan=False)
    )
    yield Damage("zip bomb", "40 of 8 MiB", packed(_many))
    yield Damage("zip bomb", "6001 files", packed(_too_many))
    yield Damage("zip bomb", "overlapping", _overlapping)
    yield Damage("zip bomb", "nested", _nested)
    yield Damage("zip bomb", "a million entries", _large_directory)
    for name in ("inner", "inner.dcm", "inner.tar", "inner.7z", "inner.gz"):
        inner: Pack = lambda archive, name=name: archive.writestr(name, b"PK\x03\x04" + bytes(40))  # noqa: E731
        yield Damage("zip bomb", f"an archive named {name}", packed(inner))
    for size in (0, 1000, 0xFFFFFFFE):
        promise = patched(lambda b, size=size: _promise(b, size))
        yield Damage("zip bomb", f"promises {size} bytes", promise)


def _many(archive: ZipFile) -> None:
    for number in range(40):
        _zeros(f"{number}.dcm", 8)(archive)


def _too_many(archive: ZipFile) -> None:
    for number in range(6001):
        archive.writestr(f"{number}", b"")


def _overlapping(folder: Path) -> Path:
    """Two hundred entries that all point at one stream of 16 MiB."""
    archive = packed(_zeros("a.raw", 16), with_scan=False)(folder)
    content = archive.read_bytes()
    at, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x05\x06")
    entry = content[at:end]
    directory = b"".join(entry.replace(b"a.raw", b"%05d" % number) for number in range(200))
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 200, 200, len(directory), at, 0)
    archive.write_bytes(content[:at] + directory + tail)
    return archive


def _nested(folder: Path) -> Path:
    inner = packed(_zeros("a.raw", 64), with_scan=False)(folder).read_bytes()
    return write_zip(folder / "outer.zip", {f"{number}.zip": inner for number in range(10)})


def _large_directory(folder: Path) -> Path:
    """A directory of a million entries, and nothing else."""
    fields = [20, 20, *[0] * 4, *[0] * 3, 1, *[0] * 4, 0, 0]
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields) + b"a"
    count = 1_000_000
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, len(entry) * count, 0, 0)
    (folder / "scan.zip").write_bytes(entry * count + tail)
    return folder / "scan.zip"


def _promise(content: bytes, size: int) -> bytes:
    """Let the first entry promise another size, in its own header and in the directory."""
    edited = bytearray(content)
    struct.pack_into("<I", edited, 22, size)
    struct.pack_into("<I", edited, content.index(b"PK\x01\x02") + 24, size)
    return bytes(edited)
