# SPDX-License-Identifier: Apache-2.0
"""What changed, and what is made again of it: the rows of docs/how-to/what-is-made-again.md.

Each test changes one thing in a home whose data stages are made, goes through them again as the job
`ingest` does, and looks which volumes and crops were written anew, and which tables became others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.annotations.lidc import find_lidc
from lung_pipeline.annotations.lidc_subset import make_lidc_reads
from lung_pipeline.annotations.rules import MalignancyRule, TwoOfReaders, rule_named
from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import make_candidates
from lung_pipeline.crops import subset as crops_subset
from lung_pipeline.crops.store import CROPS, INDEX, SIGNATURES
from lung_pipeline.crops.subset import crops_that_differ, make_crops
from lung_pipeline.ct import store, subset
from lung_pipeline.ct.subset import convert_volumes, list_raw
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table, write_table
from lung_pipeline.writing import remove

TABLES = ("raw_subset", "hu_volumes", "lidc_reads", "candidates")


@dataclass(frozen=True)
class State:
    """What the data stages of a subset left."""

    versions: dict[str, str]
    """The data version of each stage."""

    volumes: dict[str, int]
    """For each series the place of its volume's metadata on the disk: another one was written."""

    crops: int
    """The same of the crops."""

    tables: dict[str, bytes]
    """The tables, byte by byte."""

    def others(self, later: State) -> set[str]:
        """The stages that have another data version later."""
        return {name for name, one in self.versions.items() if later.versions[name] != one}


def _state(home: Home, name: str = "subset0") -> State:
    tables = {stage: home.manifest(stage, name) for stage in TABLES}
    all_tables = {**tables, "crops": home.crops(name) / INDEX}
    stored = (home.root / "volumes" / name).glob("*.zarr")
    return State(
        {one: fingerprint(read_table(path), read_origin(path)) for one, path in all_tables.items()},
        {path.stem: (path / "zarr.json").stat().st_ino for path in stored},
        (home.crops(name) / CROPS).stat().st_ino,
        {stage: path.read_bytes() for stage, path in tables.items()},
    )


def _ingest(
    home: Home,
    *,
    split: SplitRule | None = None,
    rule: MalignancyRule | None = None,
    name: str = "subset0",
) -> State:
    """Go through the data stages; each returns the version that its table has."""
    made = [
        list_raw(home, name)[1],
        convert_volumes(home, name)[1],
        make_lidc_reads(home, name)[2],
        make_candidates(home, name, split or SplitRule(), rule or TwoOfReaders())[1],
        make_crops(home, name)[1],
    ]
    state = _state(home, name)
    assert list(state.versions.values()) == made
    return state


def _rewrite(path: Path, content: bytes) -> None:
    """New content under an old name; the linked original keeps its own."""
    path.unlink()
    path.write_bytes(content)


def _with_another_diameter(home: Home, name: str) -> None:
    """Make the first annotated nodule of a subset half a millimetre wider in annotations.csv."""
    path = home.raw / "annotations.csv"
    series = {scan.stem for scan in home.raw_subset(name).glob("*.mhd")}
    lines = path.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if line.split(",")[0] in series)
    cells = lines[number].split(",")
    lines[number] = ",".join([*cells[:4], str(float(cells[4]) + 0.5)])
    _rewrite(path, "\n".join([*lines, ""]).encode())


def _with_another_voxel(home: Home) -> str:
    """Change one voxel of the first scan; returns its series."""
    path = sorted(home.raw_subset("subset0").glob("*.raw"))[0]
    voxels = np.frombuffer(path.read_bytes(), dtype="<i2").copy()
    voxels[len(voxels) // 2] += 1
    _rewrite(path, voxels.tobytes())
    return path.stem


def test_nothing_changed_nothing_is_made(own_home: Home) -> None:
    before = _state(own_home)
    assert _ingest(own_home) == before


def test_times_of_the_scans_change_nothing(own_home: Home) -> None:
    before = _state(own_home)
    for path in own_home.raw_subset("subset0").iterdir():
        _rewrite(path, path.read_bytes())
    assert _ingest(own_home) == before


def test_a_changed_table_makes_candidates_and_crops_and_no_volume(own_home: Home) -> None:
    before = _state(own_home)
    _with_another_diameter(own_home, "subset0")
    after = _ingest(own_home)
    assert before.others(after) == {"candidates", "crops"}
    assert after.volumes == before.volumes
    assert after.crops != before.crops


def test_a_changed_row_of_another_subset_makes_nothing(own_home: Home) -> None:
    before = _state(own_home)
    _with_another_diameter(own_home, "subset1")
    assert _ingest(own_home) == before


def test_a_changed_cutter_makes_the_crops_alone(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _state(own_home)
    monkeypatch.setattr(crops_subset, "CUTTER_VERSION", crops_subset.CUTTER_VERSION + 1)
    after = _ingest(own_home)
    assert before.others(after) == {"crops"}
    assert (after.volumes, after.tables) == (before.volumes, before.tables)
    assert after.crops != before.crops


def test_crops_of_another_shape_are_cut_again(own_home: Home) -> None:
    before = _state(own_home)
    index = own_home.crops("subset0") / INDEX
    write_table(read_table(index), index, {**read_origin(index), "shape_irc": [16, 48, 48]})
    after = _ingest(own_home)
    assert before.others(after) == set()
    assert (after.volumes, after.tables) == (before.volumes, before.tables)
    assert after.crops != before.crops
    assert read_origin(index)["shape_irc"] == [32, 48, 48]


def test_a_changed_scan_makes_its_volume_alone_and_the_crops(own_home: Home) -> None:
    before = _state(own_home)
    series_uid = _with_another_voxel(own_home)
    after = _ingest(own_home)
    assert before.others(after) == {"raw_subset", "hu_volumes", "crops"}
    written = {uid for uid in before.volumes if after.volumes[uid] != before.volumes[uid]}
    assert written == {series_uid}
    assert after.crops != before.crops
    assert crops_that_differ(own_home, "subset0") == []


def test_a_lost_scan_leaves_the_volumes_of_the_others(own_home: Home) -> None:
    before = _state(own_home)
    lost = sorted(own_home.raw_subset("subset0").glob("*.mhd"))[0]
    lost.with_suffix(".raw").unlink()
    lost.unlink()
    after = _ingest(own_home)
    assert before.others(after) >= {"raw_subset", "hu_volumes", "candidates", "crops"}
    kept = set(before.volumes) - {lost.stem}
    assert {uid: after.volumes[uid] for uid in kept} == {uid: before.volumes[uid] for uid in kept}


def test_another_converter_makes_every_volume_and_the_crops(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _state(own_home)
    for module in (store, subset):
        monkeypatch.setattr(module, "CONVERTER_VERSION", "another")
    after = _ingest(own_home)
    assert before.others(after) == {"hu_volumes", "crops"}
    assert not set(before.volumes.values()) & set(after.volumes.values())


def test_another_malignancy_rule_makes_candidates_and_crops(own_home: Home) -> None:
    before = _state(own_home)
    after = _ingest(own_home, rule=rule_named("mean"))
    assert before.others(after) == {"candidates", "crops"}
    assert after.volumes == before.volumes


def test_another_split_makes_candidates_and_crops(own_home: Home) -> None:
    before = _state(own_home)
    after = _ingest(own_home, split=SplitRule(seed=SplitRule().seed + 1))
    assert before.others(after) == {"candidates", "crops"}
    assert after.volumes == before.volumes


def test_other_readers_marks_make_marks_candidates_and_crops(own_home: Home) -> None:
    before = _state(own_home)
    source = find_lidc(own_home.raw)
    assert source is not None
    remove(source)
    after = _ingest(own_home)
    assert before.others(after) == {"lidc_reads", "candidates", "crops"}
    assert after.volumes == before.volumes


@pytest.mark.parametrize("name", [CROPS, SIGNATURES])
def test_crops_that_somebody_changed_are_cut_again(own_home: Home, name: str) -> None:
    before = _state(own_home)
    path = own_home.crops("subset0") / name
    array = np.load(path)
    array.reshape(-1)[5] += 1
    path.unlink()
    np.save(path, array)
    after = _ingest(own_home)
    assert before.others(after) == set()
    assert crops_that_differ(own_home, "subset0") == []
    assert not np.array_equal(np.load(path), array)


@pytest.mark.parametrize("name", [CROPS, SIGNATURES])
def test_crops_that_are_not_whole_are_cut_again(own_home: Home, name: str) -> None:
    before = _state(own_home)
    path = own_home.crops("subset0") / name
    whole, times = path.read_bytes(), path.stat()
    _rewrite(path, whole[: len(whole) // 2])
    # As old as it was, so that only its length tells.
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after = _ingest(own_home)
    assert before.others(after) == set()
    assert path.read_bytes() == whole


def test_a_subset_leaves_the_others_as_they_are(own_home: Home) -> None:
    before = _state(own_home, "subset1")
    _with_another_voxel(own_home)
    _with_another_diameter(own_home, "subset0")
    _ingest(own_home)
    assert _ingest(own_home, name="subset1") == before
