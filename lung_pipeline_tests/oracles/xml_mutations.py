# SPDX-License-Identifier: Apache-2.0
"""What accidents and ill will do to an LIDC file: a mutation takes its bytes and gives others."""

from __future__ import annotations

import bz2
import gzip
import io
import re
import zipfile
from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]

HIDDEN = "7.7.7.hidden"
"""What stands in a file beside them, and in entities; it must turn up nowhere."""

HIDDEN_FILE = "hidden.txt"
_TAG = re.compile(rb"</?[A-Za-z]+>")
_NUMBER = re.compile(rb">(-?[0-9.]+)<")


def _pick(found: list[re.Match[bytes]], rng: np.random.Generator) -> re.Match[bytes]:
    """Any of them, or, as often, one of the first."""
    return found[int(rng.integers(len(found) if rng.random() < 0.5 else min(len(found), 40)))]


def _somewhere(xml: bytes, rng: np.random.Generator) -> int:
    return _pick(list(_TAG.finditer(xml)), rng).start()


def _inserted(xml: bytes, rng: np.random.Generator, piece: bytes) -> bytes:
    at = _somewhere(xml, rng)
    return xml[:at] + piece + xml[at:]


def _elements(xml: bytes, rng: np.random.Generator) -> re.Match[bytes]:
    """A whole element of a drawn name."""
    names = sorted(set(re.findall(rb"<([A-Za-z]+)>", xml)))
    name = names[int(rng.integers(len(names)))]
    return _pick(list(re.finditer(rb"<%b>.*?</%b>" % (name, name), xml, re.DOTALL)), rng)


def _with_numbers(xml: bytes, rng: np.random.Generator, numbers: tuple[bytes, ...]) -> bytes:
    """One to thirty numbers replaced."""
    for _ in range(rng.integers(1, 31)):
        found = _pick(list(_NUMBER.finditer(xml)), rng)
        xml = xml[: found.start(1)] + numbers[rng.integers(len(numbers))] + xml[found.end(1) :]
    return xml


def _with_type(xml: bytes, declared: bytes, use: bytes) -> bytes:
    """A document type in front, and its entity used in a name and instead of a number."""
    xml = re.sub(rb">\s*<LidcReadMessage", b">" + declared + b"<LidcReadMessage", xml, count=1)
    return re.sub(rb"(noduleID>|malignancy>|InstanceUid>)[^<]+<", rb"\1" + use + b"<", xml, count=3)


def truncated(xml: bytes, rng: np.random.Generator) -> bytes:
    return xml[: int(rng.integers(len(xml)))]


def bytes_flipped(xml: bytes, rng: np.random.Generator) -> bytes:
    array = np.frombuffer(xml, dtype=np.uint8).copy()
    for place in rng.integers(len(array), size=rng.integers(1, 10)):
        array[place] ^= np.uint8(1 << rng.integers(8))
    return array.tobytes()


def digits_flipped(xml: bytes, rng: np.random.Generator) -> bytes:
    array = np.frombuffer(xml, dtype=np.uint8).copy()
    digits = np.flatnonzero((array >= ord("0")) & (array <= ord("9")))
    places = rng.choice(digits, size=int(rng.integers(1, 200)))
    array[places] = rng.integers(ord("0"), ord("9") + 1, size=len(places))
    return array.tobytes()


def tags_renamed(xml: bytes, rng: np.random.Generator) -> bytes:
    name = _pick(list(re.finditer(rb"<([A-Za-z]+)>", xml)), rng)[1]
    return re.sub(rb"(</?)%b>" % name, rb"\1renamed>", xml, count=int(rng.integers(3)))


def one_tag_dropped(xml: bytes, rng: np.random.Generator) -> bytes:
    tag = _pick(list(_TAG.finditer(xml)), rng)
    return xml[: tag.start()] + xml[tag.end() :]


def element_dropped(xml: bytes, rng: np.random.Generator) -> bytes:
    for _ in range(rng.integers(1, 5)):
        element = _elements(xml, rng)
        xml = xml[: element.start()] + xml[element.end() :]
    return xml


def element_duplicated(xml: bytes, rng: np.random.Generator) -> bytes:
    element = _elements(xml, rng)
    return xml[: element.start()] + element[0] * int(rng.integers(2, 6)) + xml[element.end() :]


def element_nested(xml: bytes, rng: np.random.Generator) -> bytes:
    return _inserted(xml, rng, _elements(xml, rng)[0])


def nested_deeply(xml: bytes, rng: np.random.Generator) -> bytes:
    depth = int(rng.choice([100, 100_000]))
    return _inserted(xml, rng, b"<roi>" * depth + b"</roi>" * depth)


def letters_for_digits(xml: bytes, rng: np.random.Generator) -> bytes:
    return _with_numbers(xml, rng, (b"O", b"l2", b"", b"twelve", b"1,5", b"1 2", b"1_0"))


def huge_numbers(xml: bytes, rng: np.random.Generator) -> bytes:
    numbers = (b"32767", b"32768", b"65535", b"99999999", b"1e308", b"-5", b"9" * 5000)
    return _with_numbers(xml, rng, numbers)


def no_numbers(xml: bytes, rng: np.random.Generator) -> bytes:
    return _with_numbers(xml, rng, (b"nan", b"inf", b"-inf", b"1e999", b"0x10", b"-", b"."))


def in_other_scripts(xml: bytes, rng: np.random.Generator) -> bytes:
    scripts = ("\u0663", "\uff13", "\u0967", "\u00b2", "\u2463", "\u4e94", "\u202e5")
    return _with_numbers(xml, rng, tuple(text.encode() for text in scripts))


def attributes_broken(xml: bytes, rng: np.random.Generator) -> bytes:
    pieces = (b" a=1", b' a="1" a="2"', b' xmlns:n="', b' xmlns="urn:x"', b" b", b' n:c="1"')
    tag = _pick(list(re.finditer(rb"<[A-Za-z]+(?=>)", xml)), rng)
    return xml[: tag.end()] + pieces[rng.integers(len(pieces))] + xml[tag.end() :]


def nul_bytes(xml: bytes, rng: np.random.Generator) -> bytes:
    return _inserted(xml, rng, b"\x00" * int(rng.integers(1, 100)))


def entity_within(xml: bytes, _: np.random.Generator) -> bytes:
    return _with_type(xml, b'<!DOCTYPE l [<!ENTITY e "%b">]>' % HIDDEN.encode(), b"&e;")


def entity_of_a_file(xml: bytes, rng: np.random.Generator) -> bytes:
    # The folder's own name is put in later; a relative one is looked for where the tests stand.
    url = [b"FOLDER/" + HIDDEN_FILE.encode(), HIDDEN_FILE.encode()][rng.integers(2)]
    declared = (b'<!DOCTYPE l [<!ENTITY e SYSTEM "%b">]>', b'<!DOCTYPE l SYSTEM "%b">')
    return _with_type(xml, declared[rng.integers(2)] % url, b"&e;")


def entities_in_entities(xml: bytes, rng: np.random.Generator) -> bytes:
    laughs = [b'<!ENTITY e0 "%b">' % HIDDEN.encode()]
    laughs += [b'<!ENTITY e%d "%b">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 12)]
    use = b"&e%d;" % int(rng.integers(12))
    xml = _with_type(xml, b"<!DOCTYPE l [" + b"".join(laughs) + b"]>", use)
    return xml.replace(b"<LidcReadMessage", b"<LidcReadMessage x='%b'" % use, 1)


def in_utf_16(xml: bytes, rng: np.random.Generator) -> bytes:
    declared = xml.replace(b"UTF-8", b"UTF-16", 1) if rng.random() < 0.5 else xml
    return declared.decode().encode("utf-16")


def other_encoding_declared(xml: bytes, rng: np.random.Generator) -> bytes:
    names = (b"UTF-16", b"UTF-7", b"IBM037", b"ISO-8859-1", b"UTF-32", b"none", b"\xff", b"")
    return xml.replace(b"UTF-8", names[rng.integers(len(names))], 1)


def twice(xml: bytes, rng: np.random.Generator) -> bytes:
    return xml[: len(xml) if rng.random() < 0.5 else _somewhere(xml, rng)] + xml


def packed(xml: bytes, rng: np.random.Generator) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.xml", xml)
    return (gzip.compress(xml), bz2.compress(xml), archive.getvalue())[rng.integers(3)]


def long_text(xml: bytes, rng: np.random.Generator) -> bytes:
    letter = (b"9", b" ", b"x", b"1.", b"<!---->")[rng.integers(5)]
    found = _pick(list(_NUMBER.finditer(xml)), rng)
    return xml[: found.start(1)] + letter * (5_000_000 // len(letter)) + xml[found.start(1) :]


MUTATIONS: tuple[Mutation, ...] = (
    *(truncated, bytes_flipped, digits_flipped, tags_renamed, one_tag_dropped, element_dropped),
    *(element_duplicated, element_nested, nested_deeply, letters_for_digits, huge_numbers),
    *(no_numbers, in_other_scripts, attributes_broken, nul_bytes, entity_within),
    *(entity_of_a_file, entities_in_entities, in_utf_16, other_encoding_declared, twice, packed),
    *(long_text,),
)
REFUSED_ALWAYS = (entity_within, entity_of_a_file, entities_in_entities, nul_bytes, packed)
