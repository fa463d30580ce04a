# SPDX-License-Identifier: Apache-2.0
"""The rows of LUNA16's tables, and of ``truth.csv``, for one planned series.

Belongs here: columns and rows. Does not belong here: files (``folder``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lung_pipeline.phantom.doubtful import NO_DIAMETER, doubtful_places, marks_without_size
from lung_pipeline.phantom.plan import ScanPlan
from lung_pipeline.phantom.ratings import is_malignant

Row = tuple[object, ...]

_PLACE = ("seriesuid", "coordX", "coordY", "coordZ")

HEADERS: dict[str, tuple[str, ...]] = {
    "annotations.csv": (*_PLACE, "diameter_mm"),
    "annotations_excluded.csv": (*_PLACE, "diameter_mm"),
    "candidates.csv": (*_PLACE, "class"),
    "annotations_with_malignancy.csv": (
        *_PLACE,
        "diameter_mm",
        "mal_bool",
        "mal_details",
        *("bboxLowX", "bboxLowY", "bboxLowZ", "bboxHighX", "bboxHighY", "bboxHighZ"),
        "len_mal_details",
    ),
    "LIDC-IDRI_MetaData.csv": (
        *("Collection", "Patient Id", "Study Date", "Study Description", "Modality"),
        *("Series Description", "Manufacturer", "Manufacturer Model", "Software Version"),
        "Series UID",
    ),
    "truth.csv": (
        *("seriesuid", "patient_id", "nodule", "kind", "shape", "place"),
        *("x_mm", "y_mm", "z_mm", "diameter_mm", "volume_mm3", "hu", "core_hu", "malignant"),
    ),
}
"""The columns of each table; ``seriesuids.csv`` has one and no header."""

_STREAM = 4
"""Number of the random stream that shifts candidates off their nodules."""


def rows_of(plan: ScanPlan) -> dict[str, list[Row]]:
    """A series' rows of every table that has a header."""
    return {
        "annotations.csv": _annotations(plan),
        "annotations_excluded.csv": _excluded(plan),
        "candidates.csv": _candidates(plan),
        "annotations_with_malignancy.csv": _with_malignancy(plan),
        "LIDC-IDRI_MetaData.csv": [_metadata(plan)],
        "truth.csv": _truth(plan),
    }


def centres_xyz_mm(plan: ScanPlan) -> npt.NDArray[np.float64]:
    """The nodules' centres in patient space, shape (n, 3)."""
    centres = [nodule.centre_xyz_mm for nodule in plan.patient.nodules]
    return plan.to_patient_space(np.asarray(centres, dtype=np.float64).reshape(-1, 3))


def malignancies(plan: ScanPlan) -> list[tuple[int, ...]]:
    """For each nodule, what its readers gave."""
    return [tuple(one.malignancy for one in readings) for readings in plan.patient.readings]


def _annotations(plan: ScanPlan) -> list[Row]:
    return [
        (plan.series_uid, *centre, nodule.diameter_mm)
        for centre, nodule in zip(_listed(centres_xyz_mm(plan)), plan.patient.nodules, strict=True)
    ]


def _excluded(plan: ScanPlan) -> list[Row]:
    """Marks without a size lie where their pixel does, as in LUNA16; then those with one."""
    points = [voxel_irc for _, _, voxel_irc in marks_without_size(plan)]
    places = _listed(plan.file_grid.irc_to_xyz_mm(np.reshape(points, (-1, 3))))
    drawn = [place for place in doubtful_places(plan) if place.reading is not None]
    return [
        *((plan.series_uid, *point, int(NO_DIAMETER)) for point in places),
        *((plan.series_uid, *place.centre_xyz_mm, place.diameter_mm) for place in drawn),
    ]


def _candidates(plan: ScanPlan) -> list[Row]:
    """Class 1: one to three near each nodule; class 0: everything that only looks like one."""
    rng = np.random.default_rng(np.random.SeedSequence((*plan.entropy, _STREAM)))
    rows: list[Row] = []
    for centre, nodule in zip(centres_xyz_mm(plan), plan.patient.nodules, strict=True):
        count = int(rng.integers(1, 4))
        aside = rng.uniform(-1.0, 1.0, size=(count, 3)) * min(0.12 * nodule.diameter_mm, 1.5)
        rows += [(plan.series_uid, *point, 1) for point in _listed(np.round(centre + aside, 4))]
    others = plan.to_patient_space(plan.patient.look_alikes_xyz_mm)
    return rows + [(plan.series_uid, *point, 0) for point in _listed(others)]


def _with_malignancy(plan: ScanPlan) -> list[Row]:
    rows: list[Row] = []
    centres = centres_xyz_mm(plan)
    for number, given in enumerate(malignancies(plan)):
        nodule, centre = plan.patient.nodules[number], centres[number]
        reach = np.asarray(nodule.form.reach_mm)
        low, high = _listed(np.round(np.stack([centre - reach, centre + reach]), 4))
        where = (plan.series_uid, *centre.tolist(), nodule.diameter_mm)
        rows.append((*where, is_malignant(given), str(list(given)), *low, *high, len(given)))
    return rows


def _metadata(plan: ScanPlan) -> Row:
    patient = plan.patient.patient_id
    return (
        *("PHANTOM", patient, "01/01/2000", "null", "CT", "null", "lung_pipeline", "phantom", "1"),
        plan.series_uid,
    )


def _truth(plan: ScanPlan) -> list[Row]:
    rows: list[Row] = []
    centres = _listed(centres_xyz_mm(plan))
    for number, given in enumerate(malignancies(plan)):
        nodule = plan.patient.nodules[number]
        who = (plan.series_uid, plan.patient.patient_id, number + 1)
        form = (nodule.kind, nodule.shape, nodule.place, *centres[number], nodule.diameter_mm)
        volume = round(nodule.volume_mm3, 3)
        rows.append((*who, *form, volume, nodule.hu, nodule.core_hu, is_malignant(given)))
    return rows


def _listed(points: npt.NDArray[np.float64]) -> list[tuple[float, ...]]:
    return [tuple(point) for point in points.tolist()]
