# SPDX-License-Identifier: Apache-2.0
"""What lies in a folder and is no phantom that was asked for: it is neither mixed in nor lost.

Phantoms are written under the names that LUNA16 gives its files, so a home with a hospital's scans
would have its tables replaced, and scans of another seed would stay beside tables that do not name
them.

Belongs here: that refusal. Does not belong here: what is written (``folder.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lung_pipeline.ct.reading import scans_in
from lung_pipeline.errors import SettingError
from lung_pipeline.phantom.plan import UID_ROOT, ScanPlan
from lung_pipeline.phantom.tables import HEADERS


def refuse_others(out: Path, plans: Iterable[ScanPlan]) -> None:
    """``SettingError`` where a table has rows of real scans, or a subset holds other scans."""
    found = next(_others(out, list(plans)), None)
    if found is not None:
        raise SettingError(
            value=f"{found}, which is none of the phantoms asked for",
            place=out,
            rule="phantoms must have a folder to themselves: their tables name them alone",
            cure="Name another folder; or ask for the seed, the size and at least as many scans "
            "as those that are there.",
        )


def _others(out: Path, plans: list[ScanPlan]) -> Iterator[str]:
    """What is there and must not be, in words."""
    for name in HEADERS:
        if (out / name).is_file():
            rows = (out / name).read_text(encoding="utf-8", errors="replace").splitlines()[1:]
            yield from (f"a row of {name}" for row in rows if row and UID_ROOT not in row)
    asked = {plan.series_uid for plan in plans}
    for number in {plan.subset for plan in plans}:
        folder = out / f"subset{number}"
        scans = scans_in(folder) if folder.is_dir() else []
        yield from (f"{folder.name}/{scan.name}" for scan in scans if scan.stem not in asked)
