# SPDX-License-Identifier: Apache-2.0
"""The reports of a subset's patients, a folder each, with the files of ``write_diagnosis``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.annotations.subset import read_candidates_of
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.store import open_volume
from lung_pipeline.diagnosis.files import write_diagnosis
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.diagnosis.steps.mask_files import read_masks
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.home import Home
from lung_pipeline.reporting.patient.report import write_patient_report


@dataclass(frozen=True)
class StoredVolumes(Mapping[str, tuple[VoxelsHu, VoxelGrid]]):
    """The volumes of some series, read only when they are asked for."""

    home: Home
    """Where they lie."""

    subset: str
    """In which subset."""

    series_uids: tuple[str, ...]
    """Which."""

    def __getitem__(self, series_uid: str) -> tuple[VoxelsHu, VoxelGrid]:
        if series_uid not in self.series_uids:
            raise KeyError(series_uid)
        volume = open_volume(self.home.volume(self.subset, series_uid))
        return volume.read_all(), volume.grid

    def __iter__(self) -> Iterator[str]:
        return iter(self.series_uids)

    def __len__(self) -> int:
        return len(self.series_uids)


@dataclass(frozen=True)
class StoredMasks(Mapping[str, Sequence[FindingMask]]):
    """The voxels of the findings of some series, read only when they are asked for."""

    home: Home
    """Where they lie."""

    subset: str
    """In which subset."""

    series_uids: tuple[str, ...]
    """Which."""

    def __getitem__(self, series_uid: str) -> Sequence[FindingMask]:
        if series_uid not in self.series_uids:
            raise KeyError(series_uid)
        return read_masks(self.home.masks(self.subset) / f"{series_uid}.npz")

    def __iter__(self) -> Iterator[str]:
        return iter(self.series_uids)

    def __len__(self) -> int:
        return len(self.series_uids)


def write_reports(
    home: Home, subset: str, diagnoses: Sequence[Diagnosis], made_at: str
) -> dict[str, Path]:
    """Write the report of each patient of a subset, with the readers' marks beside it.

    One patient at a time, and of one patient the volumes and masks of one series at a time.

    Returns:
        For each patient the report.
    """
    reports: dict[str, Path] = {}
    candidates = read_candidates_of(home, [subset])
    truth = candidates[candidates["is_nodule"]]
    for diagnosis in diagnoses:
        folder = home.report(subset, diagnosis.patient_id)
        # One that could not be looked at may not be readable either.
        looked_at = tuple(u for u in diagnosis.series_uids if u not in diagnosis.not_looked_at)
        write_patient_report(
            folder / "report.html",
            diagnosis=diagnosis,
            volumes=StoredVolumes(home, subset, looked_at),
            truth=truth,
            made_at=made_at,
            masks=StoredMasks(home, subset, _with_masks(home, subset, diagnosis)),
            original_grids={
                uid: open_volume(home.volume(subset, uid)).original_grid for uid in looked_at
            },
        )
        write_diagnosis(diagnosis, folder)
        reports[diagnosis.patient_id] = folder / "report.html"
    return reports


def _with_masks(home: Home, subset: str, diagnosis: Diagnosis) -> tuple[str, ...]:
    """The series of a patient whose findings' voxels are stored; older findings have none."""
    folder = home.masks(subset)
    return tuple(uid for uid in diagnosis.series_uids if (folder / f"{uid}.npz").is_file())
