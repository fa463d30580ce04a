# SPDX-License-Identifier: Apache-2.0
"""A home's secret number, with which stand-ins for its private names are made.

Belongs here: its file. Does not belong here: which names are private (``private_names.py``).
"""

import re
import secrets

from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.writing import written_whole

KEY_FILE = "names.key"
"""Below the home: the key of its names. Without it nobody can tell what a name stands for."""

NUM_BYTES = 32
"""Of the key, as many as of the hash that it goes into (RFC 2104, section 3)."""

_AS_WRITTEN = re.compile(rf"[0-9a-f]{{{2 * NUM_BYTES}}}\n?".encode())


def names_key(home: Home) -> bytes:
    """The key, made where there is none yet.

    Raises:
        StoreError: the file holds something else. With a shorter key names could be guessed.
    """
    path = home.root / KEY_FILE
    if not path.is_file():
        with written_whole(path) as temporary:
            temporary.write_text(secrets.token_hex(NUM_BYTES) + "\n")
            temporary.chmod(0o600)
    # Two that made it at once read the one that was written last.
    written = path.read_bytes()
    if not _AS_WRITTEN.fullmatch(written):
        raise StoreError(
            value=f"a file of {len(written)} bytes that is none",  # what it was is nobody's affair
            place=path,
            rule=f"the key of the names must be {2 * NUM_BYTES} hexadecimal digits",
            cure="Restore it from a copy; or remove it, then names get new stand-ins from now on.",
        )
    return bytes.fromhex(written.decode())
