# SPDX-License-Identifier: Apache-2.0
"""A scan that does not fit is refused before it is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.diagnosis import memory
from lung_pipeline.diagnosis.memory import (
    available_bytes,
    left_in_group,
    needed_bytes,
    refuse_too_little,
)
from lung_pipeline.errors import DeviceError


def test_the_need_grows_with_the_voxels() -> None:
    small, large = needed_bytes((100, 512, 512)), needed_bytes((700, 512, 512))
    assert large - small == 600 * 512 * 512 * 8
    # The largest scans are to stay below 2.5 GB, and are measured to; this is above what they take.
    assert large < 2.6e9


MEASURED = [
    *(((100, 512, 512), 0.92e9), ((300, 512, 512), 1.38e9), ((700, 512, 512), 2.23e9)),
    *(((140, 512, 512), 1.12e9), ((140, 512, 512), 1.30e9)),
]
"""Peaks of the whole command: phantoms in bfloat16, a real CT in bfloat16 and in float32."""


@pytest.mark.parametrize(("shape_irc", "peak_bytes"), MEASURED)
def test_estimate_is_above_every_measured_peak(
    shape_irc: tuple[int, int, int], peak_bytes: float
) -> None:
    assert peak_bytes < needed_bytes(shape_irc) < peak_bytes + 0.4e9


def test_widest_file_takes_most_while_it_is_read() -> None:
    """As float64, 512 slices fill the 1 GiB that a file may have; NIfTI's reader has it twice."""
    assert needed_bytes((512, 512, 512)) == 150_000_000 + 2 * (1 << 30)
    assert needed_bytes((300, 512, 512)) == 1_050_000_000 + 8 * 300 * 512 * 512
    assert needed_bytes((700, 512, 512)) == 1_050_000_000 + 8 * 700 * 512 * 512


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are told in other ways elsewhere")
@pytest.mark.parametrize(("name", "copies"), [("a.nii", 2), ("a.mhd", 1), ("a.nrrd", 1)])
def test_reading_takes_no_more_than_is_reckoned(tmp_path: Path, name: str, copies: int) -> None:
    import SimpleITK

    voxels = np.random.default_rng(0).integers(-1000, 1001, (40, 512, 512)).astype(np.float64)
    image = SimpleITK.GetImageFromArray(voxels)
    SimpleITK.WriteImage(image, str(tmp_path / name))
    lines = (
        "import sys; from pathlib import Path",
        "from lung_pipeline.ct.reading import read_ct",
        "from lung_pipeline.diagnosis.memory import peak_bytes",
        "read_ct(Path(sys.argv[1])); print(peak_bytes())",
    )
    command = [sys.executable, "-c", "\n".join(lines), str(tmp_path / name)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # The volume in 16 bits is made while the image still stands.
    expected = copies * voxels.nbytes + (voxels.nbytes // 4 if copies == 1 else 0)
    assert int(done.stdout) < memory.READER_BYTES + expected + 10_000_000


GROUPS = [
    ("no limit", {"memory.max": "max"}, []),
    ("kept files are no need", {}, [700]),
    ("nothing kept", {"memory.stat": "anon 5\n"}, [400]),
    ("more kept than used", {"memory.stat": "inactive_file 900\n"}, [1000]),
    ("beyond the limit", {"memory.current": "2000"}, [0]),
    ("no number", {"memory.current": "?"}, []),
]


@pytest.mark.parametrize(("files", "left"), [g[1:] for g in GROUPS], ids=[g[0] for g in GROUPS])
def test_what_a_container_leaves(tmp_path: Path, files: dict[str, str], left: list[int]) -> None:
    stat = "anon 250\ninactive_file 300\nactive_file 50\n"
    whole = {"memory.max": "1000\n", "memory.current": "600\n", "memory.stat": stat}
    for name, text in {**whole, **files}.items():
        (tmp_path / name).write_text(text)
    assert left_in_group(tmp_path) == left


def test_without_a_container_there_is_no_limit(tmp_path: Path) -> None:
    assert left_in_group(tmp_path) == []


def test_a_scan_larger_than_any_machine_is_refused_in_words() -> None:
    with pytest.raises(DeviceError, match=r"100000 x 10000 x 10000 voxels needs 80001\.\d GB"):
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
