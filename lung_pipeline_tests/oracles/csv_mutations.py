# SPDX-License-Identifier: Apache-2.0
"""What accidents do to a csv file: each mutation takes its bytes and gives others."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]


def lines_of(content: bytes) -> list[bytes]:
    return content.split(b"\n")


def _somewhere(content: bytes, rng: np.random.Generator) -> int:
    """A place anywhere, or, as often, in the first lines."""
    return int(rng.integers(len(content) if rng.random() < 0.5 else min(len(content), 400)))


def _inserted(content: bytes, rng: np.random.Generator, piece: bytes) -> bytes:
    at = _somewhere(content, rng)
    return content[:at] + piece + content[at:]


def _with_cell(content: bytes, rng: np.random.Generator, cell: bytes) -> bytes:
    """One to five cells replaced, the header's too."""
    lines = lines_of(content)
    for _ in range(rng.integers(1, 6)):
        k = int(rng.integers(len(lines) - 1))
        cells = lines[k].split(b",")
        cells[int(rng.integers(len(cells)))] = cell
        lines[k] = b",".join(cells)
    return b"\n".join(lines)


def _recolumned(content: bytes, change: Callable[[list[bytes]], list[bytes]], lines: int) -> bytes:
    every = lines_of(content)
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
    order = rng.permutation(lines_of(content)[0].count(b",") + 1)
    return _recolumned(content, lambda cells: [cells[k] for k in order], lines=1)


def column_dropped(content: bytes, rng: np.random.Generator) -> bytes:
    gone = int(rng.integers(lines_of(content)[0].count(b",") + 1))
    reach = int(rng.choice([1, len(content)]))
    return _recolumned(content, lambda cells: cells[:gone] + cells[gone + 1 :], lines=reach)


def quote_opened(content: bytes, rng: np.random.Generator) -> bytes:
    lines = lines_of(content)
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
    k = int(rng.integers(lines_of(content)[0].count(b",") + 1))
    return _recolumned(
        content, lambda cells: [*cells, *cells[k : k + 1]], int(rng.choice([1, 9**9]))
    )


def header_again(content: bytes, rng: np.random.Generator) -> bytes:
    lines = lines_of(content)
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
