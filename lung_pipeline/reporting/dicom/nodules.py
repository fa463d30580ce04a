# SPDX-License-Identifier: Apache-2.0
"""What is told of each nodule in DICOM, and by whom: the ground of segmentation and report alike.

Belongs here: which findings are written, and what names them in both files. Does not belong here:
how a segment (``dicom_seg``) and a group of measurements (``dicom_sr``) are made of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from lung_pipeline import __version__
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.dicom.identity import LONGEST_LO
from lung_pipeline.reporting.dicom.source import SourceSlices
from lung_pipeline.reporting.dicom.uids import made_uid

if TYPE_CHECKING:
    from pydicom import Dataset

MAKER = "lung-pipeline"
"""What stands for manufacturer, model and observer."""

VERSION = __version__
"""The version of the software, as it stands in every file."""


@dataclass(frozen=True, slots=True, eq=False)
class Nodule:
    """A finding that counts as a nodule, as it is written."""

    number: int
    """Its segment, from 1; the order is that of the findings."""

    finding: Finding
    """Its figures."""

    voxels_irc: npt.NDArray[Any]
    """Its voxels as (slice, row, column) of the source slices, shape (n, 3)."""

    tracking_uid: str
    """The same in segmentation and report, so that a viewer knows one by the other."""

    @property
    def tracking_id(self) -> str:
        """What a person calls it."""
        return f"Nodule {self.number}"


@dataclass(frozen=True, slots=True)
class Making:
    """How a set of files was made."""

    made_at: datetime
    """When; written as the time of both files."""

    key: str
    """A hash of all that went in: two results never share a UID, the same result always does."""

    models: dict[str, str]
    """For each step its model in words."""

    @property
    def algorithm(self) -> str:
        """The models by name, as far as DICOM has room for them."""
        names = dict.fromkeys(words.split()[0] for words in self.models.values() if words)
        return (" + ".join(names) or MAKER)[:LONGEST_LO]

    def stamp(self, dataset: Dataset) -> None:
        """Write the time into a file, in place of the moment at which the library made it."""
        # Without an offset of its own a time in DICOM is that of the place (PS3.5, 6.2).
        local = self.made_at.astimezone() if self.made_at.tzinfo else self.made_at
        day, time = local.strftime("%Y%m%d"), local.strftime("%H%M%S")
        dataset.InstanceCreationDate = dataset.ContentDate = dataset.SeriesDate = day
        dataset.InstanceCreationTime = dataset.ContentTime = dataset.SeriesTime = time
        for maker in dataset.get("ContributingEquipmentSequence", ()):
            maker.ContributionDateTime = day + time


def nodules_of(
    diagnosis: Diagnosis,
    masks: Sequence[FindingMask],
    slices: SourceSlices,
    volume: CtVolume,
) -> list[Nodule]:
    """The findings that count as nodules by the diagnosis' own rule.

    The others are left out: what lies below the threshold is no part of the verdict, and a viewer
    would show it as a nodule all the same. They stand in the table of findings.

    Raises:
        ValueError: findings and masks that are not one to one, or a mask without a voxel.
    """
    pairs = [
        (finding, mask)
        for finding, mask in zip(diagnosis.findings, masks, strict=True)
        if diagnosis.rule.nodules((finding,))
    ]
    nodules = []
    for number, (finding, mask) in enumerate(pairs, start=1):
        voxels_irc = slices.voxels_of(mask, volume.grid.shape_irc)
        if not len(voxels_irc):
            msg = f"the mask of finding {number} has no voxel"
            raise ValueError(msg)
        uid = made_uid("nodule", volume.source_sha256, slices.frame_uid, repr(finding))
        nodules.append(Nodule(number, finding, voxels_irc, uid))
    return nodules


def making_of(
    diagnosis: Diagnosis, nodules: Sequence[Nodule], slices: SourceSlices, made_at: datetime
) -> Making:
    """The circumstances of a set of files, with a key over all that goes into them."""
    digest = hashlib.sha256(repr((diagnosis, made_at, slices.frame_uid, VERSION)).encode())
    for nodule in nodules:
        digest.update(nodule.voxels_irc.tobytes())
    return Making(made_at, digest.hexdigest(), dict(diagnosis.models))
