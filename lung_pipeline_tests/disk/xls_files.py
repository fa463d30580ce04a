# SPDX-License-Identifier: Apache-2.0
"""Small .xls files for tests: one sheet in BIFF2, Excel's oldest form, which is a list of records.

The records are those of the OpenOffice.org documentation of the Excel file format, chapter 6.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

HEADER = ("TCIA Patient ID", "Diagnosis at the Patient Level\n0=Unknown\n1=benign ")
"""The two headers that count, as TCIA's table begins them."""

DIVISION_BY_ZERO = b"\x07"
"""A cell that shows #DIV/0!."""

Value = str | float | bytes | None


def write_xls(path: Path, rows: Sequence[Sequence[Value]]) -> Path:
    """Write rows of cells: text, number, truth value, error (its code as bytes) or None."""
    cells = [
        _cell(row, column, value)
        for row, values in enumerate(rows)
        for column, value in enumerate(values)
        if value is not None
    ]
    begin = _record(0x09, struct.pack("<HH", 2, 0x10))
    path.write_bytes(begin + b"".join(cells) + _record(0x0A, b""))
    return path


def _cell(row: int, column: int, value: Value) -> bytes:
    where = struct.pack("<HH3x", row, column)
    if isinstance(value, str):
        text = value.encode("latin-1")
        return _record(0x04, where + bytes([len(text)]) + text)
    if isinstance(value, bytes):
        return _record(0x05, where + value + b"\x01")
    if isinstance(value, bool):
        return _record(0x05, where + bytes([value, 0]))
    return _record(0x03, where + struct.pack("<d", value))


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content
