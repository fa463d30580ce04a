# SPDX-License-Identifier: Apache-2.0
"""How a DICOM file's pixels are packed: the transfer syntax, named before anything is decoded.

Belongs here: the syntaxes that are read, and the names of those that are not. Does not belong
here: decoding, which is GDCM's.
Format: DICOM PS3.10, 7.1 (file meta information); UIDs and names: PS3.6, annex A.
"""

from __future__ import annotations

from pathlib import Path

from lung_pipeline.errors import ReadingError

_JPEG = "1.2.840.10008.1.2.4"

READABLE = {
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    f"{_JPEG}.50": "JPEG Baseline",
    f"{_JPEG}.51": "JPEG Extended",
    f"{_JPEG}.57": "JPEG Lossless",
    f"{_JPEG}.70": "JPEG Lossless, First-Order Prediction",
    f"{_JPEG}.80": "JPEG-LS Lossless",
    f"{_JPEG}.81": "JPEG-LS Near-Lossless",
    f"{_JPEG}.90": "JPEG 2000 Lossless",
    f"{_JPEG}.91": "JPEG 2000",
}
"""What GDCM decodes here."""

_UNREADABLE = {
    # A dataset of zeros in a few kilobytes would unpack to gigabytes before a tag could be read.
    "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
    "1.2.840.10008.1.2.1.98": "Encapsulated Uncompressed Explicit VR Little Endian",
    "1.2.840.10008.1.2.2": "Explicit VR Big Endian",
    f"{_JPEG}.92": "JPEG 2000 Multi-component Lossless",
    f"{_JPEG}.93": "JPEG 2000 Multi-component",
    f"{_JPEG}.100": "MPEG2 Main Profile",
    f"{_JPEG}.101": "MPEG2 Main Profile High Level",
    f"{_JPEG}.102": "MPEG-4 AVC/H.264",
    f"{_JPEG}.103": "MPEG-4 AVC/H.264 BD-compatible",
    f"{_JPEG}.107": "HEVC/H.265 Main Profile",
    f"{_JPEG}.110": "JPEG XL Lossless",
    f"{_JPEG}.111": "JPEG XL JPEG Recompression",
    f"{_JPEG}.112": "JPEG XL",
    f"{_JPEG}.201": "High-Throughput JPEG 2000 Lossless",
    f"{_JPEG}.202": "High-Throughput JPEG 2000 with RPCL Lossless",
    f"{_JPEG}.203": "High-Throughput JPEG 2000",
}
"""Names for the refusal, of syntaxes that hospitals' archives hand out."""

_FIRST_ELEMENT = 132
"""The preamble and DICOM's mark."""

_META_LIMIT_BYTES = 1 << 16
"""The file meta information is some hundred bytes; its private part may be a page."""

_LONG_FORMS = {b"OB", b"OW", b"UN", b"UT", b"SQ"}
"""Value representations whose length takes four bytes, after two that are empty."""


def refuse_unreadable_syntax(path: Path) -> None:
    """Refuse a file whose pixels are packed in a way that is not read here, by its name.

    Raises:
        ReadingError: another transfer syntax, or none named.
    """
    uid = _transfer_syntax(path)
    if uid in READABLE:
        return
    name = _UNREADABLE.get(uid, "an unknown one") if uid else "none named"
    raise ReadingError(
        value=f"{name} ({uid})" if uid else name,
        place=path,
        rule="the transfer syntax (0002|0010) must be uncompressed little-endian, RLE, JPEG, "
        "JPEG-LS or JPEG 2000",
        cure="Export the series again, uncompressed (Explicit VR Little Endian).",
    )


def _transfer_syntax(path: Path) -> str:
    """The UID in element (0002,0010); empty where the file meta information has none."""
    with path.open("rb") as file:
        content = file.read(_META_LIMIT_BYTES)
    at = _FIRST_ELEMENT
    while content[at : at + 2] == b"\x02\x00":
        element, form = content[at + 2 : at + 4], content[at + 4 : at + 6]
        start = at + (12 if form in _LONG_FORMS else 8)
        size_at = slice(at + 8, at + 12) if form in _LONG_FORMS else slice(at + 6, at + 8)
        stop = start + int.from_bytes(content[size_at], "little")
        if element == b"\x10\x00":
            return content[start:stop].decode("ascii", "replace").strip(" \0")
        at = stop
    return ""
