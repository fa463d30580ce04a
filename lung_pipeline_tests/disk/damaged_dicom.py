# SPDX-License-Identifier: Apache-2.0
"""Damages of DICOM folders, of the small chest and of a real CT."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from damaged_scans import Damage
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from whole_scans import SHAPE_IRC, Edit, write_dicom

from lung_pipeline.ct.reading import source_files

OTHER_UID = "1.2.826.0.1.3680043.8.498.8"
LAST = SHAPE_IRC[0] - 1
UNREADABLE = [
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.100",
    "1.2.3",
]
ATTRIBUTES = [
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SeriesInstanceUID"),
    *("Modality", "Rows", "Columns", "BitsAllocated", "PixelData"),
]


def dicom_damages() -> Iterator[Damage]:
    """All of the small chest, by kind."""
    yield from _of_files()
    yield from _of_attributes()
    yield from _of_order()


def real_damages(series: Path) -> Iterator[Damage]:
    """Damages of a real series, whose whole slices are links."""
    files = sorted(series.glob("*.dcm"))
    rng = random.Random(4)
    for number in sorted(rng.sample(range(5, len(files) - 5), 5)):
        kept = [file for file in files if file != files[number]]
        yield Damage("missing slice", f"real, {number}", _linked(kept))
    for file in sorted(rng.sample(files, 5)):
        cut = _linked(files, {file.name: file.read_bytes()[: rng.randrange(500_000)]})
        yield Damage("truncated", f"real, {file.name}", cut)
        copied = _linked(files, {f"copy of {file.name}": file.read_bytes()})
        yield Damage("doubled slice", f"real, {file.name}", copied)
    yield Damage(
        "too short", "real, the first 20 along the body", _linked(source_files(series)[:20])
    )
    names = [file.name for file in files]
    rng.shuffle(names)
    yield Damage("shuffled", "real, file names", _linked(files, names=names), is_harmless=True)


def _linked(
    files: Sequence[Path], instead: Mapping[str, bytes] | None = None, names: Sequence[str] = ()
) -> Callable[[Path], Path]:
    """Links to files, under names of their own where given, and other bytes under some names."""

    def make(folder: Path) -> Path:
        others = instead or {}
        for file, name in zip(files, names or [file.name for file in files], strict=True):
            if name not in others:
                (folder / name).symlink_to(file)
        for name, content in others.items():
            (folder / name).write_bytes(content)
        return folder

    return make


def written(edit: Edit) -> Callable[[Path], Path]:
    return lambda folder: write_dicom(folder, edit)


def on(number: int | None = None, **attributes: Any) -> Edit:
    """Set attributes (None: delete them) of one slice, or of all."""

    def edit(one: Dataset, index: int) -> None:
        if number in (None, index):
            for name, value in attributes.items():
                if value is None:
                    delattr(one, name)
                else:
                    setattr(one, name, value)

    return edit


def _after(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """Write the whole chest, then change its folder."""

    def make(folder: Path) -> Path:
        change(write_dicom(folder))
        return folder

    return make


def _of_files() -> Iterator[Damage]:
    for kept in (0, 1, 131, 132, 150, 300, 700, 1000, 16_000, -1, -2, -1000):
        yield Damage("truncated", f"20.dcm to {kept} bytes", _after(partial(_cut, kept=kept)))
    for number in (1, 7, 23, 24, 46):
        yield Damage("missing slice", f"{number}", _after(partial(_remove, numbers=[number])))
    every_third, every_second = range(0, LAST, 3), range(0, LAST, 2)
    yield Damage("missing slice", "every third", _after(partial(_remove, numbers=every_third)))
    # What is left of it is even, 6 mm apart.
    yield Damage("too thick", "every second gone", _after(partial(_remove, numbers=every_second)))
    for number in (0, 20, LAST):
        yield Damage("doubled slice", f"{number}", _after(partial(_double, number=number)))
    noise = np.random.default_rng(0).bytes(3000)
    for name, content in {"noise": noise, "text": b"no", "zip": b"PK\3\4"}.items():
        alien = _after(partial(_replace, content=content))
        yield Damage("wrong type", f"20.dcm is {name}", alien)
    yield Damage("wrong type", "no slice at all", lambda folder: folder)
    yield Damage("wrong size", "a file of a gigabyte", _after(_lengthen))
    for uid in UNREADABLE:
        yield Damage("transfer syntax", uid, _after(partial(_say_syntax, uid=uid)))


def _cut(folder: Path, kept: int) -> None:
    (folder / "20.dcm").write_bytes((folder / "20.dcm").read_bytes()[:kept])


def _remove(folder: Path, numbers: Iterable[int]) -> None:
    for number in numbers:
        (folder / f"{number:02}.dcm").unlink()


def _double(folder: Path, number: int) -> None:
    (folder / "x.dcm").write_bytes((folder / f"{number:02}.dcm").read_bytes())


def _replace(folder: Path, content: bytes) -> None:
    (folder / "20.dcm").write_bytes(content)


def _lengthen(folder: Path) -> None:
    with (folder / "20.dcm").open("r+b") as file:
        file.truncate(1 << 30)


def _say_syntax(folder: Path, uid: str) -> None:
    file = folder / "20.dcm"
    old = b"UI\x14\x001.2.840.10008.1.2.1\0"
    new = uid.encode() + b"\0" * (len(uid) % 2)
    content = file.read_bytes().replace(old, b"UI" + len(new).to_bytes(2, "little") + new)
    file.write_bytes(content)


def _tilt(one: Dataset, number: int) -> None:
    angle = math.radians(12)
    one.ImageOrientationPatient = [1, 0, 0, 0, round(math.cos(angle), 6), round(math.sin(angle), 6)]


def _twin(one: Dataset, number: int) -> None:
    """Every other slice is of another series, as when two are exported into one folder."""
    if number % 2:
        one.SeriesInstanceUID = OTHER_UID


def _promise(one: Dataset, number: int) -> None:
    one.compress(RLELossless)
    one.Rows = one.Columns = 20000


def _of_attributes() -> Iterator[Damage]:
    place = [-158.75, -158.75, -240.0]
    edits: dict[tuple[str, str], Edit] = {
        ("two series", "interleaved"): _twin,
        ("two series", "one slice"): on(30, SeriesInstanceUID=OTHER_UID),
        ("not a CT", "MR"): on(Modality="MR"),
        ("not a CT", "one slice PT"): on(10, Modality="PT"),
        ("not a CT", "screenshot"): on(10, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
        ("localiser", "all"): on(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        ("localiser", "one"): on(0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        ("gantry tilt", "12 degrees"): _tilt,
        ("wrong values", "no slope"): on(RescaleSlope=None),
        ("wrong values", "no intercept"): on(5, RescaleIntercept=None),
        ("wrong values", "intercept 0"): on(RescaleIntercept=0),
        ("wrong values", "intercept -2048"): on(RescaleIntercept=-2048),
        ("wrong values", "slope 0"): on(RescaleSlope=0),
        ("wrong values", "slope 1e20"): on(4, RescaleSlope="1e20"),
        ("wrong values", "electron densities"): on(RescaleType="ED"),
        ("uneven", "one shifted along"): on(20, ImagePositionPatient=[*place[:2], -238.5]),
        ("uneven", "one shifted sideways"): on(20, ImagePositionPatient=[-150, *place[1:]]),
        ("uneven", "one far away"): on(20, ImagePositionPatient=[*place[:2], 5000]),
        ("uneven", "all in one place"): on(ImagePositionPatient=place),
        ("wrong spacing", "0"): on(PixelSpacing=[0, 2.5]),
        ("wrong spacing", "one"): on(20, PixelSpacing=[2.6, 2.5]),
        ("wrong spacing", "three numbers"): on(20, PixelSpacing=[2.5, 2.5, 2.5]),
        ("wrong axes", "skewed"): on(ImageOrientationPatient=[1, 0, 0, 0.1, 0.995, 0]),
        ("wrong axes", "zeros"): on(ImageOrientationPatient=[0, 0, 0, 0, 0, 0]),
        ("wrong size", "Rows 127"): on(20, Rows=127),
        ("wrong size", "Rows 0"): on(20, Rows=0),
        ("wrong size", "Rows 65535"): on(Rows=65535, Columns=65535),
        ("wrong size", "promised by RLE"): _promise,
        ("wrong size", "two frames"): on(20, NumberOfFrames=2),
        ("wrong type", "8 bits"): on(BitsAllocated=8, BitsStored=8, HighBit=7),
        ("wrong type", "13 bits allocated"): on(BitsAllocated=13),
        ("wrong type", "colour"): on(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
        ("too thick", "SliceThickness 8 mm"): on(SliceThickness=8),
        ("too short", "spacing of 1 mm"): lambda one, number: setattr(
            one, "ImagePositionPatient", [*place[:2], -300.0 + number]
        ),
    }
    for name in ATTRIBUTES:
        edits["missing attribute", name] = on(20, **{name: None})
    for (kind, name), edit in edits.items():
        yield Damage(kind, f"dicom, {name}", written(edit))


def _of_order() -> Iterator[Damage]:
    def renamed(seed: int) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            whole = write_dicom(folder / "whole")
            names = [file.name for file in whole.iterdir()]
            random.Random(seed).shuffle(names)
            for file, name in zip(sorted(whole.iterdir()), names, strict=True):
                file.rename(folder / name)
            whole.rmdir()
            return folder

        return make

    def misplaced(seed: int) -> Edit:
        order = np.random.default_rng(seed).permutation(SHAPE_IRC[0])

        def edit(one: Dataset, number: int) -> None:
            one.ImagePositionPatient = [-158.75, -158.75, -300.0 + 3.0 * int(order[number])]

        return edit

    for seed in range(4):
        yield Damage("shuffled", f"dicom, file names {seed}", renamed(seed), is_harmless=True)
        yield Damage("shuffled", f"dicom, positions {seed}", written(misplaced(seed)))
    rle: Edit = lambda one, number: one.compress(RLELossless)  # noqa: E731
    yield Damage("transfer syntax", "RLE, which is read", written(rle), is_harmless=True)
