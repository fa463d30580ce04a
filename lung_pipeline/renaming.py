# SPDX-License-Identifier: Apache-2.0
"""Two names of one file system exchanged in one step, where the system can do that.

Belongs here: the one call that Python does not offer. Does not belong here: what is done where
there is none (``writing.py``).
"""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""From Linux's fcntl.h and fs.h; https://man7.org/linux/man-pages/man2/rename.2.html"""

_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)
"""What a kernel or a file system (a network's, say) answers that does not know the exchange."""


def exchange(one: Path, other: Path) -> bool:
    """Exchange what two names stand for; False where that cannot be done and nothing was.

    Raises:
        OSError: it could be done, and failed.
    """
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
