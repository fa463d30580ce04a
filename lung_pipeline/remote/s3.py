# SPDX-License-Identifier: Apache-2.0
"""S3 as paths: an object is a file, what its name has before a slash is a folder.

Two habits of the libraries below are put right here. A store that does not answer is an error, and
never "no such file": a table of marks that is not found would be left out in silence. And listings
are not remembered, since other processes write too.

Credentials, region and endpoint are what AWS's own variables and files say
(``AWS_ACCESS_KEY_ID``, ``AWS_PROFILE``, ``AWS_ENDPOINT_URL`` ...); nothing of them is kept.

Belongs here: all that knows s3fs. Does not belong here: what is stored, and in which order.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem
from upath.implementations.cloud import S3Path

from lung_pipeline.errors import LostStoreError

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

_LIMITS: Mapping[str, Any] = {"connect_timeout": 10, "read_timeout": 30}
"""Seconds: a store that is gone is told of in a minute or two, not in botocore's quarter hour."""

_ATTEMPTS = 4
"""Of botocore for each request, where ``AWS_MAX_ATTEMPTS`` names no other number."""


class ObjectStore(S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """S3 with clear errors; remembers no listing."""

    retries = 2
    """Of s3fs, each with the attempts of botocore within."""

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        key = kwargs.get("Key", kwargs.get("Prefix", ""))
        with _told(f"s3://{kwargs.get('Bucket', '')}/{key}"):
            return await super()._call_s3(method, *args, **kwargs)

    async def _cat_file(self, path: str, *args: Any, **kwargs: Any) -> bytes:
        with _told(f"s3://{path}"):
            return bytes(await super()._cat_file(path, *args, **kwargs))

    async def _get_file(self, rpath: str, *args: Any, **kwargs: Any) -> None:
        with _told(f"s3://{rpath}"):
            await super()._get_file(rpath, *args, **kwargs)

    async def _isfile(self, path: str) -> bool:
        try:
            return bool((await self._info(path))["type"] == "file")
        except FileNotFoundError:
            return False

    async def _isdir(self, path: str) -> bool:
        bucket, key, _ = self.split_path(path)
        prefix = f"{key.rstrip('/')}/" if key else ""
        found = await self._call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        return bool(found.get("KeyCount", 0) or found.get("Contents"))

    # s3fs binds these three to its own methods by name.
    call_s3, isdir, isfile = (sync_wrapper(one) for one in (_call_s3, _isdir, _isfile))


def open_store() -> ObjectStore:
    """The store that the environment names."""
    given = {"retries": {"mode": "standard", "total_max_attempts": _ATTEMPTS}}
    retries = {} if os.environ.get("AWS_MAX_ATTEMPTS") else given
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    return ObjectStore(
        # Told, although botocore would find it: stores of two endpoints must not be taken for one.
        endpoint_url=endpoint,
        config_kwargs={**_LIMITS, **retries},
        use_listings_cache=False,
    )


class ObjectPath(S3Path):
    """A path in a store. What ``iterdir`` hands out knows its size and kind from the listing."""

    _listed: Mapping[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> ObjectPath:
        """Of this class, where UPath would choose its own for the scheme."""
        return object.__new__(cls)

    @classmethod
    def _fs_factory(cls, urlpath: str, protocol: str, storage_options: Mapping[str, Any]) -> Any:
        return open_store()

    def iterdir(self) -> Iterator[ObjectPath]:
        """The files and folders right below; ``FileNotFoundError`` where there is nothing."""
        for entry in self.fs.ls(self.path, detail=True):
            name = entry["name"].rstrip("/").rpartition("/")[2]
            if entry["name"].rstrip("/") != self.path:
                child = self / name
                child._listed = entry
                yield child

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether anything lies below."""
        known = self._listed
        return super().is_dir() if known is None else bool(known["type"] == "directory")

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is an object of that name."""
        known = self._listed
        return super().is_file() if known is None else bool(known["type"] == "file")

    def is_symlink(self) -> bool:
        """False: a store has no links."""
        return False

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing to do: a folder is there as soon as something lies in it."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove one object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        self.fs.rm_file(self.path)


@contextlib.contextmanager
def _told(place: str) -> Iterator[None]:
    """Tell a store that is lost from an object that is not there."""
    try:
        yield
    except FileNotFoundError as error:
        said = getattr(error.__cause__, "response", {})
        if said.get("Error", {}).get("Code") == "NoSuchBucket":
            raise _lost(place, "no such bucket") from error
        raise
    except (IsADirectoryError, FileExistsError):
        raise
    except NoCredentialsError as error:
        raise _lost(place, "no credentials") from error
    except (OSError, BotoCoreError, ClientError, aiohttp.ClientError) as error:
        if isinstance(error, OSError) and error.errno == errno.EINVAL:
            raise  # a range beyond the end, which its reader handles
        raise _lost(place, f"{type(error).__name__}: {error}") from error


def _lost(place: str, found: str) -> LostStoreError:
    return LostStoreError(
        value=found,
        place=place,
        rule="the object store must answer, and allow what is asked",
        cure="Look after the store, AWS_ENDPOINT_URL, the credentials and the bucket's rights; "
        "then run the same again: nothing half is left.",
    )
