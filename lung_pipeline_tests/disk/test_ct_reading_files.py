# SPDX-License-Identifier: Apache-2.0
"""Scans in one file (or a header and its voxels): read whole, or refused by name."""

from __future__ import annotations

import gzip
import os
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from lung_pipeline.ct import dicom_series
from lung_pipeline.ct.reading import read_ct, read_grid, scans_in, sha256_of, source_files
from lung_pipeline.errors import (
    GeometryError,
    HounsfieldError,
    LungPipelineError,
    ReadingError,
    SeriesError,
)

SHAPE_IRC = (9, 14, 11)
SPACING_XYZ_MM = (0.5, 0.75, 2.5)
ORIGIN_XYZ_MM = (-120.0, -80.5, 33.25)
TILT = (1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8)
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ENDINGS = ["plain.mhd", "packed.mhd", "plain.mha", "packed.mha", "a.nii", "a.nii.gz"]
ENDINGS += ["plain.nrrd", "packed.nrrd"]


def values() -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(7).integers(-1000, 1001, SHAPE_IRC).astype(np.int16)


def written(folder: Path, name: str, direction: tuple[float, ...] = TILT, **other: Any) -> Path:
    """A well scan by ITK; ``packed`` in the name asks for compression."""
    image = other.get("image") or SimpleITK.GetImageFromArray(other.get("values", values()))
    if image.GetDimension() == 3:
        image.SetSpacing(SPACING_XYZ_MM)
        image.SetOrigin(ORIGIN_XYZ_MM)
        image.SetDirection(direction)
    SimpleITK.WriteImage(image, str(folder / name), "packed" in name or name.endswith("gz"))
    return folder / name


def voxel_file(scan: Path) -> Path:
    return source_files(scan)[-1]


@pytest.mark.parametrize("name", ENDINGS)
def test_scan_of_each_format_is_read_with_its_geometry(tmp_path: Path, name: str) -> None:
    ct = read_ct(written(tmp_path, name))
    np.testing.assert_array_equal(ct.voxels_hu, values())
    assert ct.series_uid == name.partition(".")[0]
    assert ct.grid == ct.original_grid
    assert ct.grid.shape_irc == SHAPE_IRC
    # NIfTI keeps its numbers in single precision.
    np.testing.assert_allclose(ct.grid.spacing_irc_mm, SPACING_XYZ_MM[::-1], rtol=1e-6)
    np.testing.assert_allclose(ct.grid.origin_xyz_mm, ORIGIN_XYZ_MM, rtol=1e-6)
    np.testing.assert_allclose(np.ravel(ct.grid.direction), TILT, atol=1e-6)


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize(
    "direction",
    [(-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0), (0, 0, 1.0, 1.0, 0, 0, 0, -1.0, 0)],
    ids=["flipped", "sagittal"],
)
def test_other_order_of_axes_is_turned_and_every_voxel_stays_in_place(
    tmp_path: Path, name: str, direction: tuple[float, ...]
) -> None:
    ct = read_ct(written(tmp_path, name, direction))
    np.testing.assert_allclose(ct.grid.direction, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(np.ravel(ct.original_grid.direction), direction, atol=1e-6)
    voxels_irc = np.argwhere(np.ones(SHAPE_IRC, dtype=bool))
    turned_irc = ct.grid.voxel_of(ct.original_grid.irc_to_xyz_mm(voxels_irc))
    np.testing.assert_array_equal(ct.voxels_hu[tuple(turned_irc.T)], values()[tuple(voxels_irc.T)])


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_header_may_name_its_voxels_in_either_encoding(tmp_path: Path, encoding: str) -> None:
    scan = written(tmp_path, "a.mhd")
    (tmp_path / "a.raw").rename(tmp_path / "Müller.raw")
    named = scan.read_text().replace("a.raw", "Müller.raw")
    scan.write_bytes(named.encode(encoding))
    assert source_files(scan) == (scan, tmp_path / "Müller.raw")
    np.testing.assert_array_equal(read_ct(scan).voxels_hu, values())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such name")
@pytest.mark.parametrize("place", ["odd/a", "odd", "odd/odd"])
@pytest.mark.parametrize("ending", ["mhd", "nii", "nrrd"])
def test_name_that_is_no_text_is_refused_in_text(tmp_path: Path, place: str, ending: str) -> None:
    """As from an archive packed on a system of Latin-1; given it, ITK ends the process."""
    scan = tmp_path / f"{place}.{ending}".replace("odd", os.fsdecode(b"M\xfcller"))
    scan.parent.mkdir(exist_ok=True)
    written(tmp_path, f"a.{ending}").rename(scan)
    for read in (read_ct, read_grid, source_files):
        with pytest.raises(ReadingError, match="must be UTF-8") as caught:
            read(scan)
        # What is told can be written anywhere.
        assert r"M\udcfcller" in caught.value.place
        f"{caught.value} {caught.value.place} {caught.value.value}".encode()


@pytest.mark.parametrize("kind", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.mhd", "a.nrrd"])
def test_file_stands_once_in_memory_while_it_is_read(
    tmp_path: Path, name: str, kind: type[Any]
) -> None:
    """Beside ITK's own memory, which is not counted here, there is the volume in 16 bits alone."""
    wide = np.random.default_rng(2).integers(-1000, 1001, (40, 128, 128)).astype(kind)
    scan = written(tmp_path, name, direction=UPRIGHT, values=wide)
    read_ct(scan)
    tracemalloc.start()
    try:
        voxels_hu = read_ct(scan).voxels_hu
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(voxels_hu, wide)
    assert peak < 2 * voxels_hu.nbytes + 2_000_000


def test_fingerprint_is_that_of_header_and_voxels_together(tmp_path: Path) -> None:
    scan = written(tmp_path, "a.mhd")
    assert source_files(scan) == (scan, tmp_path / "a.raw")
    before = read_ct(scan).source_sha256
    assert before == sha256_of(source_files(scan))
    voxels = (tmp_path / "a.raw").read_bytes()
    (tmp_path / "a.raw").write_bytes(voxels[:-2] + b"\0\0")
    changed_voxels = read_ct(scan).source_sha256
    scan.write_text(scan.read_text().replace("33.25", "33.5"))
    assert len({before, changed_voxels, read_ct(scan).source_sha256}) == 3


@pytest.mark.parametrize("shown", [True, False])
def test_itk_s_own_warnings_are_shown_afterwards_as_they_were_before(
    tmp_path: Path, shown: bool
) -> None:
    well, damaged = written(tmp_path, "a.mhd"), written(tmp_path, "b.nrrd")
    damaged.write_bytes(damaged.read_bytes().replace(b"encoding:", b"no-such: field\nencoding:"))
    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    try:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(shown)
        read_ct(well)
        with pytest.raises(ReadingError, match="from ITK"):
            read_ct(damaged)
        assert SimpleITK.ProcessObject.GetGlobalWarningDisplay() == shown
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(before)


def test_slope_of_nifti_is_applied(tmp_path: Path) -> None:
    scan = written(tmp_path, "a.nii", values=(values() // 2 * 2 + 1000).astype(np.int16))
    patch(scan, lambda b: struct.pack_into("<ff", b, 112, 0.5, -1000.0))
    expected = np.round((values() // 2 * 2 + 1000) * 0.5 - 1000)
    np.testing.assert_array_equal(read_ct(scan).voxels_hu, expected)


def test_nifti_with_a_fourth_axis_of_one_is_read(tmp_path: Path) -> None:
    scan = written(tmp_path, "a.nii")
    patch(scan, lambda b: struct.pack_into("<8h", b, 40, 4, *SHAPE_IRC[::-1], 1, 1, 1, 1))
    np.testing.assert_array_equal(read_ct(scan).voxels_hu, values())


def patch(file: Path, edit: Callable[[bytearray], object]) -> None:
    content = bytearray(file.read_bytes())
    edit(content)
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda b: b[: len(b) * 3 // 5],
    "without the last byte": lambda b: b[:-1],
    "longer": lambda b: b + b"\x01" * 64,
    "empty": lambda b: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ENDINGS)
def test_damaged_voxels_are_refused(
    tmp_path: Path, name: str, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    scan = written(tmp_path, name)
    file = voxel_file(scan)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with pytest.raises(ReadingError) as caught:
        read_ct(scan)
    assert caught.value.place == str(file)
    assert capfd.readouterr() == ("", ""), "ITK's own complaints do not reach the terminal"


@pytest.mark.parametrize("name", [n for n in ENDINGS if "packed" in n or n.endswith("gz")])
def test_flipped_bits_in_a_compressed_stream_are_refused(tmp_path: Path, name: str) -> None:
    scan = written(tmp_path, name)

    def flip(content: bytearray) -> None:
        content[len(content) * 2 // 3] ^= 0xFF

    patch(voxel_file(scan), flip)
    with pytest.raises(ReadingError):
        read_ct(scan)


def test_scan_larger_than_any_ct_is_refused_though_header_and_voxels_agree(tmp_path: Path) -> None:
    scan = written(tmp_path, "a.mhd")
    voxels = voxel_file(scan)
    rewrite(scan, "DimSize", "DimSize = 1024 1024 600")
    with voxels.open("r+b") as file:
        file.truncate(1024 * 1024 * 600 * 2)
    with pytest.raises(ReadingError, match="must fill at most 1073741824 bytes"):
        read_ct(scan)


@pytest.mark.parametrize("extra", [-100, 100])
def test_compressed_voxels_of_another_length_are_refused(tmp_path: Path, extra: int) -> None:
    voxels = values().tobytes()
    resized = voxels[:extra] if extra < 0 else voxels + bytes(extra)
    scan = written(tmp_path, "packed.mhd")
    packed = zlib.compress(resized)
    voxel_file(scan).write_bytes(packed)
    rewrite(scan, "CompressedDataSize", f"CompressedDataSize = {len(packed)}")
    with pytest.raises(ReadingError, match=f"must fill {len(voxels)} bytes"):
        read_ct(scan)
    nifti = written(tmp_path, "a.nii.gz")
    inner = gzip.decompress(nifti.read_bytes())
    nifti.write_bytes(gzip.compress(inner[:extra] if extra < 0 else inner + bytes(extra)))
    with pytest.raises(ReadingError, match=f"must fill {len(voxels) + 352} bytes"):
        read_ct(nifti)


def rewrite(header: Path, key: str, *lines: str) -> None:
    """Replace a header's line by others (none: leave it out)."""
    kept: list[str] = []
    for line in header.read_text().splitlines():
        kept.extend(lines if line.split(" =")[0] == key else [line])
    header.write_text("\n".join(kept) + "\n")


SLICES, ROWS, COLUMNS = SHAPE_IRC
TYPE = "ElementType = MET_SHORT"
LIES: list[tuple[str, str, tuple[str, ...], type[LungPipelineError], str]] = [
    ("fewer slices", "DimSize", ("DimSize = 11 14 8",), ReadingError, "must fill 2464 bytes"),
    ("more slices", "DimSize", ("DimSize = 11 14 10",), ReadingError, "must fill 3080 bytes"),
    ("gigantic", "DimSize", ("DimSize = 65000 65000 65000",), ReadingError, "must fill"),
    ("no slices", "DimSize", ("DimSize = 11 14 0",), ReadingError, "at least one voxel"),
    ("negative size", "DimSize", ("DimSize = 11 14 -9",), ReadingError, "at least one voxel"),
    ("two sizes", "DimSize", ("DimSize = 11 126",), ReadingError, "three dimensions"),
    ("size in words", "DimSize", ("DimSize = 11 14 nine",), ReadingError, "must be numbers"),
    ("size not whole", "DimSize", ("DimSize = 11 14 9.5",), ReadingError, "whole numbers"),
    ("size not finite", "DimSize", ("DimSize = 11 14 inf",), ReadingError, "whole numbers"),
    ("no size", "DimSize", (), ReadingError, "DimSize must be given"),
    ("wider type", "ElementType", ("ElementType = MET_FLOAT",), ReadingError, "must fill 5544"),
    ("narrower type", "ElementType", ("ElementType = MET_UCHAR",), ReadingError, "must fill 1386"),
    ("unsigned", "ElementType", ("ElementType = MET_USHORT",), HounsfieldError, "16 bits|air"),
    ("unknown type", "ElementType", ("ElementType = MET_FOO",), ReadingError, "must be one of"),
    (
        "two channels",
        "ElementType",
        ("ElementNumberOfChannels = 2", TYPE),
        ReadingError,
        "ElementNumberOfChannels must be 1, got 2",
    ),
    ("two dimensions", "NDims", ("NDims = 2",), ReadingError, "NDims must be 3, got 2"),
    ("four dimensions", "NDims", ("NDims = 4",), ReadingError, "NDims must be 3, got 4"),
    ("as text", "BinaryData", ("BinaryData = False",), ReadingError, "BinaryData must be True"),
    ("a preface", "ElementType", ("HeaderSize = 8", TYPE), ReadingError, "HeaderSize must be 0"),
    (
        "a scaling",
        "ElementType",
        ("ElementToIntensityFunctionSlope = 2", TYPE),
        ReadingError,
        "Slope must be 1",
    ),
    ("said compressed", "CompressedData", ("CompressedData = True",), ReadingError, "unpack"),
    ("no spacing", "ElementSpacing", (), ReadingError, "ElementSpacing must be given"),
    (
        "negative spacing",
        "ElementSpacing",
        ("ElementSpacing = 1 1 -1",),
        ReadingError,
        "positive",
    ),
    ("zero spacing", "ElementSpacing", ("ElementSpacing = 1 0 1",), ReadingError, "positive"),
    ("nan spacing", "ElementSpacing", ("ElementSpacing = 1 1 nan",), ReadingError, "positive"),
    (
        "skewed",
        "TransformMatrix",
        ("TransformMatrix = 1 0 0 0 1 0 0 0.3 1",),
        GeometryError,
        "orthonormal",
    ),
    ("nowhere", "Offset", ("Offset = 0 nan 0",), ReadingError, "Offset must be 3 finite numbers"),
    ("absent voxels", "ElementDataFile", ("ElementDataFile = b.raw",), ReadingError, "beside it"),
    ("no voxels named", "ElementDataFile", (), ReadingError, "end with ElementDataFile"),
    ("voxels nowhere", "ElementDataFile", ("ElementDataFile =",), ReadingError, "plain name"),
    ("a list", "ElementDataFile", ("ElementDataFile = LIST", "a.raw"), ReadingError, "plain name"),
    ("a pattern", "ElementDataFile", ("ElementDataFile = a%d.raw 1 9 1",), ReadingError, "plain"),
    ("upward", "ElementDataFile", ("ElementDataFile = ../in/a.raw",), ReadingError, "plain name"),
    ("inside", "ElementDataFile", ("ElementDataFile = LOCAL",), ReadingError, "LOCAL in an .mha"),
]


@pytest.mark.parametrize(
    ("key", "lines", "kind", "rule"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES]
)
def test_header_that_lies_is_refused(
    tmp_path: Path, key: str, lines: tuple[str, ...], kind: type[LungPipelineError], rule: str
) -> None:
    (tmp_path / "in").mkdir()
    scan = written(tmp_path / "in", "a.mhd")
    rewrite(scan, key, *lines)
    with pytest.raises(kind, match=rule) as caught:
        read_ct(scan)
    assert str(scan.parent) in caught.value.place
    assert caught.value.cure


def test_absolute_name_of_the_voxels_is_refused(tmp_path: Path) -> None:
    scan = written(tmp_path, "a.mhd")
    rewrite(scan, "ElementDataFile", f"ElementDataFile = {tmp_path / 'a.raw'}")
    with pytest.raises(ReadingError, match="must be the plain name of one file"):
        read_ct(scan)


def test_header_that_lies_about_the_compressed_size_is_refused(tmp_path: Path) -> None:
    scan = written(tmp_path, "packed.mhd")
    rewrite(scan, "CompressedDataSize", "CompressedDataSize = 100")
    with pytest.raises(ReadingError, match="must fill 100 bytes, as CompressedDataSize says"):
        read_ct(scan)


def test_compressed_size_may_be_left_out(tmp_path: Path) -> None:
    scan = written(tmp_path, "packed.mhd")
    rewrite(scan, "CompressedDataSize")
    np.testing.assert_array_equal(read_ct(scan).voxels_hu, values())


@pytest.mark.parametrize("kept", [0, 20, 1000, -1])
def test_compressed_stream_that_breaks_off_is_refused_though_no_size_is_given(
    tmp_path: Path, kept: int
) -> None:
    scan = written(tmp_path, "packed.mhd")
    rewrite(scan, "CompressedDataSize")
    content = (tmp_path / "packed.zraw").read_bytes()
    (tmp_path / "packed.zraw").write_bytes(content[:kept])
    with pytest.raises(ReadingError, match=r"must unpack to their end.*breaks off"):
        read_ct(scan)


def put(form: str, offset: int, *numbers: float) -> Callable[[bytearray], object]:
    return lambda content: struct.pack_into(form, content, offset, *numbers)


def cut(length: int) -> Callable[[bytearray], object]:
    def edit(content: bytearray) -> None:
        del content[length:]

    return edit


NIFTI: list[tuple[str, Callable[[bytearray], object], type[LungPipelineError], str]] = [
    ("fewer slices", put("<h", 46, 8), ReadingError, "must fill 2816 bytes"),
    ("more slices", put("<h", 46, 10), ReadingError, "must fill 3432 bytes"),
    ("negative size", put("<h", 46, -9), ReadingError, "at least one voxel"),
    ("two dimensions", put("<h", 40, 2), ReadingError, "three dimensions"),
    ("four dimensions", put("<6h", 40, 4, 11, 14, 3, 3, 1), ReadingError, "three dimensions"),
    ("ninety dimensions", put("<h", 40, 90), ReadingError, "number of dimensions"),
    ("a vector a voxel", put("<6h", 40, 5, 11, 14, 3, 1, 3), ReadingError, "three dimensions"),
    ("colours", put("<hh", 70, 128, 24), ReadingError, "one whole or floating number"),
    ("complex", put("<hh", 70, 32, 64), ReadingError, "one whole or floating number"),
    ("type unlike its bits", put("<hh", 70, 16, 16), ReadingError, "one whole or floating"),
    ("wider type", put("<hh", 70, 16, 32), ReadingError, "must fill 5896 bytes"),
    ("voxels in the header", put("<f", 108, 0.0), ReadingError, "vox_offset"),
    ("voxels nowhere", put("<f", 108, float("nan")), ReadingError, "vox_offset"),
    ("a pair's magic", lambda b: b.__setitem__(slice(344, 348), b"ni1\0"), ReadingError, "magic"),
    ("not NIfTI", put("<i", 0, 12345), ReadingError, "magic"),
    ("half a header", cut(200), ReadingError, "348 bytes"),
    ("no orientation", put("<hh", 252, 0, 0), GeometryError, "must say how its voxels lie"),
    ("skewed sform", put("<2f", 284, -0.4, 0.5), GeometryError, "right angles|as long as"),
    ("slightly skewed sform", put("<f", 284, -0.003), GeometryError, "right angles"),
    ("empty sform", put("<12f", 280, *[0.0] * 12), GeometryError, "as long as"),
    ("sform of another spacing", put("<f", 280, -0.6), GeometryError, "as long as the spacings"),
    ("mirrored sform", put("<f", 280, 0.5), GeometryError, "must say the same"),
    ("sform elsewhere", put("<f", 292, 7.0), GeometryError, "must say the same"),
    ("zero spacing", put("<3f", 80, 0.0, 0.0, 0.0), GeometryError, "three positive spacings"),
    ("negative spacing", put("<f", 80, -0.5), GeometryError, "three positive spacings"),
    ("nan spacing", put("<f", 84, float("nan")), GeometryError, "three positive spacings"),
]


@pytest.mark.parametrize(
    ("edit", "kind", "rule"), [n[1:] for n in NIFTI], ids=[n[0] for n in NIFTI]
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_header_that_lies_is_refused(
    tmp_path: Path,
    name: str,
    edit: Callable[[bytearray], object],
    kind: type[LungPipelineError],
    rule: str,
) -> None:
    plain = written(tmp_path, "a.nii", direction=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    patch(plain, edit)
    scan = tmp_path / name
    if name.endswith(".gz"):
        scan.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(kind, match=rule) as caught:
        read_ct(scan)
    assert str(scan) in caught.value.place


NRRD: list[tuple[str, bytes, bytes, type[LungPipelineError], str]] = [
    ("fewer slices", b"sizes: 11 14 9", b"sizes: 11 14 8", ReadingError, "must fill 2464 bytes"),
    ("more slices", b"sizes: 11 14 9", b"sizes: 11 14 10", ReadingError, "must fill 3080 bytes"),
    ("two sizes", b"sizes: 11 14 9", b"sizes: 11 126", ReadingError, "three dimensions"),
    ("size in words", b"sizes: 11 14 9", b"sizes: 11 14 x", ReadingError, "whole numbers"),
    ("four dimensions", b"dimension: 3", b"dimension: 4", ReadingError, "'dimension' must be 3"),
    ("wider type", b"type: short", b"type: float", ReadingError, "must fill 5544 bytes"),
    ("unknown type", b"type: short", b"type: block", ReadingError, "'type' must be one of"),
    ("as text", b"encoding: raw", b"encoding: text", ReadingError, "'encoding' must be one of"),
    ("elsewhere", b"encoding:", b"data file: a.raw\nencoding:", ReadingError, "same file"),
    ("a preface", b"encoding:", b"byte skip: -1\nencoding:", ReadingError, "'byte skip' must be 0"),
    ("no space", b"space: left-posterior-superior\n", b"", GeometryError, "how its three axes lie"),
    ("scanner space", b"left-posterior-superior", b"scanner-xyz", GeometryError, "three axes lie"),
    ("axis without direction", b"(0,0,2.5)", b"none", GeometryError, "three axes lie"),
    ("skewed", b"(0,0,2.5)", b"(0,0.5,2.5)", GeometryError, "orthonormal"),
    ("flat", b"(0,0,2.5)", b"(0,0,0)", LungPipelineError, "spacing|direction|Spacing"),
    ("not NRRD", b"NRRD", b"DRRN", ReadingError, "must begin with"),
    ("endless header", b"\n\n", b"\nx\n", ReadingError, "end with an empty line"),
]


@pytest.mark.parametrize(
    ("old", "new", "kind", "rule"), [n[1:] for n in NRRD], ids=[n[0] for n in NRRD]
)
def test_nrrd_header_that_lies_is_refused(
    tmp_path: Path, old: bytes, new: bytes, kind: type[LungPipelineError], rule: str
) -> None:
    air = np.full(SHAPE_IRC, -1000, np.int16)  # its bytes hold no line's end
    scan = written(tmp_path, "a.nrrd", (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0), values=air)
    content = scan.read_bytes()
    assert old in content
    scan.write_bytes(content.replace(old, new, 1))
    with pytest.raises(kind, match=rule) as caught:
        read_ct(scan)
    assert str(scan) in caught.value.place


@pytest.mark.parametrize("name", ["a.mhd", "a.mha", "a.nii", "a.nii.gz", "a.nrrd"])
@pytest.mark.parametrize("content", ["picture", "time series", "vectors"])
def test_other_than_three_dimensions_of_single_numbers_is_refused(
    tmp_path: Path, name: str, content: str
) -> None:
    rng = np.random.default_rng(3)
    shape = {"picture": (12, 13), "time series": (2, 9, 12, 13), "vectors": (9, 12, 13, 2)}
    array = rng.integers(-1000, 1000, shape[content]).astype(np.int16)
    if content == "time series":
        series = [SimpleITK.GetImageFromArray(volume) for volume in array]
        image = SimpleITK.JoinSeries(series)
    else:
        image = SimpleITK.GetImageFromArray(array, isVector=content == "vectors")
    with pytest.raises(ReadingError):
        read_ct(written(tmp_path, name, image=image, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6], ids=str)
@pytest.mark.parametrize("name", ["a.mhd", "a.nii.gz", "a.nrrd"])
def test_values_that_are_no_hu_are_refused_with_the_file(
    tmp_path: Path, name: str, bad: float
) -> None:
    array = values().astype(np.float32)
    array[4, 4, 4] = bad
    scan = written(tmp_path, name, values=array)
    with pytest.raises(HounsfieldError) as caught:
        read_ct(scan)
    assert caught.value.place == str(scan)


def test_mask_is_refused(tmp_path: Path) -> None:
    scan = written(tmp_path, "mask.nrrd", values=(values() > 0).astype(np.uint8))
    with pytest.raises(HounsfieldError, match="must contain air"):
        read_ct(scan)


ABSENT = [
    ("no such file", "a.mhd", "must exist"),
    ("no such folder", "series", "must exist"),
    ("unknown ending", "a.txt", "must be a folder of DICOM files or end in"),
    ("single slice", "a.dcm", "must be a folder of DICOM files or end in"),
    ("no ending", "scan", "must be a folder of DICOM files or end in"),
]


@pytest.mark.parametrize(("name", "rule"), [a[1:] for a in ABSENT], ids=[a[0] for a in ABSENT])
def test_what_is_no_scan_is_refused(tmp_path: Path, name: str, rule: str) -> None:
    if "exist" not in rule:
        (tmp_path / name).write_bytes(b"something")
    for function in (read_ct, source_files):
        with pytest.raises(ReadingError, match=rule):
            function(tmp_path / name)


def test_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"must hold the DICOM files.*got an empty one"):
        read_ct(tmp_path)
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(SeriesError, match=r"must hold the DICOM files.*no DICOM among 1 files"):
        read_ct(tmp_path)


@pytest.mark.parametrize("ending", ["mhd", "mha", "nii", "nii.gz", "nrrd"])
def test_file_of_another_kind_under_a_known_ending_is_refused(tmp_path: Path, ending: str) -> None:
    scan = tmp_path / f"scan.{ending}"
    scan.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    with pytest.raises(ReadingError):
        read_ct(scan)


def test_scans_of_a_subset_are_listed_sorted_without_hidden_and_temporary_names(
    tmp_path: Path,
) -> None:
    for name in ("c.mhd", "c.raw", "b.nii.gz", "A.NRRD", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    for name in (".hidden.mhd", "_x.mhd", "~c.mhd", "d.mhd.part", "e.mha.tmp"):
        (tmp_path / name).write_bytes(b"x")
    dicom = bytes(128) + b"DICM"
    for folder in ("patient/study/series", ".trash", "half.tmp", "empty"):
        (tmp_path / folder).mkdir(parents=True)
        if folder != "empty":
            (tmp_path / folder / "1-01").write_bytes(dicom)
    names = [scan.relative_to(tmp_path).as_posix() for scan in scans_in(tmp_path)]
    assert names == ["A.NRRD", "b.nii.gz", "c.mhd", "patient/study/series"]


@pytest.mark.parametrize("place", ["stray.dcm", "patient/stray.dcm"])
def test_one_file_that_lies_too_high_hides_no_other_scan(tmp_path: Path, place: str) -> None:
    dicom = bytes(128) + b"DICM"
    for series in ("patient/study/a", "patient/study/b", "other/a"):
        (tmp_path / series).mkdir(parents=True)
        (tmp_path / series / "1-01").write_bytes(dicom)
    whole = scans_in(tmp_path)
    (tmp_path / place).write_bytes(dicom)
    assert set(scans_in(tmp_path)) == {*whole, (tmp_path / place).parent}


def test_a_scan_that_may_not_be_read_is_listed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As slices that root copied; a test that is root may read them."""
    for series in ("a", "b"):
        (tmp_path / series).mkdir()
        (tmp_path / series / "1-01.dcm").write_bytes(bytes(128) + b"DICM")
    itself = dicom_series.is_dicom

    def asked(path: Path) -> bool:
        if path.parent.name == "b":
            raise PermissionError(str(path))
        return itself(path)

    monkeypatch.setattr(dicom_series, "is_dicom", asked)
    assert [scan.name for scan in scans_in(tmp_path)] == ["a", "b"]


def test_scans_of_an_absent_folder_are_an_error_not_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(ReadingError, match="folder of the scans must exist"):
        scans_in(tmp_path / "subset77")
