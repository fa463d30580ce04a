# SPDX-License-Identifier: Apache-2.0
"""Paths as text: Linux takes any bytes as a name, tables, reports and ITK take UTF-8.

Belongs here: refusing such a path, and telling of it. Does not belong here: what lies there.
"""

from __future__ import annotations

from pathlib import Path

from lung_pipeline.errors import ReadingError


def text_of(path: Path) -> str:
    """The path as text; given one that is none, ITK would end the whole process.

    Raises:
        ReadingError: a name in it is no UTF-8.
    """
    text = str(path)
    if text != as_text(text):
        raise ReadingError(
            value=repr(as_text(path.name)),
            place=as_text(text),
            rule="the names of a scan and of its folders must be UTF-8",
            cure="Rename it.",
        )
    return text


def as_text(name: str) -> str:
    """A name with escapes for the bytes that are no UTF-8, which Python keeps as surrogates."""
    return name.encode("utf-8", "backslashreplace").decode()
