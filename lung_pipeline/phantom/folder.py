# SPDX-License-Identifier: Apache-2.0
"""A whole LUNA16 folder of phantoms, as LUNA16 hands out real ones.

    subset0/ subset1/ ...               <series>.mhd and <series>.raw
    annotations.csv  annotations_excluded.csv  candidates.csv  seriesuids.csv
    annotations_with_malignancy.csv     LIDC-XML-only/<subset>/<scan>.xml
    LIDC-IDRI_MetaData.csv              series -> patient
    truth.csv                           what no real folder has: all that is known of each nodule

Belongs here: files. Does not belong here: what is in a scan (``plan``) and how it looks
(``render``).
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.errors import SettingError
from lung_pipeline.phantom.anatomy import Size
from lung_pipeline.phantom.lidc_xml import make_xml
from lung_pipeline.phantom.others import refuse_others
from lung_pipeline.phantom.plan import ScanPlan, plan_scan
from lung_pipeline.phantom.ratings import is_malignant
from lung_pipeline.phantom.render import render
from lung_pipeline.phantom.tables import HEADERS, Row, malignancies, rows_of
from lung_pipeline.writing import written_whole

XML_FOLDER = "LIDC-XML-only"
"""The name under which TCIA hands out the readers' XML."""

_BYTES_A_VOXEL = 2


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """What lies in a folder after writing; a second series of a patient counts its nodules too."""

    scans: int
    """Series."""

    patients: int
    """Patients, of whom some have two series."""

    nodules: int
    """Rows of annotations.csv."""

    malignant_nodules: int
    """Those that at least two readers gave 4 or 5."""

    candidates: int
    """Rows of candidates.csv, of either class."""


def write_luna_folder(
    out: Path,
    *,
    num_subsets: int,
    scans_per_subset: int,
    size: Size = "small",
    seed: int = 0,
    on_scan: Callable[[str], None] | None = None,
) -> FolderSummary:
    """Write a LUNA16 folder, or add to one that was written with the same seed and size.

    A scan depends only on seed, subset, scan and size. A scan that is there already is left
    alone; the tables are always written anew, so that they name exactly the scans asked for.

    Args:
        out: the folder; made where it is absent.
        num_subsets: how many subsets, ``subset0`` first.
        scans_per_subset: how many series in each.
        size: "small" for demo and tests, "full" for measurements.
        seed: 0 or more.
        on_scan: called with the series' UID when its scan is there.

    Raises:
        SettingError: no subset, no scan, numbers that have no patient numbers or UIDs, or a folder
            that holds other scans or their tables; nothing is written then.
    """
    _refuse_empty(num_subsets, scans_per_subset)
    places = itertools.product(range(num_subsets), range(scans_per_subset))
    plans = [plan_scan(seed, subset, scan, size) for subset, scan in places]
    refuse_others(out, plans)
    for plan in plans:
        write_scan(plan, out / f"subset{plan.subset}")
        if on_scan is not None:
            on_scan(plan.series_uid)
    return _write_tables(plans, out)


def write_scan(plan: ScanPlan, folder: Path) -> bool:
    """Write one .mhd with its .raw; False where both were there already, as they would be."""
    header, raw = folder / f"{plan.series_uid}.mhd", folder / f"{plan.series_uid}.raw"
    text = make_header(plan.file_grid, raw.name).encode()
    size = _BYTES_A_VOXEL
    for count in plan.grid.shape_irc:
        size *= count
    if _holds(header, text) and raw.is_file() and raw.stat().st_size == size:
        return False
    with written_whole(raw) as temporary:
        plan.axes.turn_voxels(render(plan)).astype("<i2", copy=False).tofile(temporary)
    _write(header, text)
    return True


def make_header(grid: VoxelGrid, raw_name: str) -> str:
    """LUNA16's header of a grid whose axes are flipped or not, never turned."""
    directions = [value for row in zip(*grid.direction, strict=True) for value in row]
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        # MetaIO lists the direction of one axis after the other: the columns of ITK's matrix.
        "TransformMatrix": _spaced(directions),
        "Offset": _spaced(grid.origin_xyz_mm),
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": _spaced(grid.spacing_irc_mm[::-1]),
        "DimSize": _spaced(grid.shape_irc[::-1]),
        "ElementType": "MET_SHORT",
        "ElementDataFile": raw_name,
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())


def _refuse_empty(num_subsets: int, scans_per_subset: int) -> None:
    if num_subsets < 1 or scans_per_subset < 1:
        raise SettingError(
            value=f"{num_subsets} subsets of {scans_per_subset} scans",
            place="phantom",
            rule="a folder must have at least one subset of one scan",
            cure="Ask for more; three subsets of eight scans make a demo.",
        )


def _write_tables(plans: list[ScanPlan], out: Path) -> FolderSummary:
    rows: dict[str, list[Row]] = {name: [] for name in HEADERS}
    for plan in plans:
        _write(out / XML_FOLDER / f"{plan.subset:03d}" / f"{plan.scan:03d}.xml", make_xml(plan))
        for name, more in rows_of(plan).items():
            rows[name] += more
    for name, header in HEADERS.items():
        _write(out / name, _as_csv([header, *rows[name]]))
    _write(out / "seriesuids.csv", _as_csv([(plan.series_uid,) for plan in plans]))
    return FolderSummary(
        scans=len(plans),
        patients=len({plan.patient.patient_id for plan in plans}),
        nodules=len(rows["annotations.csv"]),
        malignant_nodules=sum(is_malignant(given) for p in plans for given in malignancies(p)),
        candidates=len(rows["candidates.csv"]),
    )


def _as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _write(path: Path, content: bytes) -> None:
    if not _holds(path, content):
        with written_whole(path) as temporary:
            temporary.write_bytes(content)


def _spaced(values: list[float] | tuple[float, ...]) -> str:
    return " ".join(f"{round(value, 6) + 0.0:.10g}" for value in values)
