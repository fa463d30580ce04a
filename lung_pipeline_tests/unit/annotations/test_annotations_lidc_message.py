# SPDX-License-Identifier: Apache-2.0
"""Messages of LIDC by hand: each kind of mark, what is lost with which words, what is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from lidc_messages import SERIES, SQUARE, message, nodule, non_nodule, roi

from lung_pipeline.annotations.contours import enclosed
from lung_pipeline.annotations.lidc_message import (
    CHARACTERISTICS,
    NON_NODULE,
    SMALL_NODULE,
    Mark,
    Message,
    read_message,
)
from lung_pipeline.errors import AnnotationError


def _read(*sessions: str) -> Message:
    return read_message(message(*sessions).encode(), "a.xml")


def _reasons(found: Message) -> list[str]:
    return [loss.reason for loss in found.losses]


def _refused(xml: bytes | str) -> AnnotationError:
    started = time.perf_counter()
    with pytest.raises(AnnotationError) as caught:
        read_message(xml.encode() if isinstance(xml, str) else xml, "a.xml")
    assert time.perf_counter() - started < 1
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    return caught.value


def test_message_has_every_kind_of_mark() -> None:
    ratings = {name: number % 5 + 1 for number, name in enumerate(CHARACTERISTICS)}
    drawn = nodule(roi(), roi(z="-8.0"), name="IL 7", ratings=ratings)
    small = nodule(roi([(9, 11)], z="2.25"), given=False)
    found = _read(drawn, small, non_nodule((20, 30), z="5"))
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
    (read,) = _read(nodule(roi(), hole)).reads
    assert [contour.is_inclusion for contour in read.contours] == [True, False]
    assert len(enclosed(read.contours)) == 9 - 1


@pytest.mark.parametrize("word", ["", "maybe"])
def test_outline_that_does_not_say_what_it_is_is_taken_as_nodule(word: str) -> None:
    found = _read(nodule(roi(inclusion=word)))
    assert found.reads[0].contours[0].is_inclusion
    assert _reasons(found) == [f"inclusion {word.upper()!r}: taken as TRUE"]


@pytest.mark.parametrize("text", ["0", "7", "", "high", "3.0", "-1", "٣", "3<x/>", "33"])
def test_rating_off_its_scale_is_lost_and_the_outline_kept(text: str) -> None:
    found = _read(nodule(roi(), ratings={"subtlety": 5, "malignancy": text}))
    assert dict(found.reads[0].characteristics) == {"subtlety": 5}
    assert [reason[:20] for reason in _reasons(found)] == [
        "no rating: malignanc",
        "outlines without a m",
    ]
    assert "reader 0, nodule 1" in found.losses[0].place


def test_scale_ends_at_six_for_calcification_only() -> None:
    found = _read(nodule(roi(), ratings=dict.fromkeys(CHARACTERISTICS, 6)))
    assert dict(found.reads[0].characteristics) == {"calcification": 6}


def test_two_ratings_that_differ_are_listed_and_the_first_stands() -> None:
    twice = nodule(roi()).replace(
        "</characteristics>", "<malignancy>5</malignancy></characteristics>"
    )
    found = _read(twice)
    assert found.reads[0].characteristics["malignancy"] == 3
    assert _reasons(found) == ["no rating: malignancy '5'; left out"]
    same = nodule(roi()).replace(
        "</characteristics>", "<malignancy>3</malignancy></characteristics>"
    )
    assert _read(same).losses == ()


@pytest.mark.parametrize("given", [True, False], ids=["an empty element", "none"])
def test_outlines_without_ratings_are_kept_and_listed(given: bool) -> None:
    found = _read(nodule(roi(), ratings={}, given=given))
    assert dict(found.reads[0].characteristics) == {}
    assert _reasons(found) == ["outlines without a malignancy: kept, it says nothing of it"]


def test_point_with_ratings_is_a_small_nodule_and_listed() -> None:
    found = _read(nodule(roi([(9, 11)]), roi([(9, 12)], z=1)))
    assert (found.reads, len(found.marks)) == ((), 1)
    assert _reasons(found) == [
        "ratings, but only a point: taken as a nodule < 3 mm",
        "2 single points: the first is taken",
    ]


_NO_OUTLINE = "an outline without a slice or without points: left out"


@pytest.mark.parametrize(
    "z", ["", "nan", "inf", "1e9", "1_0", "top", "٣", "1" * 300, "1,5", "1 2", "5<b/>"]
)
def test_outline_without_a_slice_is_lost_and_the_others_kept(z: str) -> None:
    found = _read(nodule(roi(z=z), roi(z="1.0")))
    assert [contour.z_mm for contour in found.reads[0].contours] == [1.0]
    assert _reasons(found) == [_NO_OUTLINE]


@pytest.mark.parametrize(
    ("text", "z_mm"),
    [("-227.250000", -227.25), ("1.00049", 1.0), ("+3", 3.0), ("-0.0001", 0.0), ("-1.5E1", -15.0)],
)
def test_slice_is_known_to_a_thousandth(text: str, z_mm: float) -> None:
    assert str(_read(nodule(roi(z=text))).reads[0].contours[0].z_mm) == str(z_mm)


@pytest.mark.parametrize("text", ["", "x", "-3", "4.0", "٣", "40000", "1" * 5000, "nan", "4<b/>"])
def test_point_without_a_pixel_is_lost_and_the_outline_goes_on(text: str) -> None:
    broken = roi([*SQUARE, (0, 0)]).replace("<xCoord>0<", f"<xCoord>{text}<")
    found = _read(nodule(broken))
    assert found.reads[0].contours[0].columns.tolist() == [4, 8, 8, 4]
    assert _reasons(found) == ["1 points without a pixel: left out"]


def test_nodule_of_which_nothing_is_left_is_listed() -> None:
    found = _read(nodule(roi([])), nodule(), non_nodule())
    assert (found.reads, len(found.marks)) == ((), 1)
    assert _reasons(found) == [
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
    found = _read(broken + non_nodule((1, 2)))
    assert [(mark.column, mark.row) for mark in found.marks] == [(1, 2)]
    assert [str(loss.place) for loss in found.losses] == ["a.xml, reader 0, non-nodule n"]


def test_outline_over_the_whole_of_a_huge_picture_is_lost() -> None:
    far = [(0, 0), (32_767, 0), (32_767, 32_767)]
    found = _read(nodule(roi(far), roi(z=1)))
    assert len(found.reads[0].contours) == 1
    assert _reasons(found) == ["an outline of 32768 x 32768 pixels: too large, left out"]


def test_outlines_may_not_be_large_all_together() -> None:
    large = nodule(*(roi([(0, 0), (999, 0), (999, 999)], z=z) for z in range(10)))
    found = _read(large)
    assert len(found.reads[0].contours) == 2
    assert len(found.losses) == 8


@pytest.mark.parametrize("series", ["", " ", "1.2</SeriesInstanceUid><SeriesInstanceUid>1.3"])
def test_message_must_name_one_series(series: str) -> None:
    assert "one SeriesInstanceUid" in _refused(message(series=series)).rule


@pytest.mark.parametrize("series", ["../../etc", "1.2\n3", "1" * 65, "1.2\u202e", "x" * 5_000_000])
def test_series_must_be_a_uid(series: str) -> None:
    assert "digits and dots" in _refused(message(series=series)).rule


def test_series_named_twice_alike_is_one() -> None:
    twice = message(series="1.2</SeriesInstanceUid><SeriesInstanceUid> 1.2 ")
    assert read_message(twice.encode(), "a.xml").series_uid == "1.2"


def test_session_past_the_fourth_is_a_reader_s_second() -> None:
    found = _read(*(nodule(roi(), name=str(number)) for number in range(8)))
    assert [read.reader for read in found.reads] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert _reasons(found) == ["8 sessions: read as 4 readers' in turn"]


def test_message_without_sessions_is_listed() -> None:
    assert _reasons(_read()) == ["no reader's session: the series has no marks"]
    assert _read("").losses == ()


@pytest.mark.parametrize(
    "namespace", ["", ' xmlns="urn:other"', ' xmlns:n="http://www.nih.gov"'], ids=len
)
def test_namespace_does_not_matter(namespace: str) -> None:
    text = message(nodule(roi()), non_nodule(), namespace=namespace)
    prefixed = text.replace("<roi>", "<n:roi>").replace("</roi>", "</n:roi>")
    for one in (text, prefixed if "xmlns:n" in namespace else text):
        found = read_message(one.encode(), "a.xml")
        assert (len(found.reads), len(found.marks), found.losses) == (1, 1, ())


def test_comments_and_cdata_are_no_obstacle() -> None:
    text = message(nodule(roi()))
    for old, new in (
        ("<malignancy>3<", "<malignancy><!-- 5 --><![CDATA[3]]><?p i?><"),
        ("<xCoord>8<", "<!-- <roi/> --><xCoord><![CDATA[8]]><"),
        (">-10.5<", ">-1<!-- 7 -->0.5\n<"),
        (f">{SERIES}<", f"><!-- 9 --><![CDATA[{SERIES}]]><"),
    ):
        assert old in text
        text = text.replace(old, new)
    found = read_message(text.encode(), "a.xml")
    assert (found.series_uid, found.losses) == (SERIES, ())
    assert found.reads[0].characteristics["malignancy"] == 3
    assert found.reads[0].contours[0].z_mm == -10.5
    assert found.reads[0].contours[0].columns.tolist() == [4, 8, 8, 4]


def test_name_in_any_script_is_kept_on_one_line() -> None:
    found = _read(nodule(roi([]), name="Knoten \u00e9\u4e2d\n\u2028\u202e2" + "x" * 5000))
    place = found.losses[0].place
    assert "Knoten \u00e9\u4e2d 2xx" in place
    assert place.isprintable()
    assert len(place) < 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1", "utf-32"])
def test_encoding_that_is_declared_is_read(encoding: str) -> None:
    declared = {"utf-8-sig": "UTF-8", "latin-1": "ISO-8859-1"}.get(encoding, encoding.upper())
    text = message(nodule(roi(), name="\u00e9")).replace('"UTF-8"', f'"{declared}"')
    assert read_message(text.encode(encoding), "a.xml").reads[0].name == "\u00e9"


@pytest.mark.parametrize(
    ("encoding", "declared"), [("latin-1", "UTF-8"), ("utf-8", "UTF-16"), ("utf-8", "no-such-one")]
)
def test_encoding_that_is_wrong_is_refused(encoding: str, declared: str) -> None:
    text = message(nodule(roi(), name="\u00e9")).replace('"UTF-8"', f'"{declared}"')
    assert _refused(text.encode(encoding)).place == "a.xml"


def _with_type(declared: str, inside: str = "", attribute: str = "") -> str:
    head, _, body = message(nodule(roi(), name=inside)).partition("?>")
    return f"{head}?>{declared}{body.replace(' xmlns=', f' {attribute} xmlns=', 1)}"


_LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "lol"}">' for n in range(12))


@pytest.mark.parametrize("attribute", ["", "x='&a11;'"])
@pytest.mark.parametrize("inside", ["", "&a11;"])
def test_billion_laughs_are_refused_at_once(attribute: str, inside: str) -> None:
    error = _refused(_with_type(f"<!DOCTYPE l [{_LAUGHS}]>", inside, attribute))
    assert "lol" not in str(error)


def test_long_entity_named_often_is_refused_at_once() -> None:
    declared = f'<!DOCTYPE l [<!ENTITY a "{"x" * 50_000}">]>'
    assert "xxx" not in str(_refused(_with_type(declared, "&a;" * 50_000)))
    assert "xxx" not in str(_refused(_with_type(declared, "", f"x='{'&a;' * 50_000}'")))


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE l [<!ENTITY e SYSTEM "URL">]>',
        '<!DOCTYPE l [<!ENTITY % p SYSTEM "URL"> %p;]>',
        '<!DOCTYPE l SYSTEM "URL" [<!ENTITY e "told">]>',
        "<!DOCTYPE LidcReadMessage>",
    ],
    ids=["file", "parameter", "external", "only the name"],
)
def test_document_type_is_refused_and_no_file_is_read(declared: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.dtd"
    secret.write_text('<!ENTITY e "told">')
    inside = "&e;" if "ENTITY" in declared else ""
    error = _refused(_with_type(declared.replace("URL", secret.as_uri()), inside))
    assert "told" not in str(error)
    # Had the file been read, its text would not have been well-formed there.
    assert error.rule == "the file must not have a document type"


def test_unknown_entity_is_refused() -> None:
    assert "well-formed" in _refused(message(nodule(roi(), name="&e;"))).rule


def test_included_file_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("9.9.9")
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="URL"/>'
    url = (tmp_path / "secret.txt").as_uri()
    assert "9.9.9" not in str(_refused(message(series=include.replace("URL", url))))


@pytest.mark.parametrize(
    "xml",
    [b"", b" \n", b"\x00" * 100, b"\x1f\x8b\x08\x00", b"<LidcReadMessage>", b"<a/><b/>", b"{}"],
)
def test_what_is_no_xml_is_refused(xml: bytes) -> None:
    assert "well-formed" in _refused(xml).rule


@pytest.mark.parametrize("name", ["html", "x" * 40_000, "a\u200c\u200db", "lidcreadmessage"])
def test_other_xml_is_refused(name: str) -> None:
    assert "outermost element" in _refused(f"<{name}/>").rule


def test_very_deep_and_very_long_are_refused_at_once() -> None:
    depth = 100_000
    assert "depth" in str(_refused(message("<a>" * depth + "</a>" * depth)))
    assert "long" in str(_refused(message(nodule(roi(), name="x" * 11_000_000))))


@pytest.mark.parametrize("element", ["unblindedReadNodule", "nonNodule", "roi"])
def test_more_marks_than_readers_can_draw_are_refused(element: str) -> None:
    error = _refused(message(f"<{element}/>" * 10_001))
    assert f"<{element}>" in error.rule
    assert error.value == "10,001"
