# SPDX-License-Identifier: Apache-2.0
"""What a person sees beside a materialization: numbers, small tables, small pictures.

Metadata live in Dagster's event log for ever: tables are cut to ``MOST_ROWS``; full tables are the
files themselves.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 50
"""Rows of a table that are shown."""


def table_metadata(table: "pd.DataFrame") -> dg.TableMetadataValue:
    """The first rows of a table, as a table."""
    shown = table.head(MOST_ROWS).astype(object)
    records: list[Any] = shown.where(shown.notna(), None).to_dict(orient="records")
    schema = dg.TableSchema(columns=[dg.TableColumn(name=str(name)) for name in table.columns])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in records], schema=schema)


def links_metadata(files: Mapping[str, Path]) -> dg.MarkdownMetadataValue:
    """Files by what they are of, each as a link and as a path: a browser may refuse the link.

    Names may be a hospital's own: whatever is not a letter or digit is escaped.
    """
    lines = [
        f"| {_escaped(name)} | [{path.name}]({path.as_uri()}) | `{path}` |"
        for name, path in list(files.items())[:MOST_ROWS]
    ]
    return dg.MetadataValue.md("\n".join(["| of | open | path |", "|---|---|---|", *lines]))


def picture_metadata(png: bytes, shows: str) -> dg.MarkdownMetadataValue:
    """A picture; Dagster has no image of its own (issue 15468), but shows Markdown's."""
    data = base64.b64encode(png).decode("ascii")
    return dg.MetadataValue.md(f"![{shows}](data:image/png;base64,{data})")


def _escaped(text: str) -> str:
    """Text as it is, whatever Markdown or HTML it may look like."""
    return "".join(one if one.isalnum() or one in " -_." else f"&#{ord(one)};" for one in text)


def result(
    fingerprint: str,
    numbers: Mapping[str, int | float | None] | None = None,
    *,
    table: "pd.DataFrame | None" = None,
    paths: Mapping[str, Path] | None = None,
    texts: Mapping[str, str] | None = None,
    more: Mapping[str, dg.MetadataValue] | None = None,
) -> dg.MaterializeResult:
    """A materialization: its data version by content, its numbers, one small table, its files.

    ``more`` is what ``table_metadata`` and ``picture_metadata`` made.
    """
    metadata: dict[str, Any] = {
        name: number for name, number in (numbers or {}).items() if number is not None
    }
    metadata |= {name: dg.MetadataValue.path(str(path)) for name, path in (paths or {}).items()}
    metadata |= {name: dg.MetadataValue.text(text) for name, text in (texts or {}).items()}
    metadata |= more or {}
    if table is not None:
        metadata |= {"table": table_metadata(table), "dagster/row_count": len(table)}
    return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(fingerprint))
