# SPDX-License-Identifier: Apache-2.0
"""Memory on a CPU, kept by the process that learns instead of fetched anew for each tensor.

A step frees and asks for the same gigabyte again and again. glibc hands large blocks back to the
system at once, which then clears every page of them anew: a fifth to a quarter of a classifier's
step (docs/results.md). Belongs here: telling the allocator. Does not belong here: counting memory.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of ``mallopt``'s settings, from glibc's malloc.h."""

_NEVER = 2**31 - 1
_AT_ONCE = 256 * 2**20


def keep_freed_memory() -> bool:
    """Have freed memory kept for the next tensor; whether this system can be told so.

    It stays so until the process ends. https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((_MMAP_THRESHOLD, _NEVER), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _AT_ONCE))
    answers = [mallopt(setting, value) for setting, value in wanted]
    return answers == [1, 1, 1]
