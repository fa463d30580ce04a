# SPDX-License-Identifier: Apache-2.0
"""Messages of LIDC by hand: each kind of mark, and what is lost with which words."""

from __future__ import annotations

import pytest
from lidc_messages import SERIES, SQUARE, message, nodule, non_nodule, roi
from lidc_reading import read_sessions, reasons_of

from lung_pipeline.annotations.contours import enclosed
from lung_pipeline.annotations.lidc_message import (
    CHARACTERISTICS,
    NON_NODULE,
    SMALL_NODULE,
    Mark,
    Message,
    read_message,
)


def test_message_has_every_kind_of_mark() -> None:
    ratings = {name: number % 5 + 1 for number, name in enumerate(CHARACTERISTICS)}
    drawn = nodule(roi(), roi(z="-8.0"), name="IL 7", ratings=ratings)
    small = nodule(roi([(9, 11)], z="2.25"), given=False)
    found = read_sessions(drawn, small, non_nodule((20, 30), z="5"))
    assert (found.series_uid, found.is_ct, found.losses) == (SERIES, True, ())
    (read,) = found.reads
    assert (read.reader, read.name, dict(read.characteristics)) == (0, "IL 7", ratings)
    assert [contour.z_mm for contour in read.contours] == [-10.5, -8.0]
    assert list(zip(read.contours[0].columns, read.contours[0].rows, strict=True)) == list(SQUARE)
    assert found.marks == (
        Mark(1, SMALL_NODULE, column=9, row=11, z_mm=2.25),
        Mark(2, NON_NODULE, column=20, row=30, z_mm=5.0),
    )


def test_message_about_an_x_ray_is_told_apart() -> None:
    found = read_message(message(kind="IdriReadMessage", series="").encode(), "a.xml")
    assert found == Message("", is_ct=False)


def test_hole_is_an_exclusion_and_stays_out() -> None:
    hole = roi([(5, 5), (7, 5), (7, 7), (5, 7)], inclusion=" false ")
    (read,) = read_sessions(nodule(roi(), hole)).reads
    assert [contour.is_inclusion for contour in read.contours] == [True, False]
    assert len(enclosed(read.contours)) == 9 - 1


@pytest.mark.parametrize("word", ["", "maybe"])
def test_outline_that_does_not_say_what_it_is_is_taken_as_nodule(word: str) -> None:
    found = read_sessions(nodule(roi(inclusion=word)))
    assert found.reads[0].contours[0].is_inclusion
    assert reasons_of(found) == [f"inclusion {word.upper()!r}: taken as TRUE"]


@pytest.mark.parametrize("text", ["0", "7", "", "high", "3.0", "-1", "٣", "3<x/>", "33"])
def test_rating_off_its_scale_is_lost_and_the_outline_kept(text: str) -> None:
    found = read_sessions(nodule(roi(), ratings={"subtlety": 5, "malignancy": text}))
    assert dict(found.reads[0].characteristics) == {"subtlety": 5}
    assert [reason[:20] for reason in reasons_of(found)] == [
        "no rating: malignanc",
        "outlines without a m",
    ]
    assert "reader 0, nodule 1" in found.losses[0].place


def test_scale_ends_at_six_for_calcification_only() -> None:
    found = read_sessions(nodule(roi(), ratings=dict.fromkeys(CHARACTERISTICS, 6)))
    assert dict(found.reads[0].characteristics) == {"calcification": 6}


def test_two_ratings_that_differ_are_listed_and_the_first_stands() -> None:
    twice = nodule(roi()).replace(
        "</characteristics>", "<malignancy>5</malignancy></characteristics>"
    )
    found = read_sessions(twice)
    assert found.reads[0].characteristics["malignancy"] == 3
    assert reasons_of(found) == ["no rating: malignancy '5'; left out"]
    same = nodule(roi()).replace(
        "</characteristics>", "<malignancy>3</malignancy></characteristics>"
    )
    assert read_sessions(same).losses == ()


@pytest.mark.parametrize("given", [True, False], ids=["an empty element", "none"])
def test_outlines_without_ratings_are_kept_and_listed(given: bool) -> None:
    found = read_sessions(nodule(roi(), ratings={}, given=given))
    assert dict(found.reads[0].characteristics) == {}
    assert reasons_of(found) == ["outlines without a malignancy: kept, it says nothing of it"]


def test_point_with_ratings_is_a_small_nodule_and_listed() -> None:
    found = read_sessions(nodule(roi([(9, 11)]), roi([(9, 12)], z=1)))
    assert (found.reads, len(found.marks)) == ((), 1)
    assert reasons_of(found) == [
        "ratings, but only a point: taken as a nodule < 3 mm",
        "2 single points: the first is taken",
    ]


_NO_OUTLINE = "an outline without a slice or without points: left out"


@pytest.mark.parametrize(
    "z", ["", "nan", "inf", "1e9", "1_0", "top", "٣", "1" * 300, "1,5", "1 2", "5<b/>"]
)
def test_outline_without_a_slice_is_lost_and_the_others_kept(z: str) -> None:
    found = read_sessions(nodule(roi(z=z), roi(z="1.0")))
    assert [contour.z_mm for contour in found.reads[0].contours] == [1.0]
    assert reasons_of(found) == [_NO_OUTLINE]


@pytest.mark.parametrize(
    ("text", "z_mm"),
    [("-227.250000", -227.25), ("1.00049", 1.0), ("+3", 3.0), ("-0.0001", 0.0), ("-1.5E1", -15.0)],
)
def test_slice_is_known_to_a_thousandth(text: str, z_mm: float) -> None:
    assert str(read_sessions(nodule(roi(z=text))).reads[0].contours[0].z_mm) == str(z_mm)


@pytest.mark.parametrize("text", ["", "x", "-3", "4.0", "٣", "40000", "1" * 5000, "nan", "4<b/>"])
def test_point_without_a_pixel_is_lost_and_the_outline_goes_on(text: str) -> None:
    broken = roi([*SQUARE, (0, 0)]).replace("<xCoord>0<", f"<xCoord>{text}<")
    found = read_sessions(nodule(broken))
    assert found.reads[0].contours[0].columns.tolist() == [4, 8, 8, 4]
    assert reasons_of(found) == ["1 points without a pixel: left out"]


def test_nodule_of_which_nothing_is_left_is_listed() -> None:
    found = read_sessions(nodule(roi([])), nodule(), non_nodule())
    assert (found.reads, len(found.marks)) == ((), 1)
    assert reasons_of(found) == [
        _NO_OUTLINE,
        "no outline with a point: left out",
        "no outline with a point: left out",
    ]


@pytest.mark.parametrize(
    "broken",
    [
        non_nodule(z=""),
        non_nodule().replace("locus", "focus"),
        non_nodule().replace("<yCoord>30</yCoord>", ""),
        non_nodule().replace("</nonNodule>", "<locus/></nonNodule>"),
    ],
    ids=["no slice", "no point", "half a point", "two points"],
)
def test_non_nodule_that_is_no_point_is_listed(broken: str) -> None:
    found = read_sessions(broken + non_nodule((1, 2)))
    assert [(mark.column, mark.row) for mark in found.marks] == [(1, 2)]
    assert [str(loss.place) for loss in found.losses] == ["a.xml, reader 0, non-nodule n"]


def test_outline_over_the_whole_of_a_huge_picture_is_lost() -> None:
    far = [(0, 0), (32_767, 0), (32_767, 32_767)]
    found = read_sessions(nodule(roi(far), roi(z=1)))
    assert len(found.reads[0].contours) == 1
    assert reasons_of(found) == ["an outline of 32768 x 32768 pixels: too large, left out"]


def test_outlines_may_not_be_large_all_together() -> None:
    large = nodule(*(roi([(0, 0), (999, 0), (999, 999)], z=z) for z in range(10)))
    found = read_sessions(large)
    assert len(found.reads[0].contours) == 2
    assert len(found.losses) == 8
