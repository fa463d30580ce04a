# SPDX-License-Identifier: Apache-2.0
"""Csv files read fast, and told about precisely where they are wrong.

The file is read by pyarrow (750,000 rows in a fraction of a second), which does not say on which
line it stumbled; so only a file that is wrong is gone through a second time, line by line.

Belongs here: columns, numbers and line numbers. Does not belong here: what a column means.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lung_pipeline.errors import AnnotationError
from lung_pipeline.remote.copies import at_hand

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def read_columns(
    path: Path, *, texts: Mapping[str, str], numbers: Mapping[str, str]
) -> pd.DataFrame:
    """Read the named columns of a csv file; others are left aside, as are a BOM and CRLF.

    Blanks around a text are left aside too: DICOM fills a text of odd length up with one, and a
    nodule of series "1.2 " would be one of a scan that is not there.

    Args:
        path: the file: UTF-8, separated by commas, with a header line.
        texts: for each column of text its name in the file and in the table.
        numbers: the same for the columns that must hold a finite number in every row.

    Raises:
        AnnotationError: an absent file or column, a line that is too short or too long, a row of
            several lines, an empty or unprintable text, or a cell that is no number; with the
            line, counted from 1 as editors do.
    """
    from pyarrow import compute

    _check_header(path, [*texts, *numbers])
    parsed = _trimmed(_parsed(path, list(texts), list(numbers)), texts)
    _refuse_rows_of_many_lines(path, parsed.num_rows)
    table = parsed.to_pandas()
    for column in numbers:
        finite = np.isfinite(table[column].to_numpy(dtype=np.float64))
        refuse_rows(path, ~finite, table[column], f"'{column}' must be a number", _CURE_NUMBER)
    for column in texts:
        empty = (table[column] == "").to_numpy(dtype=bool)
        refuse_rows(path, empty, "nothing", f"'{column}' must not be empty", "Fill in the cell.")
        odd = ~compute.utf8_is_printable(parsed[column]).to_numpy().astype(bool)
        refuse_rows(path, odd, table[column], f"'{column}' must be plain text", _CURE_TEXT)
    return table.rename(columns={**texts, **numbers})


def refuse_rows(
    path: Path, bad: npt.NDArray[np.bool_], found: pd.Series | str, rule: str, cure: str
) -> None:
    """Raise ``AnnotationError`` at the first bad row, saying how many there are.

    Args:
        path: the file, for the message and to find the line.
        bad: for each row of the table, in the file's order, whether it breaks the rule.
        found: what to show: a text, or a column of which the bad row's cell is shown.
        rule: what must hold.
        cure: what to do.
    """
    if not bad.any():
        return
    row = int(np.flatnonzero(bad)[0])
    others = int(np.count_nonzero(bad)) - 1
    value = found if isinstance(found, str) else found.iloc[row]
    more = f" (and {others} more such rows)" if others else ""
    line = next((number for k, (number, _) in enumerate(_lines(path), start=-1) if k == row), "?")
    raise AnnotationError(
        value=f"{_shown(value)}{more}", place=f"{path}, line {line}", rule=rule, cure=cure
    )


_LONGEST_SHOWN = 100
"""Characters of a cell or a message that an error shows."""

_LONGEST_COLUMN_SHOWN, _MOST_COLUMNS_SHOWN = 60, 8

_CURE_TEXT = "A NUL or another sign without a shape is what a broken copy leaves: fetch it again."

_CURE_NUMBER = "Write a plain decimal number with a point, or remove the row."


def _check_header(path: Path, wanted: list[str]) -> None:
    if not path.is_file():
        raise AnnotationError(
            value="no file",
            place=path,
            rule="the table must be there",
            cure="Put it into the folder of the raw data, beside the subsets.",
        )
    _, found = next(_lines(path), (1, []))
    missing = [name for name in wanted if found.count(name) != 1]
    if missing:
        raise AnnotationError(
            value=f"the columns {_shown_all(found)}",
            place=f"{path}, line 1",
            rule=f"the header must name each column once, also {', '.join(map(repr, missing))}",
            cure="Name the columns as LUNA16 and LIDC-IDRI do, separated by commas.",
        )


def _parsed(path: Path, texts: list[str], numbers: list[str]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    types = {**dict.fromkeys(texts, pa.string()), **dict.fromkeys(numbers, pa.float64())}
    columns = arrow_csv.ConvertOptions(include_columns=list(types), column_types=types)
    try:
        with at_hand(path) as near:
            return arrow_csv.read_csv(near, convert_options=columns)
    except pa.ArrowException as error:
        _refuse_first_wrong_line(path, numbers)
        raise AnnotationError(
            value=repr(_shown(str(error))),
            place=path,
            rule="the table must be a csv file in UTF-8",
            cure="Save it again as csv, UTF-8, separated by commas.",
        ) from error


def _trimmed(table: pa.Table, texts: Iterable[str]) -> pa.Table:
    from pyarrow import compute

    for name in texts:
        trimmed = compute.utf8_trim_whitespace(table[name])
        table = table.set_column(table.column_names.index(name), name, trimmed)
    return table


def _refuse_first_wrong_line(path: Path, numbers: list[str]) -> None:
    lines = _lines(path)
    _, header = next(lines)
    for line, cells in lines:
        place = f"{path}, line {line}"
        if len(cells) != len(header):
            raise AnnotationError(
                value=f"{len(cells)} cells",
                place=place,
                rule=f"a line must have {len(header)} cells, one for each column",
                cure="A file that ends too early was copied in part: fetch it again.",
            )
        for name in numbers:
            cell = cells[header.index(name)]
            if not _is_number(cell):
                raise AnnotationError(
                    value=repr(_shown(cell)),
                    place=place,
                    rule=f"'{name}' must be a number",
                    cure=_CURE_NUMBER,
                )


def _refuse_rows_of_many_lines(path: Path, num_rows: int) -> None:
    """Refuse cells with a line end in them: what a lost quote makes of two rows and more.

    pyarrow joins such lines or, where one of its blocks ends between them, drops rows in silence;
    so there are as many rows as lines, or something is wrong.
    """
    if _num_line_ends(path) == num_rows + 1:
        return
    num_found = -1  # the header is no row
    for line, cells in _lines(path):
        num_found += 1
        across = [cell for cell in cells if "\n" in cell or "\r" in cell]
        if across:
            raise AnnotationError(
                value=repr(_shown(across[0])),
                place=f"{path}, line {line}",
                rule="a cell must end on the line on which it begins",
                cure="Look in the lines before for a quote that is not closed.",
            )
    if num_found != num_rows:
        raise AnnotationError(
            value=f"{num_rows} of {num_found} rows",
            place=path,
            rule="each line below the header must be a row",
            cure="Save it again as csv, UTF-8, separated by commas.",
        )


def _num_line_ends(path: Path) -> int:
    """Line feeds, and one for a last line without."""
    number, last = 0, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            number, last = number + block.count(b"\n"), block[-1:]
    return number + (last not in (b"\n", b""))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line number and the cells of each line that is not empty, the header first."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            raise AnnotationError(
                value=_shown(str(error)),
                place=f"{path}, line {reader.line_num}",
                rule="the table must be lines of cells between commas",
                cure="Look for a quote that is never closed, or a file that is no csv at all.",
            ) from error


def _shown(text: object, longest: int = _LONGEST_SHOWN) -> str:
    """What a message can bear of a text: one line, printable, not long."""
    whole = str(text)
    plain = "".join(one if one.isprintable() else "?" for one in whole[:longest])
    return plain if len(whole) <= longest else f"{plain} ... ({len(whole):,} characters)"


def _shown_all(columns: list[str]) -> str:
    shown = ", ".join(
        repr(_shown(name, _LONGEST_COLUMN_SHOWN)) for name in columns[:_MOST_COLUMNS_SHOWN]
    )
    more = len(columns) - _MOST_COLUMNS_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown or "(none)"


def _is_number(cell: str) -> bool:
    if "_" in cell or not cell.isascii():
        return False  # numbers to Python, to nobody else
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
