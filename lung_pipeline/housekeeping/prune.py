# SPDX-License-Identifier: Apache-2.0
"""What no current artefact needs, and its removal.

Current is what a manifest names, and all that a next step would read. These are needed by none:

- a volume of a series that the subset's manifest of volumes does not name, as of a scan that was
  taken out of `raw/`, or that another reader of the file named otherwise;
- masks of findings whose table is not there;
- the report of a patient who has no row in the subset's diagnoses;
- everything of a forgotten subset: one with neither a manifest of volumes nor a folder in `raw/`;
- a training that was begun and not touched for 30 days: it would go on where it stopped, if ever
  the very same one were asked for.

What is made again only at a price is no waste: volumes stay when their raw scans were removed to
save disk (the manifest still names them), and volumes without any manifest stay while the raw
folder is there, since an ingest may be on its way. Nothing goes that was written within a day, and
a subset's files go under the locks of its runs, so that nobody is writing them.

Does not belong here: what killed processes left half-written (``lung-pipeline doctor``); folders of
page servers (the next server removes them); model versions (MLflow's, and a baseline may name one).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lung_pipeline import locks
from lung_pipeline.ct.subset import VOLUMES, series_with_volume
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home, folder_name
from lung_pipeline.housekeeping.listing import Listing, below, children, listing_of
from lung_pipeline.tables import read_table
from lung_pipeline.writing import remove

UNCHANGED_S = 24 * 3600.0
"""Younger files stay: somebody may be about to name them."""

ABANDONED_S = 30 * 24 * 3600.0
"""A training that nobody went on with for so long is given up."""

_OF_SUBSETS = ("volumes", "crops", "findings", "reports")
"""Folders with a folder for each subset."""


_Find = Callable[[Listing, float], Iterator["Unneeded"]]
"""Looks in a listing for what was not written for so many seconds."""


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A file or folder that no current artefact needs."""

    path: Path
    """Where it is."""

    name: str
    """The same below the home."""

    why: str
    """In words, after "because"."""

    num_files: int
    """In it."""

    num_bytes: int
    """In it, on disk."""


def prune(
    home: Home,
    *,
    is_to_remove: bool,
    unchanged_s: float = UNCHANGED_S,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Unneeded]:
    """Find what nobody needs, and remove it; each is given when it is gone.

    Args:
        home: where.
        is_to_remove: False: only tell.
        unchanged_s: how long it must not have been written.
        tell: told, in a sentence, which run is waited for.

    Raises:
        OSError: what was found cannot be removed.
    """
    listing = listing_of(home)
    for names, find in _searches(home, listing):
        found = list(find(listing, unchanged_s))
        if not is_to_remove:
            yield from found
        elif found:
            with locks.held(home, write=names, tell=tell):
                # Looked for again: a run may have ended while we waited for it.
                for one in find(listing_of(home), unchanged_s):
                    remove(one.path)
                    yield one


def _searches(home: Home, listing: Listing) -> Iterator[tuple[list[str], _Find]]:
    """What is looked for under which locks: by subset, and by training."""
    subsets = {name for folder in _OF_SUBSETS for name in children(listing, folder)}
    subsets |= {Path(name).stem for name in listing if _is_manifest(name)}
    for subset in sorted(subsets):
        names = [locks.data_of(subset), locks.findings_of(subset)]
        yield names, partial(_of_subset, home, subset)
    for step in children(listing, "trainings"):
        for key in children(listing, f"trainings/{step}"):
            yield [locks.training_of(step, key)], partial(_of_training, home, step, key)


def _of_training(
    home: Home, step: str, key: str, listing: Listing, age_s: float
) -> Iterator[Unneeded]:
    why, place = "nobody went on with it", f"trainings/{step}/{key}"
    yield from _unneeded(home, place, why, listing, max(age_s, ABANDONED_S))


def _of_subset(home: Home, subset: str, listing: Listing, age_s: float) -> Iterator[Unneeded]:
    manifest = f"tables/{VOLUMES}/{subset}.parquet"
    if manifest not in listing:
        yield from _forgotten(home, subset, listing, age_s)
        return
    try:
        named = {f"{uid}.zarr" for uid in series_with_volume(home, subset)}
    except StoreError:
        # What a damaged manifest names is not known; the next ingest writes another.
        return
    for name in children(listing, f"volumes/{subset}"):
        if name not in named:
            why = f"the manifest of {subset} does not name it"
            yield from _unneeded(home, f"volumes/{subset}/{name}", why, listing, age_s)
    yield from _former_results(home, subset, listing, age_s)


def _forgotten(home: Home, subset: str, listing: Listing, age_s: float) -> Iterator[Unneeded]:
    # Asked of the folder itself: the listing does not follow a raw/ that is a link.
    if below(listing, f"raw/{subset}") or home.raw_subset(subset).exists():
        return
    why = f"{subset} has neither scans nor a manifest of volumes"
    tables = [
        name for name in listing if _is_manifest(name) and name.endswith(f"/{subset}.parquet")
    ]
    for place in (*(f"{folder}/{subset}" for folder in _OF_SUBSETS), *tables):
        yield from _unneeded(home, place, why, listing, age_s)


def _former_results(home: Home, subset: str, listing: Listing, age_s: float) -> Iterator[Unneeded]:
    place = f"findings/{subset}"
    if f"{place}/findings.parquet" not in listing:
        yield from _unneeded(home, f"{place}/masks", "its findings are gone", listing, age_s)
    if f"{place}/diagnoses.parquet" not in listing:
        return
    try:
        diagnosed = read_table(home.diagnoses(subset), ["patient_id"])["patient_id"]
    except StoreError:
        return
    folders = {folder_name(str(patient)) for patient in diagnosed}
    for name in children(listing, f"reports/{subset}"):
        is_file = f"reports/{subset}/{name}" in listing  # the list of all patients
        if name not in folders and not is_file:
            why = f"{subset} has no diagnosis of this patient"
            yield from _unneeded(home, f"reports/{subset}/{name}", why, listing, age_s)


def _unneeded(
    home: Home, name: str, why: str, listing: Listing, age_s: float
) -> Iterator[Unneeded]:
    """What stands under a name, where there is anything and all of it is old enough."""
    files = [listing[name]] if name in listing else list(below(listing, name).values())
    if files and time.time() - max(file.changed_at for file in files) >= age_s:
        num_bytes = sum(file.num_bytes for file in files)
        yield Unneeded(home.root / name, name, why, len(files), num_bytes)


def _is_manifest(name: str) -> bool:
    """Whether it is a table of a subset: ``tables/<stage>/<subset>.parquet``."""
    parts = name.split("/")
    return len(parts) == 3 and parts[0] == "tables" and name.endswith(".parquet")
