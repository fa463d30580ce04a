# SPDX-License-Identifier: Apache-2.0
"""Scans of a subset that could not be read, and whose they are.

They have no volume, so nothing later knows of them; and whoever's other scan was read must not be
told that there is nothing.

Belongs here: that. Does not belong here: why a scan is refused (``ct``), and verdicts
(``subset_patients.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lung_pipeline.annotations.luna import PATIENTS_FILE, read_patients
from lung_pipeline.ct.dicom_series import series_uids_in
from lung_pipeline.ct.raw_copies import scan_at_hand
from lung_pipeline.ct.reading import series_uid_of
from lung_pipeline.ct.subset import VOLUMES, series_with_volume
from lung_pipeline.home import Home
from lung_pipeline.tables import read_table


@dataclass(slots=True)
class Unread:
    """What could not be read."""

    of_patients: dict[str, dict[str, str]] = field(default_factory=dict)
    """For each patient his series, and why each was refused."""

    num_of_unknown: int = 0
    """Scans of which it is not known whose they are."""

    @property
    def cautions(self) -> list[str]:
        """What every patient of the subset has to be told."""
        if not self.num_of_unknown:
            return []
        return [
            f"{self.num_of_unknown} scan(s) of this subset could not be read and may be anybody's:"
            " see the check every_scan_was_read of hu_volumes."
        ]


def unread_scans(home: Home, subset: str) -> Unread:
    """The scans of a subset without a volume, by patient as LIDC-IDRI_MetaData.csv says.

    A series that does not stand there is a patient of its own, whom no verdict is given for.
    """
    manifest = read_table(home.manifest(VOLUMES, subset), ["scan", "problem"])
    refused = manifest[manifest["problem"] != ""]
    found = Unread()
    if refused.empty:
        return found
    patients, read = _patients(home), set(series_with_volume(home, subset))
    for scan, problem in refused.itertuples(index=False, name=None):
        series_uids = _series_of(home, subset, scan)
        found.num_of_unknown += series_uids is None
        for uid in (series_uids or set()) & patients.keys() - read:
            found.of_patients.setdefault(patients[uid], {})[uid] = problem
    return found


def _series_of(home: Home, subset: str, scan: str) -> set[str] | None:
    """The CT series of a scan; None where nobody can tell."""
    if (series_uid := series_uid_of(Path(scan))) is not None:
        return {series_uid}
    with scan_at_hand(scan, home.raw_subset(subset)) as (near, _):
        return series_uids_in(near)


def _patients(home: Home) -> dict[str, str]:
    path = home.raw / PATIENTS_FILE
    if not path.is_file():
        return {}
    table = read_patients(path)
    return dict(zip(table["series_uid"], table["patient_id"].astype(str), strict=True))
