# SPDX-License-Identifier: Apache-2.0
"""Step 1 over one LUNA subset: list its scans, then bring each into the volume store.

Belongs here: which scans, what is redone, the two manifests. Does not belong here: formats and the
store itself. A scan that cannot be read costs nobody else's volume: it stands in the manifest with
the reason, and an asset check tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.ct.arrivals import arrival_of, remember_listed
from lung_pipeline.ct.path_text import as_text
from lung_pipeline.ct.raw_copies import scan_at_hand
from lung_pipeline.ct.reading import read_ct, scans_in, sha256_of, source_files
from lung_pipeline.ct.store import CONVERTER_VERSION, is_current, write_volume
from lung_pipeline.ct.threads import each, one_ahead
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import LungPipelineError, ReadingError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_table, write_table

if TYPE_CHECKING:
    import pandas as pd

RAW, VOLUMES = "raw_subset", "hu_volumes"
"""The stages, as their manifests are called."""

READ_AHEAD_BYTES = 1 << 28
"""A larger scan is not read before the one before it is written: three of four volumes would be in
memory at once. 512 x 512 x 512 in 16 bits; compressed files count as they lie on disk."""

_WELL = ""
"""What stands in the column ``problem`` of a scan without one."""


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """One row of the manifest of volumes."""

    scan: str
    """The scan's path below the subset's folder."""

    series_uid: str
    """The name of its volume; empty where there is none."""

    source_sha256: str
    """Hash of its files."""

    num_slices: int
    """Slices in canonical order."""

    slice_spacing_mm: float
    """Distance between slices."""

    pixel_spacing_mm: float
    """Distance between columns."""

    lowest_hu: int
    """Least voxel value."""

    highest_hu: int
    """Greatest voxel value."""

    turned: bool
    """Whether axes were turned to canonical order."""

    problem: str
    """Why there is no volume; empty when well."""


def list_raw(home: Home, subset: str) -> tuple[pd.DataFrame, str]:
    """List the scans of a subset with their sizes and hashes; returns manifest and fingerprint.

    Columns: scan, num_bytes, sha256, problem. The files are checked against their headers, not
    read as volumes.

    Raises:
        ReadingError: the subset's folder is absent or holds no scan.
    """
    import pandas as pd

    folder = home.raw_subset(subset)
    scans = scans_in(folder) if folder.is_dir() else []
    if not scans:
        raise ReadingError(
            value="no scan",
            place=folder,
            rule="a subset must be a folder that holds scans (.mhd, .mha, .nii, .nrrd or DICOM)",
            cure="Put the subset's files there, as LUNA16 hands them out.",
        )
    # Looked at before the files are read: what comes meanwhile makes it differ, and is asked for.
    arrived = arrival_of(folder)
    rows = each(lambda scan: _raw_row(scan, folder), scans)
    manifest = pd.DataFrame(rows, columns=["scan", "num_bytes", "sha256", "problem"])
    made = write_table(manifest, home.manifest(RAW, subset), {"stage": RAW})
    remember_listed(home, subset, arrived)
    return manifest, made


def convert_volumes(
    home: Home, subset: str, on_scan: Callable[[str], None] = lambda scan: None
) -> tuple[pd.DataFrame, str]:
    """Convert the scans of a subset; volumes whose source did not change are left as they are.

    Returns:
        The manifest, one ``VolumeRecord`` a row, and its fingerprint.
    """
    import pandas as pd

    raw = read_table(home.manifest(RAW, subset))
    rows: list[Any] = list(raw.itertuples(index=False))
    reader = _Reader(home, subset, _former_records(home, subset))
    records: list[VolumeRecord] = []
    # The next scan is read while this one is packed: half of the work each, on two cores.
    ahead = one_ahead(reader.read, rows, lambda row: bool(row.num_bytes <= READ_AHEAD_BYTES))
    with contextlib.closing(ahead):
        for row in rows:
            on_scan(row.scan)
            records.append(_written(home, subset, next(ahead)))
    manifest = pd.DataFrame([asdict(record) for record in records])
    origin = {"stage": VOLUMES, "converter": CONVERTER_VERSION}
    return manifest, write_table(manifest, home.manifest(VOLUMES, subset), origin)


def series_with_volume(home: Home, subset: str) -> list[str]:
    """The series of a subset that have a volume, in the manifest's order."""
    manifest = read_table(home.manifest(VOLUMES, subset), ["series_uid", "problem"])
    return [str(uid) for uid in manifest.loc[manifest["problem"] == _WELL, "series_uid"]]


def _raw_row(scan: Path, folder: Path) -> tuple[str, int, str, str]:
    below = scan.relative_to(folder).as_posix()
    name = as_text(below)
    with scan_at_hand(below, folder) as (near, near_folder):
        try:
            files = source_files(near)
            return name, sum(file.stat().st_size for file in files), sha256_of(files), _WELL
        except (LungPipelineError, PermissionError) as error:
            return name, 0, "", _told(error, near_folder)


@dataclass(frozen=True, slots=True)
class _ReadScan:
    """A scan on its way into the store."""

    record: VolumeRecord
    """Its row of the manifest."""

    volume: CtVolume | None = field(default=None, repr=False)
    """What is to be written; None where nothing is."""


@dataclass(slots=True)
class _Reader:
    """Reads the scans of a subset one after the other, and knows which series it has had."""

    home: Home
    """Where they lie."""

    subset: str
    """In which subset."""

    former: dict[str, VolumeRecord]
    """What the last conversion made, by source."""

    taken: set[str] = field(default_factory=set)
    """The series of the scans before."""

    def read(self, row: Any) -> _ReadScan:
        """Read a row of the manifest of raw scans; what stands already is not read."""
        known = self.former.get(row.sha256)
        if row.problem:
            read = _ReadScan(_refused(row.scan, row.sha256, row.problem))
        elif known and known.scan == row.scan and self._stands(known):
            read = _ReadScan(known)
        else:
            read = self._read_file(row.scan, row.sha256)
        self.taken.add(read.record.series_uid)
        return read

    def _stands(self, record: VolumeRecord) -> bool:
        place = self.home.volume(self.subset, record.series_uid)
        return record.series_uid not in self.taken and is_current(place, record.source_sha256)

    def _read_file(self, scan: str, sha256: str) -> _ReadScan:
        with scan_at_hand(scan, self.home.raw_subset(self.subset)) as (near, folder):
            try:
                volume = read_ct(near)
                self.home.volume(self.subset, volume.series_uid)  # refuses what is no file's name
            except (LungPipelineError, PermissionError) as error:
                return _ReadScan(_refused(scan, sha256, _told(error, folder)))
        if volume.series_uid in self.taken:
            problem = f"{scan}: the series {volume.series_uid} stands here twice"
            return _ReadScan(_refused(scan, sha256, problem))
        return _ReadScan(_record(scan, volume), volume)


def _record(scan: str, volume: CtVolume) -> VolumeRecord:
    return VolumeRecord(
        scan=scan,
        series_uid=volume.series_uid,
        source_sha256=volume.source_sha256,
        num_slices=volume.grid.shape_irc[0],
        slice_spacing_mm=volume.grid.spacing_irc_mm[0],
        pixel_spacing_mm=volume.grid.spacing_irc_mm[2],
        lowest_hu=int(volume.voxels_hu.min()),
        highest_hu=int(volume.voxels_hu.max()),
        turned=volume.grid != volume.original_grid,
        problem=_WELL,
    )


def _written(home: Home, subset: str, read: _ReadScan) -> VolumeRecord:
    if read.volume is not None:
        write_volume(read.volume, home.volume(subset, read.record.series_uid))
    return read.record


def _refused(scan: str, sha256: str, problem: str) -> VolumeRecord:
    return VolumeRecord(scan, "", sha256, 0, 0.0, 0.0, 0, 0, turned=False, problem=problem)


def _told(error: Exception, folder: Path) -> str:
    """The error without the folder: the same scans make the same manifest in every home."""
    return str(error).replace(f"{folder}/", "")


def _former_records(home: Home, subset: str) -> dict[str, VolumeRecord]:
    """What the last conversion made, by source; nothing where there was none."""
    path = home.manifest(VOLUMES, subset)
    if not path.is_file():
        return {}
    manifest = read_table(path)
    rows: list[Any] = manifest[manifest["problem"] == _WELL].to_dict(orient="records")
    return {row["source_sha256"]: VolumeRecord(**row) for row in rows}
