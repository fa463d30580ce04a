# SPDX-License-Identifier: Apache-2.0
"""A folder of phantoms is a LUNA16 folder, and grows without touching what is there."""

from __future__ import annotations

import csv
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import SimpleITK as sitk

from lung_pipeline.errors import SettingError
from lung_pipeline.phantom.folder import FolderSummary, write_luna_folder
from lung_pipeline.phantom.plan import plan_scan
from lung_pipeline.phantom.render import render
from lung_pipeline.phantom.tables import HEADERS

_SEED = 5
_LIDC = "{http://www.nih.gov}"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FolderSummary]:
    out = tmp_path_factory.mktemp("phantom") / "raw"
    return out, write_luna_folder(out, num_subsets=1, scans_per_subset=4, seed=_SEED)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as text:
        return list(csv.DictReader(text))


def _xyz(row: dict[str, str]) -> tuple[float, float, float]:
    return float(row["coordX"]), float(row["coordY"]), float(row["coordZ"])


def test_summary_counts_what_lies_there(written: tuple[Path, FolderSummary]) -> None:
    out, summary = written
    assert summary.scans == len(list((out / "subset0").glob("*.mhd"))) == 4
    assert summary.nodules == len(_rows(out / "annotations.csv")) > 0
    assert summary.candidates == len(_rows(out / "candidates.csv"))
    malignant = [row["mal_bool"] for row in _rows(out / "annotations_with_malignancy.csv")]
    assert summary.malignant_nodules == malignant.count("True")
    patients = {row["Patient Id"] for row in _rows(out / "LIDC-IDRI_MetaData.csv")}
    assert summary.patients == len(patients)


def test_simpleitk_reads_each_scan_with_its_positions_whatever_its_axes(
    written: tuple[Path, FolderSummary],
) -> None:
    out, _ = written
    for scan in range(4):
        plan = plan_scan(_SEED, 0, scan, "small")
        image = sitk.ReadImage(str(out / "subset0" / f"{plan.series_uid}.mhd"))
        canonical = render(plan)
        voxels_irc = np.array([[10, 90, 60], [30, 100, 130], [50, 110, 96]])
        for irc, xyz in zip(voxels_irc, plan.grid.irc_to_xyz_mm(voxels_irc), strict=True):
            there = image.TransformPhysicalPointToIndex(xyz.tolist())
            assert image[there] == canonical[tuple(irc)]
        assert image.GetDirection()[0] == (-1.0 if plan.axes.flipped[2] else 1.0)


def test_nodules_stand_out_where_the_table_says(written: tuple[Path, FolderSummary]) -> None:
    out, _ = written
    for row in _rows(out / "truth.csv"):
        if row["kind"] != "solid":
            continue
        image = sitk.ReadImage(str(out / "subset0" / f"{row['seriesuid']}.mhd"))
        centre = (float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"]))
        assert image[image.TransformPhysicalPointToIndex(centre)] > -300


def test_more_subsets_leave_the_former_as_they_were(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    write_luna_folder(out, num_subsets=1, scans_per_subset=2, seed=_SEED)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (out / "subset0").iterdir()}
    tables = {name: (out / name).read_text() for name in HEADERS}
    seen: list[str] = []
    write_luna_folder(out, num_subsets=2, scans_per_subset=2, seed=_SEED, on_scan=seen.append)
    assert {
        p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (out / "subset0").iterdir()
    } == before
    assert all((out / name).read_text().startswith(text) for name, text in tables.items())
    assert seen == (out / "seriesuids.csv").read_text().split()
    assert len(seen) == 4


def test_lost_or_truncated_scan_is_written_again_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    write_luna_folder(out, num_subsets=1, scans_per_subset=1, seed=_SEED)
    raw = next((out / "subset0").glob("*.raw"))
    content = raw.read_bytes()
    raw.write_bytes(content[:1000])
    write_luna_folder(out, num_subsets=1, scans_per_subset=1, seed=_SEED)
    assert raw.read_bytes() == content


def test_readers_rings_surround_the_nodule_in_the_pixels_of_the_file(
    written: tuple[Path, FolderSummary],
) -> None:
    out, _ = written
    checked = 0
    for scan in range(4):
        plan = plan_scan(_SEED, 0, scan, "small")
        message = ET.parse(out / "LIDC-XML-only" / "000" / f"{scan:03d}.xml").getroot()
        uid = message.findtext(f"{_LIDC}ResponseHeader/{_LIDC}SeriesInstanceUid")
        assert uid == plan.series_uid
        image = sitk.ReadImage(str(out / "subset0" / f"{uid}.mhd"))
        truth = [row for row in _rows(out / "truth.csv") if row["seriesuid"] == uid]
        assert len(message.findall(f"{_LIDC}readingSession")) == 4
        for row in truth:
            centre = (float(row["x_mm"]), float(row["y_mm"]), float(row["z_mm"]))
            index = image.TransformPhysicalPointToContinuousIndex(centre)
            name = f"Nodule {int(row['nodule']):03d}"
            marks = [
                mark
                for mark in message.iter(f"{_LIDC}unblindedReadNodule")
                if mark.findtext(f"{_LIDC}noduleID") == name
            ]
            assert 3 <= len(marks) <= 4
            for mark in marks:
                x = [int(pixel.text or "") for pixel in mark.iter(f"{_LIDC}xCoord")]
                y = [int(pixel.text or "") for pixel in mark.iter(f"{_LIDC}yCoord")]
                z = [float(place.text or "") for place in mark.iter(f"{_LIDC}imageZposition")]
                assert min(x) < index[0] < max(x)
                assert min(y) < index[1] < max(y)
                assert min(z) - 2.0 <= centre[2] <= max(z) + 2.0
                checked += 1
    assert checked > 0


@pytest.mark.parametrize(("subsets", "scans"), [(0, 1), (1, 0)])
def test_an_empty_folder_is_refused(tmp_path: Path, subsets: int, scans: int) -> None:
    with pytest.raises(SettingError, match="at least one subset"):
        write_luna_folder(tmp_path / "raw", num_subsets=subsets, scans_per_subset=scans)
    assert not (tmp_path / "raw").exists()


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_tables_of_real_scans_are_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    out.mkdir()
    (out / "annotations.csv").write_text(
        "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2,3,4,5,6\n"
    )
    before = _contents(out)
    with pytest.raises(SettingError, match=r"a row of annotations\.csv, .* Name another folder"):
        write_luna_folder(out, num_subsets=1, scans_per_subset=1, seed=_SEED)
    assert _contents(out) == before


def test_a_row_of_a_real_scan_among_phantoms_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    write_luna_folder(out, num_subsets=1, scans_per_subset=1, seed=_SEED)
    with (out / "LIDC-IDRI_MetaData.csv").open("a") as table:
        table.write("Ours,P-1,,,CT,,,,,1.2\n")
    before = _contents(out)
    with pytest.raises(SettingError, match=r"a row of LIDC-IDRI_MetaData\.csv"):
        write_luna_folder(out, num_subsets=2, scans_per_subset=1, seed=_SEED)
    assert _contents(out) == before


@pytest.mark.parametrize(
    ("scans", "seed"), [(1, _SEED), (2, _SEED + 1)], ids=["fewer scans", "another seed"]
)
def test_scans_that_no_table_would_name_are_refused(tmp_path: Path, scans: int, seed: int) -> None:
    out = tmp_path / "raw"
    write_luna_folder(out, num_subsets=1, scans_per_subset=2, seed=_SEED)
    before = _contents(out)
    with pytest.raises(SettingError, match=r"subset0/.*\.mhd, which is none of the phantoms"):
        write_luna_folder(out, num_subsets=1, scans_per_subset=scans, seed=seed)
    assert _contents(out) == before


def test_phantoms_do_not_go_among_a_hospitals_scans(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    (out / "subset0").mkdir(parents=True)
    (out / "subset0" / "patient.nii.gz").write_bytes(b"a scan")
    with pytest.raises(SettingError, match=r"subset0/patient\.nii\.gz"):
        write_luna_folder(out, num_subsets=1, scans_per_subset=1, seed=_SEED)
    assert [path.name for path in (out / "subset0").iterdir()] == ["patient.nii.gz"]
