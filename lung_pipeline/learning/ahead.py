# SPDX-License-Identifier: Apache-2.0
"""The next batches are made while the model learns from the last ones.

Belongs here: a thread that goes ahead of an iterator. Does not belong here: what it makes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

_T = TypeVar("_T")
_END = object()

DEPTH = 2
"""Batches made beforehand."""


def ahead(batches: Iterator[_T], depth: int = DEPTH) -> Iterator[_T]:
    """The same batches in the same order, made by a thread, ``depth`` of them beforehand.

    An error of the iterator is raised where its batch is asked for.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        waiting: deque[Future[object]] = deque(
            thread.submit(next, batches, _END) for _ in range(depth)
        )
        try:
            while (batch := waiting.popleft().result()) is not _END:
                waiting.append(thread.submit(next, batches, _END))
                yield cast("_T", batch)
        finally:
            for future in waiting:
                future.cancel()
