# SPDX-License-Identifier: Apache-2.0
"""What a structured report says of one nodule: its segment, its centre and its figures.

Belongs here: which figure has which code and unit. Does not belong here: the document around it
(``dicom_sr``). Templates: DICOM PS3.16, TID 1411 (volumetric ROI) with TID 300 (measurement).

Codes of the standard are used where one means the figure. A probability is a number without unit,
0 to 1, as everywhere in this package. What no standard code means is coded as ``99LUNGPIPELINE``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.reporting.dicom.nodules import MAKER, VERSION, Making, Nodule
from lung_pipeline.reporting.dicom.source import SourceSlices

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

PRIVATE_SCHEME = "99LUNGPIPELINE"
"""Our own codes: the standard keeps designators that begin with 99 for such (PS3.16, 8.2)."""

_EQUAL_VOLUME = ("equal-volume", PRIVATE_SCHEME, "Sphere of equal volume")
"""How the diameter was worked out: the standard has no code for it."""

_LONGEST_IN_SLICE = ("longest-in-slice", PRIVATE_SCHEME, "Longest in one axial slice")
"""How the long axis was worked out."""

_DENSITIES = {"ground glass": ("112120", "DCM", "Ground glass opacity")}
"""The kinds of density that the standard knows; the others get a code of ours."""


def group_of(nodule: Nodule, seg: Segmentation, slices: SourceSlices, making: Making) -> Any:
    """The group of measurements of one nodule, as items of content: one container."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(nodule.tracking_uid, nodule.tracking_id),
        referenced_segment=_segment(nodule, seg, slices),
        finding_category=codes.SCT.MorphologicallyAbnormalStructure,
        finding_type=codes.SCT.Nodule,
        finding_sites=[hd.sr.FindingSite(codes.SCT.Lung)],
        algorithm_id=hd.sr.AlgorithmIdentification(
            making.algorithm, VERSION, [f"{MAKER} {VERSION}"]
        ),
        measurements=list(_measurements(nodule.finding)),
        qualitative_evaluations=list(_evaluations(nodule.finding)),
    )
    group[0].ContentSequence.append(_center(nodule.finding, slices.frame_uid))
    return group


def _segment(nodule: Nodule, seg: Segmentation, slices: SourceSlices) -> Any:
    """The segment and the slices it lies on; highdicom cannot read them off a single segment."""
    import highdicom as hd

    touched = [slices.headers[index] for index in np.unique(nodule.voxels_irc[:, 0])]
    sources = [
        hd.sr.SourceImageForSegmentation(one.SOPClassUID, one.SOPInstanceUID) for one in touched
    ]
    return hd.sr.ReferencedSegment(
        seg.SOPClassUID, seg.SOPInstanceUID, nodule.number, source_images=sources
    )


def _measurements(finding: Finding) -> Iterator[Any]:
    """The figures that are known; NaN and None are left out, since DICOM has no such number."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    by_volume = hd.sr.CodedConcept(*_EQUAL_VOLUME)
    in_slice = hd.sr.CodedConcept(*_LONGEST_IN_SLICE)
    none, mm = codes.UCUM.NoUnits, codes.UCUM.Millimeter
    sct, dcm = codes.SCT, codes.DCM
    figures: tuple[tuple[Any, float | None, Any, dict[str, Any]], ...] = (
        (sct.Diameter, finding.diameter_mm, mm, {"method": by_volume}),
        (sct.LongAxis, finding.longest_axial_mm, mm, {"method": in_slice}),
        (sct.Volume, finding.volume_mm3, codes.UCUM.CubicMillimeter, {}),
        (
            dcm.AttenuationCoefficient,
            finding.mean_hu,
            codes.UCUM.HounsfieldUnit,
            {"derivation": sct.Mean},
        ),
        (dcm.CertaintyOfFinding, finding.nodule_probability, none, {}),
        (dcm.ProbabilityOfCancer, finding.malignancy_probability, none, {}),
    )
    for name, value, unit, more in figures:
        if value is not None and math.isfinite(value):
            yield hd.sr.Measurement(name=name, value=float(value), unit=unit, **more)


def _evaluations(finding: Finding) -> Iterator[Any]:
    """The kind of density, where it was measured."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    if finding.density:
        ours = (finding.density.replace(" ", "-")[:16], PRIVATE_SCHEME, finding.density[:64])
        code = hd.sr.CodedConcept(*_DENSITIES.get(finding.density, ours))
        yield hd.sr.QualitativeEvaluation(codes.DCM.Density, code)


def _center(finding: Finding, frame_uid: str) -> Any:
    """The centre as a point in space; TID 1411 may be extended, and has no room of its own."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.sr.Scoord3DContentItem(
        codes.DCM.Center,
        hd.sr.GraphicTypeValues3D.POINT,
        np.array([[finding.x_mm, finding.y_mm, finding.z_mm]]),
        frame_uid,
        relationship_type=hd.sr.RelationshipTypeValues.CONTAINS,
    )
