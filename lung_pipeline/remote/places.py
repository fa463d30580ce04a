# SPDX-License-Identifier: Apache-2.0
"""Which paths lie in an object store, and how one is opened there.

Belongs here: addresses, and what is refused of them. Does not belong here: what is asked of the
store (``s3.py``). This module is loaded with every home: it loads no library of a store.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from lung_pipeline.errors import SettingError

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(/[^/?#]+)*)/?")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""


def is_remote(path: Path) -> bool:
    """Whether a path lies in an object store; a local one is a ``pathlib.Path``."""
    return not isinstance(path, Path)


def is_address(text: str) -> bool:
    """Whether a text names something by a scheme (``s3://``), and no folder."""
    return "://" in text


def place_at(address: str, setting: str) -> Path:
    """The path of an address in an object store.

    It is a ``upath.UPath`` and behaves as a ``pathlib.Path`` does where one reads, lists or
    removes; it is called one so that the code below a home knows one kind of path only.

    Args:
        address: ``s3://bucket`` or ``s3://bucket/prefix``.
        setting: who named it, for the message.

    Raises:
        SettingError: another scheme, no bucket, or the extra ``s3`` is not installed.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None or ".." in parts["prefix"].split("/"):
        raise SettingError(
            value=repr(address),
            place=setting,
            rule="the home must be a local folder or s3://BUCKET/PREFIX",
            cure="Name a folder, or an object store that speaks S3; others can be mounted.",
        )
    try:
        from lung_pipeline.remote.s3 import ObjectPath
    except ImportError as error:
        raise SettingError(
            value=f"no module '{error.name}'",
            place=f"{setting}={address}",
            rule="a home in an object store needs universal_pathlib and s3fs",
            cure='Install the extra `s3`: pip install "lung-pipeline[s3]".',
        ) from error
    return cast(Path, ObjectPath(f"s3://{parts['bucket']}{parts['prefix']}"))


def store_of(path: Path) -> tuple[Any, str]:
    """The fsspec file system of a remote path, and what the path is called there."""
    remote = cast(Any, path)
    return remote.fs, str(remote.path).rstrip("/")
