# SPDX-License-Identifier: Apache-2.0
"""Damages of scans in one file, or in a header and its voxels."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from damaged_scans import Damage
from whole_scans import SHAPE_IRC, chest_hu, write_file

NAMES = ["a.mhd", "packed.mhd", "a.mha", "packed.mha", "a.nii", "a.nii.gz", "a.nrrd", "packed.nrrd"]
Change = Callable[[bytes], bytes]


def file_damages() -> Iterator[Damage]:
    """All of them, by kind."""
    yield from _of_bytes()
    yield from _of_header_lines()
    yield from _of_nifti_numbers()
    yield from _of_values()
    yield from _bombs()


def voxel_file(scan: Path) -> Path:
    """The file with the voxels; the scan itself where it is one file."""
    others = [file for file in scan.parent.iterdir() if file != scan]
    return others[0] if others else scan


def changed(name: str, change: Change, *, of_header: bool = False) -> Callable[[Path], Path]:
    """Write a well scan, then change the bytes of its voxels' file, or of its header's."""

    def make(folder: Path) -> Path:
        scan = write_file(folder, name)
        file = scan if of_header else voxel_file(scan)
        file.write_bytes(change(file.read_bytes()))
        return scan

    return make


def _of_bytes() -> Iterator[Damage]:
    for name in NAMES:
        for percent in (0, 1, 10, 35, 60, 90, 99):
            cut: Change = lambda b, share=percent / 100: b[: int(len(b) * share)]  # noqa: E731
            yield Damage("truncated", f"{name} to {percent} %", changed(name, cut))
        yield Damage("truncated", f"{name} by a byte", changed(name, lambda b: b[:-1]))
        yield Damage("wrong size", f"{name} and more", changed(name, lambda b: b + b[:1] * 64))
        yield Damage("wrong type", f"{name} of noise", changed(name, _noise, of_header=True))
        yield Damage(
            "wrong type", f"{name} of zeros", changed(name, lambda b: bytes(len(b)), of_header=True)
        )
    for name in ("packed.mhd", "packed.mha", "a.nii.gz", "packed.nrrd"):
        yield Damage("truncated", f"{name} with a flipped byte", changed(name, _flip))


def _flip(content: bytes) -> bytes:
    edited = bytearray(content)
    edited[len(edited) // 2] ^= 255
    return bytes(edited)


def _noise(content: bytes) -> bytes:
    return np.random.default_rng(len(content)).bytes(len(content))


HEADER_LINES = [
    ("wrong size", "DimSize = 128 128 48", "DimSize = 128 128 47"),
    ("wrong size", "DimSize = 128 128 48", "DimSize = 128 128 49"),
    ("wrong size", "DimSize = 128 128 48", "DimSize = 65535 65535 65535"),
    ("wrong size", "DimSize = 128 128 48", "DimSize = 128 128 -48"),
    ("wrong size", "DimSize = 128 128 48", "DimSize = 128 128 0"),
    ("wrong size", "DimSize = 128 128 48", "DimSize = 128 6144"),
    ("wrong size", "DimSize = 128 128 48", "DimSize = 1e400 128 48"),
    ("wrong size", "NDims = 3", "NDims = 99999999999"),
    ("wrong type", "MET_SHORT", "MET_UCHAR"),
    ("wrong type", "MET_SHORT", "MET_DOUBLE"),
    ("wrong type", "MET_SHORT", "MET_FLOAT_ARRAY"),
    ("wrong type", "ElementType", "ElementNumberOfChannels = 3\nElementType"),
    ("wrong spacing", "ElementSpacing = 2.5 2.5 3", "ElementSpacing = 2.5 2.5 nan"),
    ("wrong spacing", "ElementSpacing = 2.5 2.5 3", "ElementSpacing = 2.5 2.5 0"),
    ("wrong spacing", "ElementSpacing = 2.5 2.5 3", "ElementSpacing = 2.5 2.5 -3"),
    ("wrong spacing", "ElementSpacing = 2.5 2.5 3", "ElementSpacing = 2500 2500 3000"),
    ("wrong spacing", "ElementSpacing = 2.5 2.5 3", "ElementSpacing = .0025 .0025 .003"),
    ("too thick", "ElementSpacing = 2.5 2.5 3", "ElementSpacing = 2.5 2.5 5.1"),
    ("wrong axes", "TransformMatrix = 1 0 0", "TransformMatrix = 1 0 0.3"),
    ("wrong axes", "TransformMatrix = 1 0 0", "TransformMatrix = 0 0 0"),
    ("wrong axes", "Offset = -158.75", "Offset = inf"),
    ("traversal name", "ElementDataFile = a.raw", "ElementDataFile = ../a.raw"),
    ("traversal name", "ElementDataFile = a.raw", "ElementDataFile = /etc/passwd"),
    ("traversal name", "ElementDataFile = a.raw", "ElementDataFile = C:\\a.raw"),
    ("traversal name", "ElementDataFile = a.raw", "ElementDataFile = LIST"),
    ("traversal name", "ElementDataFile = a.raw", "ElementDataFile = %d.raw 0 9 1"),
    ("traversal name", "ElementDataFile = a.raw", "ElementDataFile = \x1b[31m\x07.raw"),
]


def _of_header_lines() -> Iterator[Damage]:
    for kind, old, new in HEADER_LINES:

        def change(content: bytes, old: bytes = old.encode(), new: bytes = new.encode()) -> bytes:
            if old not in content:
                msg = f"no line {old!r} in {content!r}"
                raise LookupError(msg)
            return content.replace(old, new)

        yield Damage(kind, f"a.mhd, {new!r}", changed("a.mhd", change, of_header=True))


NIFTI_NUMBERS = [
    ("wrong size", "<h", 46, (47,)),
    ("wrong size", "<h", 46, (49,)),
    ("wrong size", "<h", 46, (-1,)),
    ("wrong size", "<8h", 40, (3, 32767, 32767, 32767, 1, 1, 1, 1)),
    ("wrong size", "<8h", 40, (4, 128, 128, 24, 2, 1, 1, 1)),
    ("wrong size", "<h", 40, (0,)),
    ("wrong size", "<f", 108, (float("nan"),)),
    ("wrong size", "<f", 108, (1e30,)),
    ("wrong type", "<hh", 70, (2, 8)),
    ("wrong type", "<hh", 70, (64, 64)),
    ("wrong type", "<hh", 70, (128, 24)),
    ("wrong type", "<hh", 70, (4, 99)),
    ("wrong type", "<i", 0, (540,)),
    ("wrong values", "<ff", 112, (1.0, 1024.0)),
    ("wrong values", "<ff", 112, (1.0, -1024.0)),
    ("wrong values", "<ff", 112, (1e30, 0.0)),
    ("wrong spacing", "<f", 88, (0.0,)),
    ("wrong spacing", "<f", 88, (float("inf"),)),
    ("wrong axes", "<hh", 252, (0, 0)),
    ("wrong axes", "<4f", 280, (0.0, 0.0, 0.0, 0.0)),
    ("wrong axes", "<f", 284, (1.0,)),
]


def _of_nifti_numbers() -> Iterator[Damage]:
    for kind, form, offset, numbers in NIFTI_NUMBERS:

        def change(
            content: bytes, form: str = form, offset: int = offset, numbers: Any = numbers
        ) -> bytes:
            edited = bytearray(content)
            struct.pack_into(form, edited, offset, *numbers)
            return bytes(edited)

        yield Damage(kind, f"a.nii, {numbers} at byte {offset}", changed("a.nii", change))


def _of_values() -> Iterator[Damage]:
    hu = chest_hu().astype(np.float32)
    window = ((hu + 1350) / 1500 * 255).clip(0, 255)
    holed = hu.copy()
    holed[20, 30, 30] = np.nan
    top = slice(SHAPE_IRC[0] // 2 - 6, SHAPE_IRC[0] // 2 + 6)
    values: dict[tuple[str, str], Any] = {
        ("wrong values", "8 bits"): window.astype(np.uint8),
        ("wrong values", "8 bits, stretched to HU"): (window.round() / 255 * 2000 - 1000).round(),
        ("wrong values", "soft window"): hu.clip(-160, 240),
        ("wrong values", "stored, not rescaled"): (hu + 1024).astype(np.uint16),
        ("wrong values", "rescaled twice"): (hu - 1024),
        ("wrong values", "not rescaled, padded"): np.where(hu < -995, -2000, hu + 1024),
        ("wrong values", "a mask"): (hu < -700).astype(np.uint8),
        ("wrong values", "0 to 1"): (hu + 1000) / 2000,
        ("wrong values", "NaN"): holed,
        ("wrong values", "infinity"): np.where(hu > 500, np.inf, hu),
        ("wrong values", "all air"): np.full_like(hu, -1000),
        ("wrong values", "noise"): np.random.default_rng(1).normal(0, 400, hu.shape),
        ("no lungs", "full of water"): np.where(hu < -400, np.where(hu < -960, hu, 0), hu),
        ("too short", "12 slices"): hu[top],
        ("shuffled", "slices"): hu[np.random.default_rng(5).permutation(len(hu))],
        ("shuffled", "halves in turn"): hu.reshape(2, -1, *hu.shape[1:])
        .swapaxes(0, 1)
        .reshape(hu.shape),
        ("doubled", "one picture twice"): np.concatenate([hu[:20], hu[19:-1]]),
    }
    for (kind, name), voxels in values.items():
        for ending in (".mhd", ".nrrd"):
            stored = voxels.astype(np.float32) if voxels.dtype.kind == "f" else voxels
            make = lambda folder, name=f"a{ending}", stored=stored: write_file(folder, name, stored)  # noqa: E731
            yield Damage(kind, f"a{ending}, {name}", make)


def _bombs() -> Iterator[Damage]:
    """A few megabytes that hold what their header says: gigabytes of zeros."""
    sizes = (2048, 2048, 1024)

    def nifti(folder: Path) -> Path:
        header = bytearray(gzip.decompress(write_file(folder, "a.nii.gz").read_bytes())[:352])
        struct.pack_into("<3h", header, 42, *sizes)
        with gzip.open(folder / "a.nii.gz", "wb") as file:
            file.write(header)
            for _ in range(64):  # the rest of eight gigabytes is never asked for
                file.write(bytes(1 << 20))
        return folder / "a.nii.gz"

    def metaimage(folder: Path) -> Path:
        scan = write_file(folder, "packed.mhd")
        packed = zlib.compress(bytes(1 << 26))
        voxel_file(scan).write_bytes(packed)
        text = scan.read_text().replace("128 128 48", " ".join(map(str, sizes)))
        lines = [line for line in text.splitlines() if not line.startswith("CompressedDataSize")]
        scan.write_text("\n".join(lines) + "\n")
        return scan

    def longer(folder: Path) -> Path:
        scan = write_file(folder, "a.nii.gz")
        with gzip.open(scan, "ab") as file:
            for _ in range(256):
                file.write(bytes(1 << 20))
        return scan

    def sparse(folder: Path) -> Path:
        scan = write_file(folder, "a.mhd")
        scan.write_text(scan.read_text().replace("128 128 48", " ".join(map(str, sizes))))
        with voxel_file(scan).open("r+b") as file:
            file.truncate(2 * sizes[0] * sizes[1] * sizes[2])
        return scan

    for make in (nifti, metaimage, longer, sparse):
        yield Damage("bomb", f"{make.__name__}", make)
