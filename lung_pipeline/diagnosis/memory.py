# SPDX-License-Identifier: Apache-2.0
"""How much memory one scan takes, said before anything is read, and measured when it is done.

Belongs here: the estimate, the refusal and the peak. Does not belong here: what uses the memory.
"""

from __future__ import annotations

import math
from pathlib import Path

from lung_pipeline.ct.geometry import Triple
from lung_pipeline.ct.payload import MOST_VOLUME_BYTES, WIDEST_VOXEL_BYTES
from lung_pipeline.errors import DeviceError

PROGRAM_BYTES = 1_050_000_000
"""Interpreter, torch, weights and what a step of the networks takes, whatever the scan, in float32;
in bfloat16 it is some .2e9 less, but which it will be only torch can tell, which is loaded later.
Measured on phantoms of 100 to 700 slices and on a real CT (docs/results.md)."""

BYTES_A_VOXEL = 8
"""The volume takes 2; in the box around the lungs, which is at most all of it, what is marked takes
1, what erosion leaves 1, and labels 4."""

PROBABILITY_BYTES = 2
"""More for each voxel where probabilities are kept."""

READER_BYTES = 150_000_000
"""Interpreter and ITK, while a file is read; torch is loaded later."""

COPIES_IN_READER = 2
"""Of a file's voxels, as wide as they stand there: ITK's reader of NIfTI has its own beside the
image, which in float64 takes more than all that comes after."""


_CONTROL_GROUP = Path("/sys/fs/cgroup")
"""Where Linux shows a container its own limits."""


def needed_bytes(shape_irc: Triple, *, keeps_probabilities: bool = False) -> int:
    """An upper estimate of the peak for a scan of this shape, whatever its file."""
    num_voxels = math.prod(shape_irc)
    in_file = min(WIDEST_VOXEL_BYTES * num_voxels, MOST_VOLUME_BYTES)
    of_voxel = BYTES_A_VOXEL + PROBABILITY_BYTES * keeps_probabilities
    return max(PROGRAM_BYTES + of_voxel * num_voxels, READER_BYTES + COPIES_IN_READER * in_file)


def refuse_too_little(shape_irc: Triple, *, keeps_probabilities: bool = False) -> None:
    """Refuse before anything is read where the machine has too little memory free.

    Raises:
        DeviceError: less is available than the estimate, also by a container's limit.
    """
    needed = needed_bytes(shape_irc, keeps_probabilities=keeps_probabilities)
    available = available_bytes()
    if available < needed:
        raise DeviceError(
            value=f"{available / 1e9:.1f} GB",
            place="memory of this machine",
            rule=f"a scan of {' x '.join(map(str, shape_irc))} voxels needs {needed / 1e9:.1f} GB",
            cure="Close other programs, or take a machine (or a container) with more memory.",
        )


def available_bytes() -> int:
    """What this process may still take: of the machine, and of its control group (version 2)."""
    import psutil

    return min([int(psutil.virtual_memory().available), *left_in_group()])


def peak_bytes() -> int:
    """The highest resident memory of this process since it began; 0 where that is not told.

    Linux tells it in /proc, for this program alone; what ``getrusage`` tells there may be that of
    the process it was started from.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text().splitlines()
        kilobytes = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), "0")
        return 1024 * int(kilobytes)
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
    # macOS counts in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def left_in_group(group: Path = _CONTROL_GROUP) -> list[int]:
    """What a container's limit leaves, in bytes, as one number; nothing where there is none.

    Files that were read and are still kept count as used there, but make room when it is asked for
    ("inactive_file", https://docs.kernel.org/admin-guide/cgroup-v2.html).
    """
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        held = max(0, used - int(kept.get("inactive_file", 0)))
        return [] if limit == "max" else [max(0, int(limit) - held)]
    except (OSError, ValueError):
        return []
