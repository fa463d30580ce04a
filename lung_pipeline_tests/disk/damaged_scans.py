# SPDX-License-Identifier: Apache-2.0
"""What a damaged input is, and the way of a person's scan up to the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.ct.archive import unpacked
from lung_pipeline.ct.lungs import find_lungs
from lung_pipeline.ct.quality import pass_gate
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.volume import CtVolume


@dataclass(frozen=True, slots=True)
class Damage:
    """One input, and what must become of it."""

    kind: str
    """What was done, in the issue's words: "truncated", "traversal name" ..."""

    name: str
    """Which one of its kind."""

    make: Callable[[Path], Path]
    """Make it below a folder, which is there and empty; gives what a person hands in."""

    is_harmless: bool = False
    """Whether the scan must be read, and as if nothing had been done."""


def take(handed_in: Path, out: Path) -> CtVolume:
    """Take a scan as the command does: unpack, read, find the lungs, pass the gate."""
    scan = unpacked(handed_in, out) if handed_in.suffix == ".zip" else handed_in
    volume = read_ct(scan)
    pass_gate(volume, find_lungs(volume.voxels_hu, volume.grid))
    return volume
