# SPDX-License-Identifier: Apache-2.0
"""The card of a nodule: its figures in words, and the pictures around it.

Belongs here: what stands on a card. Does not belong here: how it looks (``templates/``), and how a
picture is drawn (``overlay.py``, ``outline.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import BENIGN, MALIGNANT, NOT_ASSESSED, Rule
from lung_pipeline.reporting.overlay import Picture, axial_slice, cutouts, data_uri, ring
from lung_pipeline.reporting.patient.figures import Figure, figures_of
from lung_pipeline.reporting.patient.outline import NODULE, layer_uri, on_cutout, outline_layer
from lung_pipeline.reporting.patient.shown import Shown


@dataclass(frozen=True, slots=True)
class View:
    """One picture, with the letters of the sides it shows."""

    name: str
    """What it shows, in a few words."""

    plane: str
    """"axial", "coronal" or "sagittal"."""

    picture: str
    """The picture as a ``data:`` address."""

    layer: str | None = None
    """A transparent layer over it as a ``data:`` address, such as an outline."""


@dataclass(frozen=True, slots=True)
class Card:
    """One nodule as the page shows it; texts are ready to print."""

    number: int
    """Its number in this report, from 1."""

    finding: Finding
    """The finding."""

    malignancy: str
    """Its malignancy probability, or "not assessed"."""

    counts_as: str
    """"malignant", "benign" or "not assessed", by the rule's threshold."""

    figures: list[Figure]
    """Its figures."""

    views: tuple[View, ...]
    """Its pictures; empty where the volume is not at hand."""

    slice_id: str | None
    """Where its slice stands on the page; None where it does not."""

    readers: str | None
    """What the readers' marks say at this place; None where they are not known."""


def card(
    number: int,
    finding: Finding,
    rule: Rule,
    views: tuple[View, ...],
    slice_id: str | None,
    readers: str | None,
) -> Card:
    """The card of a nodule."""
    probability = finding.malignancy_probability
    malignancy, counts_as = malignancy_in_words(finding), NOT_ASSESSED
    if probability is not None:
        counts_as = MALIGNANT if probability >= rule.malignancy_threshold else BENIGN
    figures = figures_of(finding, malignancy)
    return Card(number, finding, malignancy, counts_as, figures, views, slice_id, readers)


def malignancy_in_words(finding: Finding) -> str:
    """The malignancy probability with three decimals, or "not assessed"."""
    probability = finding.malignancy_probability
    return NOT_ASSESSED if probability is None else f"{probability:.3f}"


def card_views(shown: Shown, voxels_hu: VoxelsHu, grid: VoxelGrid) -> tuple[View, ...]:
    """Three cut-outs with a ring around the finding, and the axial one with its outline instead."""
    center_irc = shown.center_irc(grid)
    planes = cutouts(voxels_hu, center_irc, grid.spacing_irc_mm)
    ringed = [
        View(name, name, data_uri(ring(plane, shown.finding.diameter_mm)))
        for name, plane in planes.items()
    ]
    if shown.mask is None:
        return tuple(ringed)
    axial = planes["axial"]
    found = on_cutout(shown.mask, center_irc, grid.spacing_irc_mm, len(axial))
    layer = layer_uri(outline_layer([(found, NODULE)], axial.shape[:2]))
    segmented = View("axial, as segmented", "axial", data_uri(axial), layer)
    return (ringed[0], segmented, *ringed[1:])


def overview_picture(shown: Shown, voxels_hu: VoxelsHu, grid: VoxelGrid) -> Picture:
    """The whole slice through a finding; the ring is wider here, to be found at a glance."""
    index, row, column = shown.center_irc(grid)
    _, row_mm, column_mm = grid.spacing_irc_mm
    pixel_mm = min(row_mm, column_mm)
    center_rc = (row * row_mm / pixel_mm, column * column_mm / pixel_mm)
    picture = axial_slice(voxels_hu, index, grid.spacing_irc_mm)
    return ring(picture, shown.finding.diameter_mm * 1.25 + 6, pixel_mm, center_rc)
