# SPDX-License-Identifier: Apache-2.0
"""Several things at once: reading waits for the disk, and libraries free Python while they work.

Belongs here: how many at once, and how far ahead. Does not belong here: what is done with each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
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


def one_ahead(
    do: Callable[[Item], Answer], items: Sequence[Item], may: Callable[[Item], bool]
) -> Generator[Answer, None, None]:
    """What ``do`` answers for each item, each worked out while the answer before is in use.

    One item after the other, in their order, by one thread, so that ``do`` may remember. An error
    is raised where its answer is asked for. No answer is kept here: memory holds two at most.

    Args:
        do: the work.
        items: on what.
        may: whether an item may be begun before it is asked for.
    """
    with ThreadPoolExecutor(1) as thread:
        coming = [thread.submit(do, item) for item in items[:1]]
        for number in range(len(items)):
            answer = [coming.pop().result()]
            following = items[number + 1 : number + 2]
            coming = [thread.submit(do, item) for item in following if may(item)]
            yield answer.pop()
            coming = coming or [thread.submit(do, item) for item in following]
