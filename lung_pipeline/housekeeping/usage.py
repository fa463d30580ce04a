# SPDX-License-Identifier: Apache-2.0
"""How much disk each stage takes, and how much of it a scan.

Belongs here: which files are whose, and sums. Does not belong here: what may go (``prune``).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.ct.subset import VOLUMES, series_with_volume
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.housekeeping.listing import Listing, children, listing_of

STAGES = (
    "raw",
    "volumes",
    "tables",
    "crops",
    "findings",
    "reports",
    "scorecards",
    "revalidation",
    "trainings",
    "mlflow",
    "served",
    "dagster",
    "alerts",
)
"""Folders below the root, in the order of the work."""

OTHER = "other"
"""All that lies in none of these."""

OF_SCANS = ("raw", "volumes", "tables", "crops", "findings", "reports")
"""Stages that grow with the scans, and so have a size of one."""


@dataclass(frozen=True, slots=True)
class StageUsage:
    """What one stage takes."""

    stage: str
    """Its folder below the root."""

    num_files: int
    """Files, or objects of a store."""

    num_bytes: int
    """On disk."""

    num_scans: int | None
    """Scans that it is of; None where it does not grow with scans, or there are none."""

    @property
    def bytes_per_scan(self) -> float | None:
        """Bytes of one scan, where scans are what it is of."""
        return self.num_bytes / self.num_scans if self.num_scans else None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a home takes."""

    stages: tuple[StageUsage, ...]
    """Each stage, in the order of the work; one without files too."""

    free_bytes: int | None
    """Left on the disk; None of an object store."""

    @property
    def num_bytes(self) -> int:
        """Of all stages together."""
        return sum(stage.num_bytes for stage in self.stages)

    @property
    def num_files(self) -> int:
        """Of all stages together."""
        return sum(stage.num_files for stage in self.stages)


def usage_of(home: Home) -> Usage:
    """Look at every file of a home once and sum up; nothing is opened but manifests."""
    listing = listing_of(home)
    scans = _scans_of(home, listing)
    stages = tuple(_stage(stage, listing, scans) for stage in (*STAGES, OTHER))
    return Usage(stages, None if home.is_remote else _free_bytes(home.root))


def _stage(stage: str, listing: Listing, scans: dict[str, int]) -> StageUsage:
    files = [file for name, file in listing.items() if _stage_of(name) == stage]
    # Of a stage that half of the subsets have, the scans of that half.
    having = set(children(listing, stage)) if stage not in ("raw", "tables") else set(scans)
    num_scans = sum(number for subset, number in scans.items() if subset in having)
    is_of_scans = stage in OF_SCANS and num_scans > 0
    return StageUsage(
        stage, len(files), sum(f.num_bytes for f in files), num_scans if is_of_scans else None
    )


def _stage_of(name: str) -> str:
    first, slash, _ = name.partition("/")
    return first if slash and first in STAGES else OTHER


def _scans_of(home: Home, listing: Listing) -> dict[str, int]:
    """The scans that each subset has a volume of."""
    found: dict[str, int] = {}
    for name in children(listing, f"tables/{VOLUMES}"):
        subset = name.removesuffix(".parquet")
        try:
            found[subset] = len(series_with_volume(home, subset))
        except StoreError:
            # Damaged: its bytes count, and its scans are not known.
            continue
    return found


def _free_bytes(root: Path) -> int | None:
    standing = next((p for p in (root, *root.parents) if p.is_dir()), None)
    return None if standing is None else shutil.disk_usage(standing).free
