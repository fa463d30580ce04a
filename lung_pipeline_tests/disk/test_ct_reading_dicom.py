# SPDX-License-Identifier: Apache-2.0
"""Folders of DICOM files, made from nothing: one whole CT series is read, all else is refused."""

from __future__ import annotations

import math
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
import whole_scans
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from lung_pipeline.ct import dicom_series
from lung_pipeline.ct.reading import read_ct, source_files
from lung_pipeline.errors import GeometryError, HounsfieldError, ReadingError, SeriesError

SHAPE_IRC = (6, 10, 8)
SERIES_UID = "1.2.826.0.1.3680043.8.498.1"
OTHER_UID = "1.2.826.0.1.3680043.8.498.2"


def values() -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(11).integers(-1000, 1001, SHAPE_IRC).astype(np.int16)


def dicom_slice(number: int) -> Dataset:
    """Slice ``number`` of a series from z = -300 mm to the head, stored with intercept -1024."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = CTImageStorage
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"{SERIES_UID}.{number + 1}"
    one.SeriesInstanceUID = SERIES_UID
    one.StudyInstanceUID = f"{SERIES_UID}.0"
    one.Modality = "CT"
    one.ImagePositionPatient = [-150.0, -140.5, -300.0 + 1.25 * number]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelSpacing = [0.75, 0.5]
    one.SliceThickness = 5.0  # wrong on purpose: it is not the distance between slices
    one.Rows, one.Columns = SHAPE_IRC[1:]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.RescaleIntercept, one.RescaleSlope = -1024, 1
    one.PixelData = (values()[number].astype(np.int32) + 1024).astype("<u2").tobytes()
    return one


def nothing(one: Dataset, number: int) -> None:
    """The series as it should be."""


def write_series(
    folder: Path, edit: Callable[[Dataset, int], None] = nothing, names: str = "012345"
) -> Path:
    """Write six slices, each changed by ``edit``, under a name for each."""
    folder.mkdir(exist_ok=True)
    for number in range(SHAPE_IRC[0]):
        one = dicom_slice(number)
        edit(one, number)
        one.save_as(folder / f"{names[number]}.dcm", enforce_file_format=True)
    return folder


def test_series_is_read_with_the_geometry_of_its_positions(tmp_path: Path) -> None:
    ct = read_ct(write_series(tmp_path / "s"))
    np.testing.assert_array_equal(ct.voxels_hu, values())
    assert ct.series_uid == SERIES_UID
    assert ct.grid == ct.original_grid
    assert ct.grid.spacing_irc_mm == (1.25, 0.75, 0.5)
    assert ct.grid.origin_xyz_mm == (-150.0, -140.5, -300.0)


@pytest.mark.parametrize("names", ["543210", "304152", "bacfed"])
def test_every_order_of_files_gives_the_same_volume(tmp_path: Path, names: str) -> None:
    expected = read_ct(write_series(tmp_path / "sorted"))
    found = read_ct(write_series(tmp_path / "other", names=names))
    np.testing.assert_array_equal(found.voxels_hu, expected.voxels_hu)
    assert (found.grid, found.source_sha256) == (expected.grid, expected.source_sha256)


def test_source_files_are_the_slices_along_the_normal(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", names="304152")
    (folder / "marks.xml").write_text("<no-slice/>")
    assert [file.stem for file in source_files(folder)] == list("304152")


def test_other_files_beside_the_slices_are_passed_over(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s")
    (folder / "072.xml").write_text("<LidcReadMessage/>")
    (folder / ".DS_Store").write_bytes(b"\0" * 200)
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM and no image")
    (folder / "empty.txt").touch()
    np.testing.assert_array_equal(read_ct(folder).voxels_hu, values())


@pytest.mark.parametrize("num_bytes", [0, 100])
@pytest.mark.parametrize("name", ["IM{}", "1.2.{}"])
def test_slice_that_a_broken_copy_left_is_no_other_file(
    tmp_path: Path, name: str, num_bytes: int
) -> None:
    """The last one leaves no gap, and without .dcm its name alone says what it was."""
    folder = write_series(tmp_path / "s")
    for path in folder.iterdir():
        path.rename(folder / name.format(path.stem))
    np.testing.assert_array_equal(read_ct(folder).voxels_hu, values())
    last = folder / name.format(5)
    last.write_bytes(last.read_bytes()[:num_bytes])
    with pytest.raises(ReadingError, match=f"{num_bytes} bytes without DICOM's mark") as caught:
        read_ct(folder)
    assert caught.value.place == str(last)


def test_series_of_a_folder_that_was_refused_are_told_but_for_scout_views(tmp_path: Path) -> None:
    def mixed(one: Dataset, number: int) -> None:
        if number == 0:
            one.Modality, one.SeriesInstanceUID = "PT", f"{SERIES_UID}.9"
        elif number == 1:
            one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            one.SeriesInstanceUID = f"{SERIES_UID}.8"
        elif number == 2:
            one.SeriesInstanceUID = OTHER_UID

    folder = write_series(tmp_path / "s", mixed)
    (folder / "marks.xml").write_text("<no-slice/>")
    assert dicom_series.series_uids_in(folder) == {SERIES_UID, OTHER_UID}
    for path in folder.glob("[2-5].dcm"):
        path.unlink()
    assert dicom_series.series_uids_in(folder) == set()
    for path in folder.glob("*.dcm"):
        path.write_bytes(b"")
    assert dicom_series.series_uids_in(folder) is None
    assert dicom_series.series_uids_in(tmp_path / "gone") is None


def test_frames_that_a_compressed_file_promises_are_given_no_room(tmp_path: Path) -> None:
    def promise(one: Dataset, number: int) -> None:
        one.compress(RLELossless, generate_instance_uid=False)
        one.NumberOfFrames = 50_000

    with pytest.raises(SeriesError, match="NumberOfFrames 50000"):
        read_ct(write_series(tmp_path / "s", promise))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such name")
@pytest.mark.parametrize("odd", ["folder", "slice"])
def test_name_that_is_no_text_is_refused_before_itk_ends_the_process(
    tmp_path: Path, odd: str
) -> None:
    folder, name = write_series(tmp_path / "s"), os.fsdecode(b"M\xfcller")
    if odd == "folder":
        folder = folder.rename(tmp_path / name)
    else:
        (folder / "3.dcm").rename(folder / f"{name}.dcm")
    with pytest.raises(ReadingError, match="must be UTF-8"):
        read_ct(folder)


def test_slices_without_the_ending_dcm_are_read(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s")
    for file in folder.iterdir():
        file.rename(file.with_suffix(""))
    np.testing.assert_array_equal(read_ct(folder).voxels_hu, values())


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless], ids=lambda s: s.name)
def test_other_transfer_syntaxes_are_read(tmp_path: Path, syntax: pydicom.uid.UID) -> None:
    def encode(one: Dataset, number: int) -> None:
        if syntax == RLELossless:
            one.compress(RLELossless, generate_instance_uid=False)
        else:
            one.file_meta.TransferSyntaxUID = syntax

    np.testing.assert_array_equal(read_ct(write_series(tmp_path / "s", encode)).voxels_hu, values())


def test_rescaling_of_each_slice_is_its_own(tmp_path: Path) -> None:
    def rescale(one: Dataset, number: int) -> None:
        if number % 2:
            one.RescaleSlope, one.RescaleIntercept = "0.5", "-1000"
            one.PixelData = ((values()[number].astype(np.int32) + 1000) * 2).astype("<u2").tobytes()

    np.testing.assert_array_equal(
        read_ct(write_series(tmp_path / "s", rescale)).voxels_hu, values()
    )


def test_padding_below_air_is_clipped(tmp_path: Path) -> None:
    def pad(one: Dataset, number: int) -> None:
        pixels = values()[number].astype("<i2")
        pixels[0, 0] = -2000
        one.PixelRepresentation, one.PixelPaddingValue = 1, -2000
        one.PixelData = pixels.tobytes()
        one.RescaleIntercept = 0

    assert (read_ct(write_series(tmp_path / "s", pad)).voxels_hu[:, 0, 0] == -1000).all()


def test_feet_first_and_prone_series_is_turned_to_the_canonical_order(tmp_path: Path) -> None:
    def prone(one: Dataset, number: int) -> None:
        one.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]

    ct = read_ct(write_series(tmp_path / "s", prone))
    np.testing.assert_array_equal(ct.voxels_hu, values()[:, ::-1, ::-1])
    # x: -150 - 7 * 0.5, y: -140.5 - 9 * 0.75
    assert ct.grid.origin_xyz_mm == (-153.5, -147.25, -300.0)
    assert ct.original_grid.origin_xyz_mm == (-150.0, -140.5, -300.0)


def test_oblique_series_along_its_normal_keeps_its_tilt(tmp_path: Path) -> None:
    def tilt(one: Dataset, number: int) -> None:
        one.ImageOrientationPatient = [1, 0, 0, 0, 0.8, 0.6]
        one.ImagePositionPatient = [0, -0.6 * 1.25 * number, 0.8 * 1.25 * number]

    ct = read_ct(write_series(tmp_path / "s", tilt))
    assert ct.grid.spacing_irc_mm[0] == pytest.approx(1.25)
    np.testing.assert_allclose(ct.grid.irc_to_xyz_mm([[5, 0, 0]]), [[0, -3.75, 5.0]], atol=1e-12)


def on_slice(number: int, **changes: Any) -> Callable[[Dataset, int], None]:
    """Change attributes of one slice."""

    def edit(one: Dataset, index: int) -> None:
        if index == number:
            for name, value in changes.items():
                setattr(one, name, value)

    return edit


def without(name: str) -> Callable[[Dataset, int], None]:
    return lambda one, index: delattr(one, name) if index == 2 else None


def gantry_tilt(one: Dataset, number: int) -> None:
    """As scanners write it: tilted slices stacked along the table."""
    tilt = math.radians(15)
    one.ImageOrientationPatient = [1, 0, 0, 0, round(math.cos(tilt), 6), round(math.sin(tilt), 6)]


PIXELS = values()[2].astype("<i2").tobytes()
EDITS: list[tuple[str, Callable[[Dataset, int], None], type[Exception], str]] = [
    (
        "another series among them",
        on_slice(2, SeriesInstanceUID=OTHER_UID),
        SeriesError,
        rf"got {SERIES_UID} \(5 files\), {OTHER_UID} \(1 files\)",
    ),
    ("not a CT", on_slice(2, Modality="MR"), SeriesError, "must be a CT slice, got modality MR"),
    (
        "a doubled position",
        on_slice(2, ImagePositionPatient=[-150.0, -140.5, -298.75]),
        SeriesError,
        r"1\.dcm and 2\.dcm both at -298\.75 mm",
    ),
    (
        "shifted along",
        on_slice(2, ImagePositionPatient=[-150.0, -140.5, -297.2]),
        SeriesError,
        "must lie 1.250 mm apart everywhere",
    ),
    (
        "shifted sideways",
        on_slice(2, ImagePositionPatient=[-140.0, -140.5, -297.5]),
        SeriesError,
        r"2\.dcm shifted sideways by 10\.00 mm",
    ),
    (
        "otherwise oriented",
        on_slice(2, ImageOrientationPatient=[0, 1, 0, 0, 0, 1]),
        SeriesError,
        r"2\.dcm: ImageOrientationPatient must be",
    ),
    ("other pixels", on_slice(2, PixelSpacing=[0.7, 0.5]), SeriesError, r"2\.dcm: PixelSpacing"),
    (
        "another size",
        on_slice(2, Rows=8, PixelData=PIXELS[: 8 * 8 * 2]),
        SeriesError,
        r"2\.dcm: size \(rows, columns\) must be that of the other slices, \(10\.0, 8\.0\)",
    ),
    ("fewer pixels than rows", on_slice(2, PixelData=PIXELS[:-16]), ReadingError, "fill 160 bytes"),
    ("more pixels than rows", on_slice(2, PixelData=PIXELS * 2), ReadingError, "fill 160 bytes"),
    (
        "two frames",
        on_slice(2, NumberOfFrames=2, PixelData=PIXELS * 2),
        SeriesError,
        "must be a CT slice, got NumberOfFrames 2",
    ),
    (
        "a negative",
        on_slice(2, PhotometricInterpretation="MONOCHROME1"),
        SeriesError,
        "got PhotometricInterpretation MONOCHROME1",
    ),
    ("no pixels", without("PixelData"), ReadingError, r"2\.dcm"),
    ("no position", without("ImagePositionPatient"), SeriesError, "ImagePositionPatient"),
    ("no orientation", without("ImageOrientationPatient"), SeriesError, "ImageOrientationPatient"),
    ("no spacing", without("PixelSpacing"), SeriesError, "PixelSpacing"),
    ("no series", without("SeriesInstanceUID"), SeriesError, "SeriesInstanceUID"),
    ("no modality", without("Modality"), SeriesError, "Modality"),
    ("gantry tilt", gantry_tilt, SeriesError, r"a tilt of 15\.00 degrees"),
    (
        "axes not at right angles",
        lambda one, _: setattr(one, "ImageOrientationPatient", [1, 0, 0, 0.1, 0.995, 0]),
        GeometryError,
        "orthonormal",
    ),
    (
        "zero spacing",
        lambda one, _: setattr(one, "PixelSpacing", [0, 0.5]),
        GeometryError,
        "spacing must be positive",
    ),
    (
        "rescaling forgotten",
        lambda one, _: delattr(one, "RescaleIntercept"),
        HounsfieldError,
        r"0\.dcm: RescaleIntercept \(0028\|1052\) must be given",
    ),
    ("no slope", without("RescaleSlope"), HounsfieldError, r"2\.dcm: RescaleSlope"),
    (
        "a slope of zero",
        on_slice(2, RescaleSlope=0),
        HounsfieldError,
        "must be positive, got 0",
    ),
    (
        "rescaled to electron densities",
        on_slice(2, RescaleType="ED"),
        HounsfieldError,
        r"RescaleType \(0028\|1054\) must be HU where given, got 'ED'",
    ),
    (
        "stored values under a wrong intercept",
        lambda one, _: setattr(one, "RescaleIntercept", 0),
        HounsfieldError,
        r"must contain air \(below -500 HU\), got a range of \[\d+, 20\d\d\]",
    ),
    (
        "a localiser",
        on_slice(2, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        SeriesError,
        r"2\.dcm: .* got a localiser, ImageType ORIGINAL\\PRIMARY\\LOCALIZER",
    ),
    (
        "a screenshot",
        on_slice(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
        SeriesError,
        r"must be a CT slice, got SOPClassUID 1\.2\.840\.10008\.5\.1\.4\.1\.1\.7",
    ),
    ("two thicknesses", on_slice(2, SliceThickness=[1.0, 2.0]), SeriesError, "SliceThickness"),
]


@pytest.mark.parametrize(
    ("edit", "kind", "rule"), [e[1:] for e in EDITS], ids=[e[0] for e in EDITS]
)
def test_series_with_a_flaw_is_refused(
    tmp_path: Path,
    edit: Callable[[Dataset, int], None],
    kind: type[Exception],
    rule: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = write_series(tmp_path / "s", edit)
    with pytest.raises(kind, match=rule) as caught:
        read_ct(folder)
    assert str(folder) in str(caught.value)
    assert capfd.readouterr() == ("", ""), "GDCM's own complaints do not reach the terminal"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_missing_slice_is_told_with_its_neighbours(tmp_path: Path, number: int) -> None:
    folder = write_series(tmp_path / "s")
    (folder / f"{number}.dcm").unlink()
    with pytest.raises(SeriesError) as caught:
        read_ct(folder)
    below, above = number - 1, number + 1
    assert caught.value.value == (
        f"2.500 mm (1 missing) between {below}.dcm at {-300 + 1.25 * below:.2f} mm and "
        f"{above}.dcm at {-300 + 1.25 * above:.2f} mm along the normal"
    )


def test_doubled_file_is_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s")
    (folder / "copy.dcm").write_bytes((folder / "3.dcm").read_bytes())
    with pytest.raises(SeriesError, match="no two slices may lie at one position"):
        read_ct(folder)


@pytest.mark.parametrize("kept", [0, 100, 140, 400, -1, -30])
def test_truncated_file_is_refused_by_its_name(tmp_path: Path, kept: int) -> None:
    folder = write_series(tmp_path / "s")
    content = (folder / "5.dcm").read_bytes()
    (folder / "5.dcm").write_bytes(content[:kept])
    with pytest.raises(ReadingError) as caught:
        read_ct(folder)
    assert caught.value.place == str(folder / "5.dcm")


def test_truncated_compressed_pixels_are_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s", lambda one, _: one.compress(RLELossless))
    content = (folder / "2.dcm").read_bytes()
    (folder / "2.dcm").write_bytes(content[:-40])
    with pytest.raises(ReadingError) as caught:
        read_ct(folder)
    assert caught.value.place == str(folder / "2.dcm")


def test_colour_slices_are_refused(tmp_path: Path) -> None:
    def colour(one: Dataset, number: int) -> None:
        one.SamplesPerPixel, one.PhotometricInterpretation = 3, "RGB"
        one.PlanarConfiguration = 0
        one.BitsAllocated, one.BitsStored, one.HighBit = 8, 8, 7
        one.PixelData = bytes(SHAPE_IRC[1] * SHAPE_IRC[2] * 3)

    with pytest.raises(SeriesError, match="got SamplesPerPixel 3"):
        read_ct(write_series(tmp_path / "s", colour))


def test_thickness_of_the_slices_is_the_largest_that_is_given(tmp_path: Path) -> None:
    thicknesses = {0: "", 1: 0, 2: 2.5, 3: 1.25}

    def thicken(one: Dataset, number: int) -> None:
        one.SliceThickness = thicknesses.get(number)

    assert read_ct(write_series(tmp_path / "s", thicken)).slice_thickness_mm == 2.5
    silent = write_series(tmp_path / "t", lambda one, _: setattr(one, "SliceThickness", 0))
    assert read_ct(silent).slice_thickness_mm is None


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_pixels_of_another_program_are_read(tmp_path: Path, compressor: str) -> None:
    def encode(one: Dataset, number: int) -> None:
        stored = np.frombuffer(one.PixelData, "<u2").reshape(1, *SHAPE_IRC[1:])
        writer = SimpleITK.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(tmp_path / "one.dcm"))
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(SimpleITK.GetImageFromArray(stored))
        encoded = pydicom.dcmread(tmp_path / "one.dcm")
        assert encoded.file_meta.TransferSyntaxUID.is_compressed
        one.file_meta.TransferSyntaxUID = encoded.file_meta.TransferSyntaxUID
        one["PixelData"] = encoded["PixelData"]

    np.testing.assert_array_equal(read_ct(write_series(tmp_path / "s", encode)).voxels_hu, values())


def with_syntax(file: Path, uid: str) -> None:
    """Say another transfer syntax than the pixels have, as a broken gateway does."""
    old, new = b"UI\x14\x001.2.840.10008.1.2.1\0", uid.encode() + b"\0" * (len(uid) % 2)
    content = file.read_bytes()
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, b"UI" + len(new).to_bytes(2, "little") + new))


@pytest.mark.parametrize(
    ("uid", "told"),
    [
        ("1.2.840.10008.1.2.4.201", r"High-Throughput JPEG 2000 Lossless \(1\.2\.840.*\.201\)"),
        ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile"),
        ("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"),
        ("1.2.840.10008.1.2.2", "Explicit VR Big Endian"),
        ("1.2.3", r"an unknown one \(1\.2\.3\)"),
        ("", "none named"),
    ],
)
def test_transfer_syntax_that_is_not_read_is_named(tmp_path: Path, uid: str, told: str) -> None:
    folder = write_series(tmp_path / "s")
    with_syntax(folder / "3.dcm", uid)
    with pytest.raises(ReadingError, match=f"transfer syntax .* got {told}") as caught:
        read_ct(folder)
    assert caught.value.place == str(folder / "3.dcm")
    assert "Export the series again, uncompressed" in caught.value.cure


def test_file_too_large_for_one_slice_is_not_read_at_all(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s")
    with (folder / "3.dcm").open("r+b") as file:
        file.truncate((1 << 27) + 1)
    with pytest.raises(ReadingError, match="a file of one slice must have at most"):
        read_ct(folder)


def test_compressed_slice_that_promises_gigabytes_is_refused_undecoded(tmp_path: Path) -> None:
    def promise(one: Dataset, number: int) -> None:
        one.compress(RLELossless)
        one.Rows = one.Columns = 60000

    with pytest.raises(ReadingError, match="a slice must fill 1 to 67108864 bytes, got 7200000000"):
        read_ct(write_series(tmp_path / "s", promise))


def test_series_larger_than_any_ct_is_refused_by_its_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_series(tmp_path / "s")
    monkeypatch.setattr(dicom_series, "MOST_VOLUME_BYTES", 6 * 10 * 8 * 2)
    read_ct(folder)
    monkeypatch.setattr(dicom_series, "MOST_VOLUME_BYTES", 6 * 10 * 8 * 2 - 1)
    with pytest.raises(SeriesError, match="a volume must fill at most 959 bytes"):
        read_ct(folder)


def test_folder_of_more_files_than_any_series_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_series, "MOST_SLICES", 5)
    with pytest.raises(SeriesError, match="at most 5 slices, got 6 files"):
        read_ct(write_series(tmp_path / "s"))


def test_pixels_are_read_without_a_second_volume_beside_theirs(tmp_path: Path) -> None:
    folder = whole_scans.write_dicom(tmp_path / "s")
    series = dicom_series.read_series(folder)
    dicom_series.read_values(series, folder)  # what imports cost is not asked
    tracemalloc.start()
    try:
        voxels_hu = dicom_series.read_values(series, folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(voxels_hu, whole_scans.chest_hu())
    # A few slices of 32 bits are at work; as one volume they would make it threefold.
    assert voxels_hu.nbytes < peak < 1.9 * voxels_hu.nbytes


def test_itk_s_switch_for_warnings_is_put_back_by_many_threads(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "s")
    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    for _ in range(10):
        read_ct(folder)
        assert SimpleITK.ProcessObject.GetGlobalWarningDisplay() == before
