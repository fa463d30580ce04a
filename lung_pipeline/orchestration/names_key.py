# SPDX-License-Identifier: Apache-2.0
"""A home's secret number, with which stand-ins for its private names are made.

Belongs here: its file. Does not belong here: which names are private (``private_names.py``).
"""

import re
import secrets
from pathlib import Path

from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.locks import held
from lung_pipeline.remote.objects import put_first
from lung_pipeline.remote.places import is_remote
from lung_pipeline.remote.scratch import own_folder
from lung_pipeline.writing import written_whole

KEY_FILE = "names.key"
"""Below the home: the key of its names. Without it nobody can tell what a name stands for."""

NUM_BYTES = 32
"""Of the key, as many as of the hash that it goes into (RFC 2104, section 3)."""

_MAKING = "0-key-names"
"""The lock of who makes it; an object store has none, and is asked to keep the first key."""

_AS_WRITTEN = re.compile(rf"[0-9a-f]{{{2 * NUM_BYTES}}}\n?".encode())


def names_key(home: Home) -> bytes:
    """The key, made where there is none yet.

    Raises:
        StoreError: the file holds something else. With a shorter key names could be guessed.
    """
    path = home.root / KEY_FILE
    if not path.is_file():
        with held(home, write=[_MAKING]):
            _make(path)
    written = path.read_bytes()
    if not _AS_WRITTEN.fullmatch(written):
        raise StoreError(
            value=f"a file of {len(written)} bytes that is none",  # what it was is nobody's affair
            place=path,
            rule=f"the key of the names must be {2 * NUM_BYTES} hexadecimal digits",
            cure="Restore it from a copy; or remove it, then names get new stand-ins from now on.",
        )
    return bytes.fromhex(written.decode())


def _make(path: Path) -> None:
    """Make the key, unless another process was first; whoever reads it from now on has that one."""
    text = secrets.token_hex(NUM_BYTES) + "\n"
    if is_remote(path):
        with own_folder("names") as folder:
            (folder / KEY_FILE).write_text(text)
            put_first(folder / KEY_FILE, path)
    elif not path.is_file():
        with written_whole(path) as temporary:
            temporary.write_text(text)
            temporary.chmod(0o600)
