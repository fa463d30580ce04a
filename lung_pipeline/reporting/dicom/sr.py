# SPDX-License-Identifier: Apache-2.0
"""The figures of a scan as a DICOM structured report: TID 1500, one group for each nodule.

Belongs here: the document and what it says of the whole scan. Does not belong here: what is said of
one nodule (``dicom_measurements``). Templates: DICOM PS3.16, TID 1500; object: PS3.3, A.35.13.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lung_pipeline.diagnosis.patient import RESEARCH_ONLY, Diagnosis
from lung_pipeline.reporting.dicom.measurements import PRIVATE_SCHEME, group_of
from lung_pipeline.reporting.dicom.nodules import MAKER, VERSION, Making, Nodule
from lung_pipeline.reporting.dicom.source import SourceSlices
from lung_pipeline.reporting.dicom.uids import made_uid

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from highdicom.sr import Comprehensive3DSR

_SERIES_NUMBER = 9102
"""Above what scanners count to, so that it stands last in a viewer's list."""

_QUALITATIVE_EVALUATIONS = ("C0034375", "UMLS", "Qualitative Evaluations")
"""Name of the container of what is said in words (TID 1500, row 12); pydicom does not know it."""


def make_sr(
    slices: SourceSlices,
    diagnosis: Diagnosis,
    nodules: Sequence[Nodule],
    seg: Segmentation | None,
    making: Making,
) -> Comprehensive3DSR:
    """The report of a scan; where there is no nodule, and so no segmentation, it says that.

    Every slice that was looked at is listed as evidence, also where nothing was found in it.
    """
    import highdicom as hd
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    report = hd.sr.Comprehensive3DSR(
        evidence=[*slices.headers, *([] if seg is None else [seg])],
        content=hd.sr.ContentSequence([_root(slices, diagnosis, nodules, seg, making)], True),
        series_instance_uid=made_uid("report series", making.key),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=made_uid("report", making.key),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=VERSION,
        device_serial_number=VERSION,
        series_description="Lung nodules, figures (research use only)",
        coding_schemes=[CodingSchemeIdentificationItem(PRIVATE_SCHEME, f"Codes of {MAKER}")],
        is_complete=True,
    )
    making.stamp(report)
    slices.identity.put_into(report)
    return report


def _root(
    slices: SourceSlices,
    diagnosis: Diagnosis,
    nodules: Sequence[Nodule],
    seg: Segmentation | None,
    making: Making,
) -> Any:
    """The tree of the document; highdicom's own root cannot be without a nodule."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    root = hd.sr.ContainerContentItem(codes.DCM.ImagingMeasurementReport, template_id="1500")
    root.ContentSequence = hd.sr.ContentSequence()
    language = hd.sr.CodedConcept("en", "RFC5646", "English")
    root.ContentSequence.extend(hd.sr.LanguageOfContentItemAndDescendants(language))
    root.ContentSequence.extend(_observer())
    root.ContentSequence.append(
        hd.sr.CodeContentItem(
            codes.DCM.ProcedureReported,
            codes.LN.CTUnspecifiedBodyRegion,
            hd.sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    if seg is not None:
        groups = [group_of(nodule, seg, slices, making) for nodule in nodules]
        items = (item for group in groups for item in group)
        root.ContentSequence.append(_container(codes.DCM.ImagingMeasurements, items))
    words = hd.sr.CodedConcept(*_QUALITATIVE_EVALUATIONS)
    root.ContentSequence.append(_container(words, _in_words(diagnosis, nodules)))
    return root


def _observer() -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=made_uid("device", MAKER, VERSION),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=MAKER,
        serial_number=VERSION,
    )
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, device)
    )


def _container(name: Any, items: Iterator[Any]) -> Any:
    import highdicom as hd

    container = hd.sr.ContainerContentItem(
        name, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = hd.sr.ContentSequence(list(items))
    return container


def _in_words(diagnosis: Diagnosis, nodules: Sequence[Nodule]) -> Iterator[Any]:
    """What is said of the whole scan, as items of text."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    models = "; ".join(f"{step}: {words}" for step, words in diagnosis.models.items())
    counted = f"{len(nodules)} of {len(diagnosis.findings)} findings count as nodules."
    comments = (
        f"Rule '{diagnosis.rule.name}': {diagnosis.rule.in_words()}.",
        *(f"By rule '{one.rule.name}': {one.verdict}." for one in diagnosis.verdicts[1:]),
        *(f"Thresholds: {words}." for words in (diagnosis.thresholds_from,) if words),
        *(f"Caution: {words}" for words in diagnosis.cautions),
        f"Models: {models or 'not named'}.",
        RESEARCH_ONLY,
    )
    conclusion = f"Verdict: {diagnosis.verdict}. {counted}"
    texts = [(codes.DCM.Conclusion, conclusion), *((codes.DCM.Comment, c) for c in comments)]
    for name, text in texts:
        yield hd.sr.TextContentItem(name, text, hd.sr.RelationshipTypeValues.CONTAINS)
