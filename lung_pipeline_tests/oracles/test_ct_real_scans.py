# SPDX-License-Identifier: Apache-2.0
"""Real scans: read as other readers read them, and the same whatever file they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from lung_pipeline.ct.reading import read_ct, scans_in, source_files
from lung_pipeline.ct.store import open_volume, write_volume
from lung_pipeline.ct.stored_quality import problems
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import HounsfieldError, SeriesError

SERIES_UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.170706757615202213033480003264"


@pytest.fixture(scope="module")
def lidc(reference_data: Path) -> Path:
    return reference_data / "lidc" / "LIDC-IDRI-0003"


@pytest.fixture(scope="module")
def ct(lidc: Path) -> CtVolume:
    return read_ct(lidc)


def test_lidc_series_is_whole_and_canonical(ct: CtVolume) -> None:
    assert ct.series_uid == SERIES_UID
    assert ct.grid.shape_irc == (140, 512, 512)
    np.testing.assert_allclose(ct.grid.spacing_irc_mm, (2.5, 0.820312, 0.820312))
    assert problems(ct.voxels_hu, ct.grid) == []


def test_lidc_voxels_are_those_pydicom_reads(lidc: Path, ct: CtVolume) -> None:
    for index in (0, 70, 139):
        one = pydicom.dcmread(source_files(lidc)[index])
        hu = one.pixel_array.astype(int) * int(one.RescaleSlope) + int(one.RescaleIntercept)
        np.testing.assert_array_equal(ct.voxels_hu[index], np.clip(hu, -1000, 1000))
        place_xyz_mm = ct.grid.irc_to_xyz_mm([[index, 0, 0]])[0]
        np.testing.assert_allclose(place_xyz_mm, one.ImagePositionPatient, atol=1e-6)


def test_luna16_nodules_lie_in_tissue(ct: CtVolume, reference_data: Path) -> None:
    table = np.genfromtxt(
        reference_data / "luna16" / "annotations.csv",
        delimiter=",",
        names=True,
        dtype=None,
        encoding="utf-8",
    )
    rows = table[table["seriesuid"] == SERIES_UID]
    assert len(rows) == 3
    points_xyz_mm = np.column_stack([rows["coordX"], rows["coordY"], rows["coordZ"]])
    for index, row, column in ct.grid.voxel_of(points_xyz_mm):
        near_hu = ct.voxels_hu[index, row - 1 : row + 2, column - 1 : column + 2]
        assert np.median(near_hu) > -300


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".mhd", ".mha", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("flipped", [False, True], ids=["as scanned", "flipped"])
def test_lidc_read_from_another_format_is_the_same_volume(
    ct: CtVolume, tmp_path: Path, ending: str, flipped: bool
) -> None:
    image = SimpleITK.GetImageFromArray(ct.voxels_hu[:40])
    image.SetSpacing(ct.grid.spacing_irc_mm[::-1])
    image.SetOrigin(ct.grid.origin_xyz_mm)
    if flipped:
        image = SimpleITK.Flip(image, (True, True, False))
    SimpleITK.WriteImage(image, str(tmp_path / f"copy{ending}"))
    copy = read_ct(tmp_path / f"copy{ending}")
    np.testing.assert_array_equal(copy.voxels_hu, ct.voxels_hu[:40])
    np.testing.assert_allclose(copy.grid.origin_xyz_mm, ct.grid.origin_xyz_mm, atol=1e-3)
    np.testing.assert_allclose(copy.grid.spacing_irc_mm, ct.grid.spacing_irc_mm, rtol=1e-6)


def test_lidc_comes_back_from_the_store(ct: CtVolume, tmp_path: Path) -> None:
    write_volume(ct, tmp_path / "a.zarr")
    stored = open_volume(tmp_path / "a.zarr")
    assert stored.grid == ct.grid
    np.testing.assert_array_equal(stored.read_all(), ct.voxels_hu)
    window = stored.read_window((50, 200, 100), (82, 248, 148))
    np.testing.assert_array_equal(window, ct.voxels_hu[50:82, 200:248, 100:148])


def test_lidc_without_one_slice_is_refused(lidc: Path, tmp_path: Path) -> None:
    files = source_files(lidc)
    for file in (*files[60:65], *files[66:70]):
        (tmp_path / file.name).symlink_to(file)
    with pytest.raises(SeriesError, match=r"2\.500 mm apart everywhere, got 5\.000 mm"):
        read_ct(tmp_path)


def test_lidc_folder_is_found_among_other_files(reference_data: Path) -> None:
    assert reference_data / "lidc" / "LIDC-IDRI-0003" in scans_in(reference_data / "lidc")


def test_foreign_compressed_metaimage_is_unpacked_and_refused_as_no_ct(
    reference_data: Path,
) -> None:
    scan = reference_data / "formats" / "test.mhd"
    assert [file.name for file in source_files(scan)] == ["test.mhd", "test.zraw"]
    with pytest.raises(HounsfieldError, match=r"must contain air .*got a range of \[0, 100\]"):
        read_ct(scan)


def test_foreign_nifti_with_flipped_axes_is_turned(reference_data: Path) -> None:
    scan = reference_data / "formats" / "example_ct_sm.nii.gz"
    ct = read_ct(scan)
    theirs = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(scan)), "LPS")
    assert ct.series_uid == "example_ct_sm"
    assert np.diag(np.asarray(ct.original_grid.direction)).tolist() == [-1, -1, 1]
    expected = np.clip(SimpleITK.GetArrayFromImage(theirs), -1000, 1000)
    np.testing.assert_array_equal(ct.voxels_hu, expected)
    np.testing.assert_allclose(ct.grid.origin_xyz_mm, theirs.GetOrigin())
    assert problems(ct.voxels_hu, ct.grid) == []


def test_foreign_nrrd_is_read_and_its_mask_refused(reference_data: Path) -> None:
    ct = read_ct(reference_data / "formats" / "ct-64.nrrd")
    assert ct.grid.shape_irc == (79, 64, 64)
    np.testing.assert_allclose(ct.grid.spacing_irc_mm, (3.98734, 4.17187, 4.17187), atol=1e-5)
    with pytest.raises(HounsfieldError, match="must contain air"):
        read_ct(reference_data / "formats" / "wholeLung-64.nrrd")
