# SPDX-License-Identifier: Apache-2.0
"""The reports of a subset's patients: ``report.html`` and ``diagnosis.json``, a folder each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lung_pipeline.annotations.subset import read_candidates_of
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.hounsfield import VoxelsHu
from lung_pipeline.ct.store import open_volume
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.home import Home, written_whole
from lung_pipeline.reporting.html import write_patient_report


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


def write_reports(home: Home, subset: str, diagnoses: Sequence[Diagnosis], made_at: str) -> None:
    """Write the report of each patient of a subset, with the readers' marks beside it."""
    candidates = read_candidates_of(home, [subset])
    truth = candidates[candidates["is_nodule"]]
    for diagnosis in diagnoses:
        folder = home.report(subset, diagnosis.patient_id)
        write_patient_report(
            folder / "report.html",
            diagnosis=diagnosis,
            volumes=StoredVolumes(home, subset, diagnosis.series_uids),
            truth=truth,
            made_at=made_at,
        )
        with written_whole(folder / "diagnosis.json") as temporary:
            temporary.write_text(json.dumps(diagnosis.as_json(), indent=2) + "\n")
