# SPDX-License-Identifier: Apache-2.0
"""Parquet tables that remember what made them.

Belongs here: writing and reading one table whole, its origin, its fingerprint. Does not belong
here: what the columns mean; each stage says that of its own table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.errors import StoreError
from lung_pipeline.remote.places import is_remote, store_of
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ORIGIN_KEY = b"lung_pipeline.origin"


def write_table(table: pd.DataFrame, path: Path, origin: Mapping[str, Any]) -> str:
    """Write a table under its final name, whole or not at all.

    Args:
        table: any frame; its index is not kept.
        path: the ``.parquet`` file.
        origin: what made it (source hashes, settings, versions), as JSON can hold it.

    Returns:
        The fingerprint of content and origin, fit to be a data version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), _ORIGIN_KEY: json.dumps(dict(origin)).encode()}
    with written_whole(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary)
    return fingerprint(table, origin)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table; ``StoreError`` where there is none, or none that is whole."""
    import pyarrow.parquet as pq

    _refuse_unreadable(path)
    columns = list(columns) if columns else None
    return pq.read_table(**_opened(path), columns=columns).to_pandas()


def read_origin(path: Path) -> dict[str, Any]:
    """What made the table, as it was given to ``write_table``."""
    _refuse_unreadable(path)
    metadata = _schema(path).metadata or {}
    return dict(json.loads(metadata.get(_ORIGIN_KEY, b"{}")))


def fingerprint(table: pd.DataFrame, origin: Mapping[str, Any]) -> str:
    """Sixteen hex digits of the SHA-256 over a table's values and its origin."""
    digest = hashlib.sha256(json.dumps(dict(origin), sort_keys=True).encode())
    digest.update(table.to_json(orient="split", index=False, double_precision=15).encode())
    return digest.hexdigest()[:16]


def _schema(path: Path) -> pa.Schema:
    import pyarrow.parquet as pq

    named = _opened(path)
    return pq.read_schema(named["source"], filesystem=named["filesystem"])


def _opened(path: Path) -> dict[str, Any]:
    """A file as Arrow asks for it: in an object store by the file system and the name there."""
    if not is_remote(path):
        return {"source": path, "filesystem": None}
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    store, name = store_of(path)
    return {"source": name, "filesystem": PyFileSystem(FSSpecHandler(store))}


def _refuse_unreadable(path: Path) -> None:
    import pyarrow as pa

    if not path.is_file():
        raise StoreError(
            value="no file",
            place=path,
            rule="the table must have been made",
            cure="Materialize the asset before this one for the same subset.",
        )
    try:
        _schema(path)
    except pa.ArrowInvalid as error:
        raise StoreError(
            value="something else",
            place=path,
            rule="the file must be a whole Parquet table",
            cure="Materialize the asset that writes it again.",
        ) from error
