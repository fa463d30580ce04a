# SPDX-License-Identifier: Apache-2.0
"""The input gate: is a scan that was read whole a chest CT that the models may judge.

Belongs here: what is asked of the volume and its lungs, before any model runs. What the files tell
is refused where they are read. All cases, and who refuses them (tests hold each of them):

    not a CT, a localiser, a screenshot                dicom_header   SeriesError
    no rescaling, or to another quantity than HU       dicom_header   HounsfieldError
    a transfer syntax that is not decoded, by name     dicom_syntax   ReadingError
    two series mixed                                   dicom_series   SeriesError
    uneven, missing, doubled or shifted slices         slice_stack    SeriesError
    gantry tilt                                        slice_stack    SeriesError
    pixels of another length, more than a scan has     dicom_pixels, payload   ReadingError
    no air: uint8, windowed, not rescaled              hounsfield     HounsfieldError
    a windowed or doubly rescaled picture with air     pictures       QualityError
    pictures out of order, or one twice                pictures       QualityError
    spacing in another unit than mm                    here           QualityError
    fewer slices than a chest                          here           QualityError
    slices thicker than 5 mm                           here           QualityError, unless forced
    slices thicker than 3 mm                           here           a caution
    no lung in the picture                             here           QualityError
    lungs cut off at top or bottom                     here           a caution

Does not belong here: files; finding the lungs (``lungs``); what a stored volume must be like
(``stored_quality``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.ct.pictures import refuse_other_pictures
from lung_pipeline.ct.stored_quality import FEWEST_SLICES
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import QualityError, in_one_line

THICK_MM, TOO_THICK_MM = 3.0, 5.0
"""Above the first, nodules of the smallest annotated size (3 mm) may lie between two slices;
above the second the models, which learned from slices of at most 2.5 mm, are out of their depth."""

SHORTEST_CHEST_MM = 100.0
"""Lungs of an adult are 200 to 300 mm high, those of the smallest phantoms 120. A shorter piece
shows a part of the lungs, and a verdict on it would be taken for one on the whole chest."""

LARGEST_MM = 2500.0
"""No scanner's table is longer: beyond it, the spacing is not in millimetres."""

SMALLEST_LUNGS_ML = 250.0
"""An adult's lungs hold more than a litre even when breathed out (residual volume; Stocks and
Quanjer, Eur Respir J 1995, 8:492). A quarter of it leaves room for one lung, for a child, and for
the smallest phantoms (310 ml); gas in the bowel is less."""


@dataclass(frozen=True, slots=True)
class Caution:
    """What is let pass and must be told beside the verdict."""

    value: str
    """What was found."""

    place: str
    """Where: the series and what of it."""

    rule: str
    """What should hold there, as a whole clause."""

    cure: str
    """What to do about it, as a sentence."""

    def in_words(self) -> str:
        """One line, in the form of an error's."""
        return in_one_line(f"{self.place}: {self.rule}, got {self.value}. {self.cure}")


def pass_gate(volume: CtVolume, lungs: Lungs, *, is_forced: bool = False) -> tuple[Caution, ...]:
    """Refuse what no model may judge; give what a reader of the verdict must be told.

    Args:
        volume: the scan, in canonical order.
        lungs: what was found in it.
        is_forced: let slices thicker than 5 mm pass; nothing else can be forced.

    Raises:
        QualityError: no chest CT in HU, millimetres and slices that are thin enough.
    """
    _refuse_other_unit(volume)
    _refuse_short(volume)
    refuse_other_pictures(volume)
    cautions = [*_of_thickness(volume, is_forced)]
    _refuse_without_lungs(volume, lungs)
    return (*cautions, *_of_cut_lungs(volume, lungs))


def _refuse_other_unit(volume: CtVolume) -> None:
    grid = volume.grid
    extent_mm = np.multiply(grid.shape_irc, grid.spacing_irc_mm)
    if extent_mm.max() > LARGEST_MM:
        raise QualityError(
            value=f"{extent_mm.max():.0f} mm from a spacing of {grid.spacing_irc_mm}",
            place=volume.series_uid,
            rule=f"a scan must measure at most {LARGEST_MM:g} mm along each axis",
            cure="Correct the spacing in the header: it must be in millimetres.",
        )


def _refuse_short(volume: CtVolume) -> None:
    num_slices, slice_mm = volume.grid.shape_irc[0], volume.grid.spacing_irc_mm[0]
    if num_slices * slice_mm < SHORTEST_CHEST_MM or num_slices < FEWEST_SLICES:
        raise QualityError(
            value=f"{num_slices} slices of {slice_mm:g} mm, {num_slices * slice_mm:.0f} mm",
            place=volume.series_uid,
            rule=f"a chest must reach over {SHORTEST_CHEST_MM:g} mm and {FEWEST_SLICES} slices "
            "from foot to head",
            cure="Give the whole series: a part of a chest is not judged.",
        )


def _of_thickness(volume: CtVolume, is_forced: bool) -> list[Caution]:
    """Judge the coarsest axis: the distance between slices also where they stand upright."""
    thick_mm, what = max(
        (volume.slice_thickness_mm or 0.0, "SliceThickness (0018|0050)"),
        (max(volume.grid.spacing_irc_mm[1:]), "spacing in the slice"),
        (volume.grid.spacing_irc_mm[0], "slice distance"),
    )
    if thick_mm <= THICK_MM:
        return []
    place = f"{volume.series_uid} ({what})"
    if thick_mm > TOO_THICK_MM and not is_forced:
        raise QualityError(
            value=f"{thick_mm:g} mm",
            place=place,
            rule=f"slices must be at most {TOO_THICK_MM:g} mm thick",
            cure="Ask for a thin reconstruction, or force the diagnosis and mistrust it.",
        )
    forced = ", forced" if thick_mm > TOO_THICK_MM else ""
    rule = f"slices should be at most {THICK_MM:g} mm thick"
    cure = "Small nodules may be missed: ask for a thin reconstruction."
    return [Caution(value=f"{thick_mm:g} mm{forced}", place=place, rule=rule, cure=cure)]


def _refuse_without_lungs(volume: CtVolume, lungs: Lungs) -> None:
    if not lungs.volume_ml >= SMALLEST_LUNGS_ML:
        raise QualityError(
            value=f"{lungs.volume_ml:.0f} ml",
            place=volume.series_uid,
            rule=f"lungs of at least {SMALLEST_LUNGS_ML:g} ml must be in the picture",
            cure="Give a CT of the chest, in HU.",
        )


def _of_cut_lungs(volume: CtVolume, lungs: Lungs) -> list[Caution]:
    ends = [("first", "below", lungs.is_cut_below), ("last", "above", lungs.is_cut_above)]
    return [
        Caution(
            value=f"lungs cut off {side}",
            place=f"{volume.series_uid} ({end} slice from the feet)",
            rule="the lungs should lie within the scan",
            cure=f"What lies {side} was not judged: give the whole series.",
        )
        for end, side, is_cut in ends
        if is_cut
    ]
