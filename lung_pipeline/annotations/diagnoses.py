# SPDX-License-Identifier: Apache-2.0
"""TCIA's table of diagnoses: what became of 157 patients of LIDC-IDRI, by biopsy and the like.

It is the only truth in the collection that is not a reader's opinion, and it stands for the
patient: which nodule was the malignant one is known for few.

Belongs here: patient and diagnosis from an .xls workbook. Does not belong here: how well readers
agree with it (``evaluation/readers.py``).

The workbook is read by xlrd, in plain Python: where a file is damaged it raises. The faster
readers in native code allocate gigabytes or end the process on some damaged files.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.errors import AnnotationError

if TYPE_CHECKING:
    import pandas as pd
    from xlrd.book import Book
    from xlrd.sheet import Cell, Sheet

DIAGNOSES_FILE = "tcia-diagnosis-data-2012-04-20.xls"
"""The workbook as TCIA hands it out beside LIDC-IDRI."""

UNKNOWN, BENIGN, PRIMARY, METASTATIC = 0, 1, 2, 3
"""A patient's diagnosis: unknown, benign or no malignant disease, primary lung cancer, metastasis.

The numbers are those of TCIA's table.
"""

_PATIENT, _DIAGNOSIS = "tcia patient id", "diagnosis at the patient level"
"""How the headers of the two columns begin, in small letters; a legend follows in the second."""

# What xlrd raises where a file is damaged, besides its own errors: found with 3,000 damaged copies.
_DAMAGED = (
    struct.error,
    zipfile.BadZipFile,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_diagnoses(path: Path) -> pd.DataFrame:
    """Each patient's diagnosis: patient_id (str), diagnosis (int64, ``UNKNOWN`` and so on).

    The columns are found by their headers, on whichever sheet and row they stand; empty rows are
    left aside. A patient who stands twice with the same diagnosis is taken once.

    Raises:
        AnnotationError: no file, no whole .xls workbook, no such columns or not one row; a row
            without patient, with another diagnosis than 0 to 3, or at odds with an earlier row.
    """
    import pandas as pd

    sheet, header = _table_of(path)
    columns = tuple(_column(sheet, header, name) for name in (_PATIENT, _DIAGNOSIS))
    diagnoses: dict[str, int] = {}
    for row in range(header + 1, sheet.nrows):
        cells = [sheet.cell(row, column) for column in columns]
        if any(_shown(cell) for cell in cells):
            place = f"{path}, sheet '{sheet.name}', row {row + 1}"
            _add(diagnoses, _patient(cells[0], place), _diagnosis(cells[1], place), place)
    if not diagnoses:
        raise _no_table(path, "no row below the header")
    table = {"patient_id": list(diagnoses), "diagnosis": list(diagnoses.values())}
    return pd.DataFrame(table).astype({"patient_id": "str", "diagnosis": "int64"})


def _table_of(path: Path) -> tuple[Sheet, int]:
    """The first sheet that names both columns in one row, and the number of that row."""
    book = _workbook(path)
    for sheet in book.sheets():
        for row in range(sheet.nrows):
            if all(_column(sheet, row, name) >= 0 for name in (_PATIENT, _DIAGNOSIS)):
                return sheet, row
    raise _no_table(path, f"the sheets {', '.join(map(repr, book.sheet_names())) or '(none)'}")


def _workbook(path: Path) -> Book:
    import xlrd

    if not path.is_file():
        raise AnnotationError(
            value="no file",
            place=path,
            rule="the table must be there",
            cure="Put TCIA's table into the folder of the raw data, beside the subsets.",
        )
    content = path.read_bytes()
    try:
        # Its remarks on odd files are for nobody: either it reads, or we say why not.
        return xlrd.open_workbook(file_contents=content, logfile=io.StringIO())
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError, *_DAMAGED) as error:
        said = " ".join(f"{type(error).__name__} {error}".split())
        raise AnnotationError(
            value=f"'{said[:100]}'" if content else "an empty file",
            place=path,
            rule="the file must be a whole .xls workbook (Excel 97 to 2003)",
            cure="Fetch it from TCIA again; a newer .xlsx must be saved as .xls.",
        ) from error


def _column(sheet: Sheet, row: int, name: str) -> int:
    """The one column whose header begins so; -1 where none or several do."""
    begins = [" ".join(_shown(cell).lower().split()).startswith(name) for cell in sheet.row(row)]
    return begins.index(True) if sum(begins) == 1 else -1


def _shown(cell: Cell) -> str:
    """What a cell shows: "" if empty, and whole numbers without a point."""
    import xlrd

    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "an error")
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_NUMBER:
        return f"{cell.value:.15g}"
    return str(cell.value).strip()


def _patient(cell: Cell, place: str) -> str:
    import xlrd

    if cell.ctype != xlrd.XL_CELL_TEXT or not _shown(cell):
        raise AnnotationError(
            value=_shown(cell) or "nothing",
            place=place,
            rule="'TCIA Patient ID' must be a name such as LIDC-IDRI-0068",
            cure="Fill in the cell, as text, or remove the row.",
        )
    return _shown(cell)


def _diagnosis(cell: Cell, place: str) -> int:
    shown = _shown(cell)
    if shown not in {"0", "1", "2", "3"}:
        raise AnnotationError(
            value=shown or "nothing",
            place=place,
            rule="'Diagnosis at the Patient Level' must be 0, 1, 2 or 3",
            cure="Write 0 where it is not known, or remove the row.",
        )
    return int(shown)


def _add(diagnoses: dict[str, int], patient: str, diagnosis: int, place: str) -> None:
    if diagnoses.setdefault(patient, diagnosis) != diagnosis:
        raise AnnotationError(
            value=f"{diagnosis} after {diagnoses[patient]}",
            place=f"{place}, patient {patient}",
            rule="a patient must have one diagnosis",
            cure="Remove the row that is wrong.",
        )


def _no_table(path: Path, value: str) -> AnnotationError:
    return AnnotationError(
        value=value,
        place=path,
        rule="one sheet must name 'TCIA Patient ID' and 'Diagnosis at the Patient Level' once, "
        "in one row, with patients below",
        cure="Fetch the table from TCIA again, or name the columns as it does.",
    )
