# SPDX-License-Identifier: Apache-2.0
"""Small LIDC messages for tests, made of text: what a test breaks stands in the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Pixel = tuple[int, int]

SERIES = "1.2.3.4"
NAMESPACE = ' xmlns="http://www.nih.gov"'

SQUARE: tuple[Pixel, ...] = ((4, 4), (8, 4), (8, 8), (4, 8))
"""Corners of an outline, (column, row); it encloses 3 x 3 pixels around (6, 6)."""


def message(
    *sessions: str, series: str = SERIES, namespace: str = NAMESPACE, kind: str = "LidcReadMessage"
) -> str:
    """A whole file."""
    uid = f"<SeriesInstanceUid>{series}</SeriesInstanceUid>"
    readings = "".join(f"<readingSession>{session}</readingSession>" for session in sessions)
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}<{kind}{namespace}><ResponseHeader>{uid}</ResponseHeader>{readings}</{kind}>"


def nodule(
    *rois: str, name: str = "1", ratings: Mapping[str, object] | None = None, given: bool = True
) -> str:
    """A nodule with its outlines; a malignancy of 3 where nothing else is asked for."""
    rated = {"malignancy": 3} if ratings is None else ratings
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in rated.items())
    characteristics = f"<characteristics>{inner}</characteristics>" if given else ""
    inside = f"<noduleID>{name}</noduleID>{characteristics}{''.join(rois)}"
    return f"<unblindedReadNodule>{inside}</unblindedReadNodule>"


def roi(points: Iterable[Pixel] = SQUARE, z: object = "-10.5", inclusion: str = "TRUE") -> str:
    """An outline on a slice; "" leaves the element out."""
    edges = "".join(_point("edgeMap", column, row) for column, row in points)
    position = f"<imageZposition>{z}</imageZposition>" if z != "" else ""
    whether = f"<inclusion>{inclusion}</inclusion>" if inclusion else ""
    return f"<roi>{position}{whether}{edges}</roi>"


def non_nodule(point: Pixel = (20, 30), z: object = "5.0", name: str = "n") -> str:
    """A mark of something else."""
    position = f"<imageZposition>{z}</imageZposition>" if z != "" else ""
    inside = f"<nonNoduleID>{name}</nonNoduleID>{position}{_point('locus', *point)}"
    return f"<nonNodule>{inside}</nonNodule>"


def _point(kind: str, column: object, row: object) -> str:
    return f"<{kind}><xCoord>{column}</xCoord><yCoord>{row}</yCoord></{kind}>"
