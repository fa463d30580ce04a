# SPDX-License-Identifier: Apache-2.0
"""The elements of an XML file that is not trusted, and their text.

A document type, and with it any entity, is refused, nothing is fetched, and libxml2's limits on
depth and length stay on.

Belongs here: parsing, names and texts. Does not belong here: what the elements mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lung_pipeline.errors import AnnotationError

if TYPE_CHECKING:
    from lxml.etree import _Element

_DIGITS = frozenset("0123456789")
_LONGEST_TEXT = 100
"""Of a name or a number, in characters."""


def parsed(xml: bytes, place: str) -> _Element:
    """The outermost element of a file.

    Raises:
        AnnotationError: the XML is not well-formed, or has a document type.
    """
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        found = str(error) or type(error).__name__
        raise no_message(f"'{found}'", place, "the file must be well-formed XML") from None
    if root.getroottree().docinfo.doctype:
        # LIDC's files have none; it is where entities are declared.
        raise no_message("one", place, "the file must not have a document type")
    return root


def no_message(value: str, place: str, rule: str) -> AnnotationError:
    """The error of a file that is no message; the value may be the file's own words."""
    return AnnotationError(
        value=plain(value, 200),
        place=place,
        rule=rule,
        cure="Fetch LIDC-XML-only.zip again from TCIA, or take the file out.",
    )


def refuse_more_than(root: _Element, most: Mapping[str, int], place: str) -> None:
    """Refuse a file with more elements of a name, at any depth, than there may be.

    Raises:
        AnnotationError: it has more.
    """
    for name, number in most.items():
        found = sum(1 for _ in root.iter("{*}" + name))
        if found > number:
            rule = f"a message must have at most {number:,} <{name}> elements"
            raise no_message(f"{found:,}", place, rule)


def plain(text: str, longest: int = _LONGEST_TEXT) -> str:
    """A text that is not trusted, on one printable line; what is longer is cut."""
    text = text[:longest]
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def local_name(element: _Element) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def children(element: _Element, name: str) -> Iterator[_Element]:
    """The children of a name, in order."""
    return element.iterchildren("{*}" + name)


def texts(element: _Element, name: str) -> Iterator[str]:
    """The texts of all elements of a name, at any depth."""
    return ((found.text or "").strip() for found in element.iter("{*}" + name))


def own_text(element: _Element) -> str:
    """What stands in an element, on one line; "" where it holds other elements."""
    return "" if len(element) else plain(element.text or "")


def text_of(element: _Element, name: str) -> str:
    """The text of the first child of a name on one line, "" where there is none."""
    child = next(children(element, name), None)
    return "" if child is None else own_text(child)


def add_numbers(
    element: _Element, highest: Mapping[str, int], numbers: dict[str, int]
) -> list[str]:
    """Add what the children of some names hold, a number of one digit from 1 up to a highest.

    Returns:
        What does not fit, or contradicts what was there: name and text.
    """
    refused: list[str] = []
    for child in element:
        name, text = local_name(child), own_text(child)
        if name in highest:
            number = int(text) if text in _DIGITS else 0
            fits = 0 < number <= highest[name] and numbers.setdefault(name, number) == number
            refused += [] if fits else [f"{name} {text[:20]!r}"]
    return refused
