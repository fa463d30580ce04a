# SPDX-License-Identifier: Apache-2.0
"""What is around the marks of a message: series, sessions, namespaces, comments, encodings."""

from __future__ import annotations

import pytest
from lidc_messages import SERIES, message, nodule, non_nodule, roi
from lidc_reading import read_sessions, reasons_of, refusal_of

from lung_pipeline.annotations.lidc_message import (
    read_message,
)


@pytest.mark.parametrize("series", ["", " ", "1.2</SeriesInstanceUid><SeriesInstanceUid>1.3"])
def test_message_must_name_one_series(series: str) -> None:
    assert "one SeriesInstanceUid" in refusal_of(message(series=series)).rule


@pytest.mark.parametrize("series", ["../../etc", "1.2\n3", "1" * 65, "1.2\u202e", "x" * 5_000_000])
def test_series_must_be_a_uid(series: str) -> None:
    assert "digits and dots" in refusal_of(message(series=series)).rule


def test_series_named_twice_alike_is_one() -> None:
    twice = message(series="1.2</SeriesInstanceUid><SeriesInstanceUid> 1.2 ")
    assert read_message(twice.encode(), "a.xml").series_uid == "1.2"


def test_session_past_the_fourth_is_a_reader_s_second() -> None:
    found = read_sessions(*(nodule(roi(), name=str(number)) for number in range(8)))
    assert [read.reader for read in found.reads] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert reasons_of(found) == ["8 sessions: read as 4 readers' in turn"]


def test_message_without_sessions_is_listed() -> None:
    assert reasons_of(read_sessions()) == ["no reader's session: the series has no marks"]
    assert read_sessions("").losses == ()


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
    found = read_sessions(nodule(roi([]), name="Knoten \u00e9\u4e2d\n\u2028\u202e2" + "x" * 5000))
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
    assert refusal_of(text.encode(encoding)).place == "a.xml"
