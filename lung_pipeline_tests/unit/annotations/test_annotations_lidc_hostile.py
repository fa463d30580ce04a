# SPDX-License-Identifier: Apache-2.0
"""Messages made to harm: entities, foreign files, no XML, too deep, too long, too many."""

from __future__ import annotations

from pathlib import Path

import pytest
from lidc_messages import message, nodule, roi
from lidc_reading import refusal_of


def _with_type(declared: str, inside: str = "", attribute: str = "") -> str:
    head, _, body = message(nodule(roi(), name=inside)).partition("?>")
    return f"{head}?>{declared}{body.replace(' xmlns=', f' {attribute} xmlns=', 1)}"


_LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "lol"}">' for n in range(12))


@pytest.mark.parametrize("attribute", ["", "x='&a11;'"])
@pytest.mark.parametrize("inside", ["", "&a11;"])
def test_billion_laughs_are_refused_at_once(attribute: str, inside: str) -> None:
    error = refusal_of(_with_type(f"<!DOCTYPE l [{_LAUGHS}]>", inside, attribute))
    assert "lol" not in str(error)


def test_long_entity_named_often_is_refused_at_once() -> None:
    declared = f'<!DOCTYPE l [<!ENTITY a "{"x" * 50_000}">]>'
    assert "xxx" not in str(refusal_of(_with_type(declared, "&a;" * 50_000)))
    assert "xxx" not in str(refusal_of(_with_type(declared, "", f"x='{'&a;' * 50_000}'")))


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
    error = refusal_of(_with_type(declared.replace("URL", secret.as_uri()), inside))
    assert "told" not in str(error)
    # Had the file been read, its text would not have been well-formed there.
    assert error.rule == "the file must not have a document type"


def test_unknown_entity_is_refused() -> None:
    assert "well-formed" in refusal_of(message(nodule(roi(), name="&e;"))).rule


def test_included_file_stays_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("9.9.9")
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="URL"/>'
    url = (tmp_path / "secret.txt").as_uri()
    assert "9.9.9" not in str(refusal_of(message(series=include.replace("URL", url))))


@pytest.mark.parametrize(
    "xml",
    [b"", b" \n", b"\x00" * 100, b"\x1f\x8b\x08\x00", b"<LidcReadMessage>", b"<a/><b/>", b"{}"],
)
def test_what_is_no_xml_is_refused(xml: bytes) -> None:
    assert "well-formed" in refusal_of(xml).rule


@pytest.mark.parametrize("name", ["html", "x" * 40_000, "a\u200c\u200db", "lidcreadmessage"])
def test_other_xml_is_refused(name: str) -> None:
    assert "outermost element" in refusal_of(f"<{name}/>").rule


def test_very_deep_and_very_long_are_refused_at_once() -> None:
    depth = 100_000
    assert "depth" in str(refusal_of(message("<a>" * depth + "</a>" * depth)))
    assert "long" in str(refusal_of(message(nodule(roi(), name="x" * 11_000_000))))


@pytest.mark.parametrize("element", ["unblindedReadNodule", "nonNodule", "roi"])
def test_more_marks_than_readers_can_draw_are_refused(element: str) -> None:
    error = refusal_of(message(f"<{element}/>" * 10_001))
    assert f"<{element}>" in error.rule
    assert error.value == "10,001"
