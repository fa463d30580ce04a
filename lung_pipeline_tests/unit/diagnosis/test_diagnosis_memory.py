# SPDX-License-Identifier: Apache-2.0
"""A scan that does not fit is refused before it is read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lung_pipeline.diagnosis import memory
from lung_pipeline.diagnosis.memory import (
    available_bytes,
    needed_bytes,
    refuse_too_little,
)
from lung_pipeline.errors import DeviceError


def test_the_need_grows_with_the_voxels() -> None:
    small, large = needed_bytes((100, 512, 512)), needed_bytes((700, 512, 512))
    assert large - small == 600 * 512 * 512 * 8
    # What the makers promise of the largest scans.
    assert large < 2.5e9


def test_a_scan_larger_than_any_machine_is_refused_in_words() -> None:
    with pytest.raises(DeviceError, match=r"100000 x 10000 x 10000 voxels needs 80000\.9 GB"):
        refuse_too_little((100_000, 10_000, 10_000))


def test_a_scan_that_just_fits_passes_and_one_byte_less_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needed = needed_bytes((10, 64, 64))
    monkeypatch.setattr(memory, "available_bytes", lambda: needed)
    refuse_too_little((10, 64, 64))
    monkeypatch.setattr(memory, "available_bytes", lambda: needed - 1)
    with pytest.raises(DeviceError):
        refuse_too_little((10, 64, 64))


def test_some_memory_is_available_here() -> None:
    assert 0 < available_bytes() < 2**50


@pytest.mark.skipif(sys.platform == "win32", reason="the test reckons with touched pages")
def test_the_peak_counts_what_was_freed_again() -> None:
    lines = (
        "from lung_pipeline.diagnosis.memory import peak_bytes",
        "before = peak_bytes()",
        "block = b'x' * 200_000_000",
        "del block",
        "print(before, peak_bytes())",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True
    )
    before, after = map(int, done.stdout.split())
    assert 5_000_000 < before < 180_000_000
    assert after >= 200_000_000
