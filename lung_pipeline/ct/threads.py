# SPDX-License-Identifier: Apache-2.0
"""Many small files at once: their reading waits for the disk, and GDCM's decoding frees Python.

Belongs here: how many at once. Does not belong here: what is done with each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_MOST_THREADS = 4
"""More do not read faster: Python's own share of each file is done by one at a time."""


def each(do: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """What ``do`` answers for each item, in their order; the first item's error is the one told."""
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:
        return list(threads.map(do, items))
