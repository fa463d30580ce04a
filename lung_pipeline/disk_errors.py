# SPDX-License-Identifier: Apache-2.0
"""What a disk that is full or may not be written says: which artefact it was.

Belongs here: the name that such an error lacks. Does not belong here: what is done about it.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

_OF_A_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}
)


@contextlib.contextmanager
def named(final: Path) -> Iterator[None]:
    """Give a disk's error the name of what was being written.

    A write to an open file knows no name (nor do Arrow's errors), and whoever is to make room wants
    to know where. Errors that have a name keep it.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _OF_A_DISK:
            error.filename = str(final)
        raise
