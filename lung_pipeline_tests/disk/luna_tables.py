# SPDX-License-Identifier: Apache-2.0
"""LUNA16's tables with two or three rows, as text: what a test breaks stands in the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

Reader = Callable[[Path], pd.DataFrame]

NODULES = "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2,-1.5,2,3e1,5.25\n1.3,4,5,6,7\n"
CANDIDATES = "seriesuid,coordX,coordY,coordZ,class\n1.2,-1.5,2,3e1,0\n1.3,4,5,6,1\n"
RATINGS = (
    "seriesuid,coordX,coordY,coordZ,diameter_mm,mal_bool,mal_details,bboxLowX\n"
    '1.2,-1.5,2,3,5.25,True,"[4, 2, 4, 2]",0\n'
    '1.3,4,5,6,7,False,"[1]",0\n'
    '1.4,4,5,6,7,False,"[]",0\n'
)
PATIENTS = (
    "Collection,Patient Id,Study Date,Modality,Series UID\n"
    "LIDC-IDRI,P1,01/01/2000,CT,1.2\n"
    "LIDC-IDRI,P1,01/01/2000,DX,1.9\n"
    "LIDC-IDRI,P2,01/01/2000,CT,1.3\n"
    "LIDC-IDRI,P2,01/01/2000,CT,1.3\n"
)


def table_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
