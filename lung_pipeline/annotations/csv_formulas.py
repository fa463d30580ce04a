# SPDX-License-Identifier: Apache-2.0
"""Text in a csv that a spreadsheet would run: a scan may be called ``=HYPERLINK(...)``.

Belongs here: making such a cell text. Does not belong here: reading csv (``csv_table.py``).
https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table, every text that begins as a formula does behind an apostrophe; numbers stay."""
    texts = [name for name in table.columns if not _is_number(table[name])]
    return table.assign(**{name: table[name].map(_as_text) for name in texts}) if texts else table


def _is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "biufc"


def _as_text(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA_BEGINS):
        return f"'{cell}"
    return cell
