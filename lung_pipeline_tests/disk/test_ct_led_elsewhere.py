# SPDX-License-Identifier: Apache-2.0
"""Scans that name, or link to, files outside of their folder: nothing of these is ever read.

The file outside holds exactly the voxels that the header promises, so that a reader which follows
would succeed. Zip archives are ``test_ct_archive.py``'s; XML is that of
``test_annotations_lidc_hostile.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import whole_scans
from pydicom.dataset import Dataset

from lung_pipeline.ct.reading import read_ct, scans_in
from lung_pipeline.errors import LungPipelineError, ReadingError

Spoil = Callable[[Path, Path], None]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """An .mhd in a folder, its voxels also outside."""
    path = whole_scans.write_file(tmp_path / "in", "a.mhd")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.raw").write_bytes((tmp_path / "in" / "a.raw").read_bytes())
    assert read_ct(path).voxels_hu.shape == whole_scans.SHAPE_IRC
    return path


def _named(scan: Path, name: str) -> None:
    text = scan.read_text()
    scan.write_text(text.replace("ElementDataFile = a.raw", f"ElementDataFile = {name}"))


LED_ELSEWHERE = {
    "upward": "../outside/a.raw",
    "upward from below": "x/../../outside/a.raw",
    "below": "x/a.raw",
    "a list": "LIST\n../outside/a.raw",
    "a list of slices": "LIST 2\n../outside/a.raw",
    "a pattern": "../outside/%d.raw 1 1 1",
    "a pattern beside it": "%d.raw 1 1 1",
    "backslashes": "..\\outside\\a.raw",
    "a file address": "file:../outside/a.raw",
    "home": "~/a.raw",
    "nothing": "",
    "the folder": "..",
}


@pytest.mark.parametrize("name", LED_ELSEWHERE.values(), ids=LED_ELSEWHERE)
def test_voxels_elsewhere_are_refused(scan: Path, name: str) -> None:
    _named(scan, name)
    with pytest.raises(ReadingError, match=r"ElementDataFile|must lie beside it"):
        read_ct(scan)


def test_absolute_name_is_refused(scan: Path) -> None:
    _named(scan, str(scan.parents[1] / "outside" / "a.raw"))
    with pytest.raises(ReadingError, match=r"plain name of one file beside the header"):
        read_ct(scan)


def test_link_of_the_voxels_out_of_the_folder_is_refused(scan: Path) -> None:
    scan.with_name("a.raw").unlink()
    scan.with_name("a.raw").symlink_to(scan.parents[1] / "outside" / "a.raw")
    with pytest.raises(ReadingError, match=r"the voxels must lie in the folder of a\.mhd"):
        read_ct(scan)


def test_links_of_header_and_voxels_to_one_folder_are_followed(scan: Path, tmp_path: Path) -> None:
    farm = tmp_path / "farm"
    farm.mkdir()
    for name in ("a.mhd", "a.raw"):
        (farm / name).symlink_to(scan.with_name(name))
    assert np.array_equal(read_ct(farm / "a.mhd").voxels_hu, read_ct(scan).voxels_hu)


def test_link_of_a_whole_folder_is_followed(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "subset0").symlink_to(scan.parent)
    (found,) = scans_in(tmp_path / "raw" / "subset0")
    assert read_ct(found).series_uid == "a"


def _to_folder_above(folder: Path, outside: Path) -> None:
    (folder / "patient" / "up").symlink_to(folder)


def _to_folder_elsewhere(folder: Path, outside: Path) -> None:
    (folder / "patient" / "other").symlink_to(outside)


@pytest.mark.parametrize("spoil", [_to_folder_above, _to_folder_elsewhere])
def test_links_deeper_down_are_not_followed(tmp_path: Path, spoil: Spoil) -> None:
    folder, outside = tmp_path / "subset0", whole_scans.write_dicom(tmp_path / "outside")
    whole_scans.write_dicom(folder / "patient" / "study")
    spoil(folder, outside)
    assert scans_in(folder) == [folder / "patient" / "study"]


def test_link_to_a_patients_folder_is_followed(tmp_path: Path) -> None:
    outside = whole_scans.write_dicom(tmp_path / "disk" / "patient" / "study")
    (tmp_path / "subset0").mkdir()
    (tmp_path / "subset0" / "patient").symlink_to(outside.parent)
    assert scans_in(tmp_path / "subset0") == [tmp_path / "subset0" / "patient" / "study"]


def test_dicomdir_is_not_followed(tmp_path: Path) -> None:
    outside = whole_scans.write_dicom(tmp_path / "outside")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "DICOMDIR").write_bytes((outside / "00.dcm").read_bytes())
    assert scans_in(folder) == []
    with pytest.raises(ReadingError, match="must hold the DICOM files"):
        read_ct(folder)


def test_pixels_by_address_are_not_fetched(tmp_path: Path) -> None:
    def by_address(one: Dataset, number: int) -> None:
        # JPIP referenced: the pixels are wherever the address says (PS3.5, A.6).
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.94"
        del one.PixelData
        one.PixelDataProviderURL = "http://127.0.0.1:9/pixels"

    with pytest.raises(LungPipelineError, match=r"pixels|TransferSyntax|transfer syntax"):
        read_ct(whole_scans.write_dicom(tmp_path / "in", by_address))


@pytest.mark.parametrize("key", ["data file", "datafile", "Data File", "DATA FILE"])
@pytest.mark.parametrize("value", ["../outside/a.raw", "LIST", "a.raw"])
def test_detached_nrrd_is_refused(scan: Path, key: str, value: str) -> None:
    sizes = " ".join(map(str, whole_scans.SHAPE_IRC[::-1]))
    path = scan.with_name("a.nrrd")
    path.write_text(
        f"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n"
        "space directions: (2.5,0,0) (0,2.5,0) (0,0,3)\nspace origin: (0,0,0)\n"
        f"encoding: raw\nendian: little\n{key}: {value}\n\n"
    )
    with pytest.raises(ReadingError, match="the voxels must stand in the same file"):
        read_ct(path)
    path.rename(path.with_suffix(".nhdr"))
    with pytest.raises(ReadingError, match="must be a folder of DICOM files or end in"):
        read_ct(path.with_suffix(".nhdr"))


@pytest.mark.parametrize("ending", [".hdr", ".img"])
def test_nifti_in_two_files_is_refused(tmp_path: Path, ending: str) -> None:
    pair = whole_scans.write_file(tmp_path / "in", "a.hdr")
    assert {path.name for path in pair.parent.iterdir()} == {"a.hdr", "a.img"}
    with pytest.raises(ReadingError, match="must be a folder of DICOM files or end in"):
        read_ct(pair.with_suffix(ending))
    pair.rename(pair.with_suffix(".nii"))
    with pytest.raises(ReadingError, match="must carry 'n\\+1' as its magic"):
        read_ct(pair.with_suffix(".nii"))
