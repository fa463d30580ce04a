# SPDX-License-Identifier: Apache-2.0
"""The nodules of a scan as a DICOM segmentation: one binary segment each, on the source's slices.

Belongs here: pixels and segments. Does not belong here: figures (``dicom_sr``) and files
(``dicom_files``). Attributes and codes: DICOM PS3.3, A.51 and C.8.20; PS3.16, CID 7150 and 7159.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lung_pipeline.reporting.dicom.nodules import MAKER, VERSION, Making, Nodule
from lung_pipeline.reporting.dicom.source import SourceSlices
from lung_pipeline.reporting.dicom.uids import made_uid

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

_SERIES_NUMBER = 9101
"""Above what scanners count to, so that it stands last in a viewer's list."""

_COLORS_RGB = ((255, 70, 70), (255, 200, 40), (70, 190, 255), (190, 110, 255), (255, 140, 200))
"""Recommended for display, in turn; none of them is a grey that a CT has."""


def make_seg(slices: SourceSlices, nodules: Sequence[Nodule], making: Making) -> Segmentation:
    """A segmentation of one nodule or more; only slices with a nodule have frames."""
    import highdicom as hd

    touched = np.unique(np.concatenate([nodule.voxels_irc[:, 0] for nodule in nodules]))
    seg = hd.seg.Segmentation(
        source_images=slices.headers,
        pixel_array=_pixels(nodules, touched, slices.grid.shape_irc),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_described(nodule, making) for nodule in nodules],
        plane_positions=[
            hd.PlanePositionSequence("PATIENT", slices.headers[index].ImagePositionPatient)
            for index in touched
        ],
        series_instance_uid=made_uid("segmentation series", making.key),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=made_uid("segmentation", making.key),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=VERSION,
        device_serial_number=VERSION,
        content_label="NODULES",
        content_description="Lung nodules found by software (research use only)",
        series_description="Lung nodules (research use only)",
    )
    _fix_random_uids(seg, making)
    making.stamp(seg)
    slices.identity.put_into(seg)
    return seg


def _pixels(
    nodules: Sequence[Nodule], touched: npt.NDArray[Any], shape_irc: tuple[int, int, int]
) -> npt.NDArray[Any]:
    """Numbers of segments, shape (slice, row, column), or where two overlap a layer for each."""
    shape = (len(touched), *shape_irc[1:])
    places = [
        (np.searchsorted(touched, index), row, column)
        for index, row, column in (nodule.voxels_irc.T for nodule in nodules)
    ]
    labels = np.zeros(shape, dtype=np.uint16)
    for nodule, place in zip(nodules, places, strict=True):
        labels[place] = nodule.number
    if np.count_nonzero(labels) == sum(len(nodule.voxels_irc) for nodule in nodules):
        return labels
    layers = np.zeros((*shape, len(nodules)), dtype=np.bool_)
    for layer, place in enumerate(places):
        layers[(*place, layer)] = True
    return layers


def _described(nodule: Nodule, making: Making) -> SegmentDescription:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.seg.SegmentDescription(
        segment_number=nodule.number,
        segment_label=nodule.tracking_id,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Nodule,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=making.algorithm,
            family=codes.DCM.ArtificialIntelligence,
            version=VERSION,
            source=MAKER,
            parameters=making.models,
        ),
        tracking_id=nodule.tracking_id,
        tracking_uid=nodule.tracking_uid,
        anatomic_regions=[codes.SCT.Lung],
        display_color=hd.color.CIELabColor.from_rgb(
            *_COLORS_RGB[(nodule.number - 1) % len(_COLORS_RGB)]
        ),
    )


def _fix_random_uids(seg: Segmentation, making: Making) -> None:
    """The library draws one UID at random; the same result must be the same file."""
    uid = made_uid("dimension organization", making.key)
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
