# SPDX-License-Identifier: Apache-2.0
"""Damaged inputs, each taken as a person's scan is: unpacked, read, and through the input gate.

    .venv/bin/python benchmarks/damaged.py [--only WORD]

Truncated, wrong sizes, types and values, shuffled, doubled and missing slices, bombs, names that
lead elsewhere: made from a small chest and, where it is, from the real CT of the reference data
(LUNG_PIPELINE_REFERENCE_DATA names it). Each is taken by a process of its own, which is forked
after the imports, so that its time and its peak of memory are its own.

What must hold: each is refused in one line of plain characters, by an error with value, place, rule
and cure, within 10 s and 3 GB, and no file appears, vanishes or changes outside the output folder.
What is harmless (files in another order, a text beside the slices) is read as if nothing had been
done. Ends with code 1 where any of it does not hold.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lung_pipeline_tests" / "disk"))

import numpy as np
import scipy.ndimage  # noqa: F401 (imports are not what is measured)
import SimpleITK  # noqa: F401
from damaged_dicom import dicom_damages, real_damages
from damaged_files import file_damages
from damaged_scans import Damage, take
from damaged_zips import zip_damages
from whole_scans import chest_hu

from lung_pipeline.ct.reading import read_ct
from lung_pipeline.errors import LungPipelineError

MOST_SECONDS, MOST_GB = 10.0, 3.0
KILLED_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input."""

    said: str
    """The refusal's line; empty where the scan was read."""

    fault: str = ""
    """What did not hold; empty where all did."""

    seconds: float = 0.0
    """From being handed in to the end."""

    peak_gb: float = 0.0
    """The most memory its process held, imports included."""


def all_damages() -> list[Damage]:
    """Those of the small chest, and of the real CT where it is."""
    data = Path(
        os.environ.get("LUNG_PIPELINE_REFERENCE_DATA")
        or Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    series = data / "lidc" / "LIDC-IDRI-0003"
    real = real_damages(series) if series.is_dir() else iter(())
    return [*file_damages(), *dicom_damages(), *zip_damages(), *real]


def run(damage: Damage, place: Path) -> Outcome:
    """Make one input, hand it in, and look at what became of it and of the disk."""
    (place / "in").mkdir()
    handed_in = damage.make(place / "in")
    before = _seen(place)
    receiving, sending = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_take_and_tell, args=(damage, handed_in, place / "out", sending)
    )
    process.start()
    sending.close()
    # A pipe that ends without a word is a process that died.
    told = receiving.poll(KILLED_AFTER_S)
    try:
        outcome = receiving.recv() if told else Outcome("", "it took a minute and was ended")
    except EOFError:
        outcome = Outcome("", "its process died")
    process.kill()
    process.join()
    after = {path: seen for path, seen in _seen(place).items() if "out" not in path.parts[:1]}
    if after != before and not outcome.fault:
        changed = sorted(str(path) for path in before.keys() ^ after.keys())
        return Outcome(outcome.said, f"written outside the output folder: {changed}")
    return outcome


def _take_and_tell(damage: Damage, handed_in: Path, out: Path, sending: Any) -> None:
    os.chdir(handed_in.parent if handed_in.is_file() else handed_in)
    started = time.perf_counter()
    fault = said = ""
    try:
        volume = take(handed_in, out)
    except LungPipelineError as error:
        said = str(error)
        fault = _fault_of_words(damage, error)
    except Exception as error:
        # What is not refused in words is what is looked for.
        fault = f"{type(error).__name__}: {error}"
    else:
        fault = _fault_of_volume(damage, volume.voxels_hu)
    seconds = time.perf_counter() - started
    unit = 1e9 if sys.platform == "darwin" else 1e6
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if (said and seconds > MOST_SECONDS) or peak_gb > MOST_GB:
        fault = fault or "too long or too large"
    sending.send(Outcome(said, fault, seconds, peak_gb))


def _fault_of_words(damage: Damage, error: LungPipelineError) -> str:
    if damage.is_harmless:
        return f"refused: {error}"
    if not str(error).isprintable():
        return "not one line of plain characters"
    return "" if error.rule and error.cure and error.place else "no rule, cure or place"


def _fault_of_volume(damage: Damage, voxels_hu: Any) -> str:
    if not damage.is_harmless:
        return "not refused"
    expected = whole_real() if damage.name.startswith("real") else chest_hu()
    return "" if np.array_equal(voxels_hu, expected) else "read as another volume"


def whole_real() -> Any:
    """The real CT's voxels, undamaged."""
    data = os.environ.get("LUNG_PIPELINE_REFERENCE_DATA")
    folder = Path(data) if data else Path(__file__).resolve().parents[2] / "shared" / "data"
    return read_ct(folder / "lidc" / "LIDC-IDRI-0003").voxels_hu


def _seen(place: Path) -> dict[Path, tuple[int, int, int]]:
    """All below, and what would change if it were written to."""
    found = {}
    for path in place.rglob("*"):
        state = path.lstat()
        is_folder = path.is_dir() and not path.is_symlink()
        written = 0 if is_folder else state.st_mtime_ns
        found[path.relative_to(place)] = (state.st_mode, 0 if is_folder else state.st_size, written)
    return found


def main() -> int:
    """Run all and print a table by kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="damages whose kind or name holds this")
    parser.add_argument("--tell", action="store_true", help="print each refusal")
    asked = parser.parse_args()
    by_kind: dict[str, list[Outcome]] = collections.defaultdict(list)
    for damage in all_damages():
        if asked.only not in f"{damage.kind}: {damage.name}":
            continue
        with tempfile.TemporaryDirectory() as name:
            outcome = run(damage, Path(name))
        by_kind[damage.kind].append(outcome)
        if asked.tell or outcome.fault:
            print(f"{damage.kind}: {damage.name}: {outcome.fault or outcome.said or 'read'}")
    return _print_table(by_kind)


def _print_table(by_kind: dict[str, list[Outcome]]) -> int:
    everything = [one for outcomes in by_kind.values() for one in outcomes]
    print(f"\n{'':<20}{'inputs':>7}{'refused':>9}{'read':>6}{'faults':>8}{'slowest':>9}{'peak':>9}")
    for kind, outcomes in [*sorted(by_kind.items()), ("all", everything)]:
        refused = sum(bool(one.said) for one in outcomes)
        faults = sum(bool(one.fault) for one in outcomes)
        slowest = max(one.seconds for one in outcomes)
        peak = max(one.peak_gb for one in outcomes)
        print(
            f"{kind:<20}{len(outcomes):>7}{refused:>9}{len(outcomes) - refused:>6}{faults:>8}"
            f"{slowest:>7.2f} s{peak:>6.2f} GB"
        )
    return 1 if any(one.fault for one in everything) else 0


if __name__ == "__main__":
    sys.exit(main())
