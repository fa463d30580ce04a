# SPDX-License-Identifier: Apache-2.0
"""The readers' marks of one series as LIDC's XML has them.

Belongs here: the names and the order of LIDC's elements. Does not belong here: what readers think
(``ratings``) and where they draw (``contours``).
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np

from lung_pipeline.phantom.contours import Ring, draw_rings
from lung_pipeline.phantom.doubtful import Doubtful, doubtful_places, marks_without_size
from lung_pipeline.phantom.plan import ScanPlan
from lung_pipeline.phantom.ratings import NUM_READERS, Reading

_NAMESPACE = "http://www.nih.gov"
_SCHEMA = "http://www.nih.gov  http://troll.rad.med.umich.edu/lidc/LidcReadMessage.xsd"


def make_xml(plan: ScanPlan) -> bytes:
    """The message of one series, all readers, UTF-8."""
    message = ET.Element(
        "LidcReadMessage",
        {
            "uid": f"{plan.series_uid}.7",
            "xmlns": _NAMESPACE,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": _SCHEMA,
        },
    )
    _add_header(message, plan)
    doubtful = doubtful_places(plan)
    for reader in range(NUM_READERS):
        _add_session(message, plan, reader, doubtful)
    ET.indent(message, space="  ")
    return bytes(ET.tostring(message, encoding="UTF-8", xml_declaration=True)) + b"\n"


def _add_header(message: ET.Element, plan: ScanPlan) -> None:
    header = ET.SubElement(message, "ResponseHeader")
    for name, text in (
        ("Version", "1.8.1"),
        ("MessageId", f"PHANTOM-{plan.subset}-{plan.scan}"),
        ("DateRequest", "2000-01-01"),
        ("TimeRequest", "00:00:00"),
        ("RequestingSite", "phantom"),
        ("ServicingSite", "phantom"),
        ("TaskDescription", "Second unblinded read"),
        ("CtImageFile", "removed"),
        ("SeriesInstanceUid", plan.series_uid),
        ("DateService", "2000-01-01"),
        ("TimeService", "00:00:00"),
        ("ResponseDescription", "1 - Reading complete"),
        ("StudyInstanceUID", f"{plan.series_uid}.8"),
    ):
        _text(header, name, text)


def _add_session(
    message: ET.Element, plan: ScanPlan, reader: int, doubtful: tuple[Doubtful, ...]
) -> None:
    session = ET.SubElement(message, "readingSession")
    _text(session, "annotationVersion", "3.12")
    _text(session, "servicingRadiologistID", f"phantom-{reader}")
    patient, grid = plan.patient, plan.file_grid
    centres = plan.to_patient_space(np.array([n.centre_xyz_mm for n in patient.nodules]))
    for number, nodule in enumerate(patient.nodules):
        for reading in patient.readings[number]:
            if reading.reader == reader:
                x, y, z = centres[number].tolist()
                rings = draw_rings(nodule.form, (x, y, z), grid, reading.bias_mm)
                _add_nodule(session, plan, f"Nodule {number + 1:03d}", reading, rings)
    for number, place in enumerate(doubtful):
        if place.reading is not None and place.reading.reader == reader:
            rings = draw_rings(place.form, place.centre_xyz_mm, grid, place.reading.bias_mm)
            _add_nodule(session, plan, f"Doubtful {number + 1:03d}", place.reading, rings)
    for number, (owner, _, voxel_irc) in enumerate(marks_without_size(plan)):
        if owner == reader:
            _add_non_nodule(session, plan, number, voxel_irc)


def _add_nodule(
    session: ET.Element, plan: ScanPlan, name: str, reading: Reading, rings: tuple[Ring, ...]
) -> None:
    nodule = ET.SubElement(session, "unblindedReadNodule")
    _text(nodule, "noduleID", name)
    characteristics = ET.SubElement(nodule, "characteristics")
    for key, value in (
        ("subtlety", reading.subtlety),
        ("internalStructure", 1),
        ("calcification", reading.calcification),
        ("sphericity", reading.sphericity),
        ("margin", reading.margin),
        ("lobulation", reading.lobulation),
        ("spiculation", reading.spiculation),
        ("texture", reading.texture),
        ("malignancy", reading.malignancy),
    ):
        _text(characteristics, key, str(value))
    for ring in rings:
        roi = ET.SubElement(nodule, "roi")
        _add_slice(roi, plan, ring.index, ring.z_mm)
        _text(roi, "inclusion", "TRUE")
        for column, row in ring.pixels_xy:
            _add_pixel(ET.SubElement(roi, "edgeMap"), column, row)


def _add_non_nodule(
    session: ET.Element, plan: ScanPlan, number: int, voxel_irc: tuple[int, int, int]
) -> None:
    mark = ET.SubElement(session, "nonNodule")
    _text(mark, "nonNoduleID", f"Non-nodule {number + 1:03d}")
    index, row, column = voxel_irc
    z_mm = float(plan.file_grid.irc_to_xyz_mm([[index, 0, 0]])[0, 2])
    _add_slice(mark, plan, index, z_mm)
    _add_pixel(ET.SubElement(mark, "locus"), column, row)


def _add_slice(parent: ET.Element, plan: ScanPlan, index: int, z_mm: float) -> None:
    _text(parent, "imageZposition", f"{z_mm:.6f}")
    _text(parent, "imageSOP_UID", f"{plan.series_uid}.9.{index + 1}")


def _add_pixel(parent: ET.Element, column: int, row: int) -> None:
    _text(parent, "xCoord", str(column))
    _text(parent, "yCoord", str(row))


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text
