# SPDX-License-Identifier: Apache-2.0
"""A subset's scans become volumes: each once, again only when changed, a bad one alone left out."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from lung_pipeline.ct import subset as ct_subset
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.reading import read_ct, sha256_of
from lung_pipeline.ct.store import open_volume
from lung_pipeline.ct.subset import RAW, VOLUMES, convert_volumes, list_raw, series_with_volume
from lung_pipeline.errors import ReadingError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.phantom.folder import make_header
from lung_pipeline.tables import fingerprint, read_origin, read_table

GRID = VoxelGrid((6, 8, 10), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))


def _scans(home: Home) -> list[Path]:
    return sorted(home.raw_subset("subset0").glob("*.mhd"))


def _replace(path: Path, content: bytes) -> None:
    """New content under an old name; the linked original keeps its own."""
    path.unlink()
    path.write_bytes(content)


def _states(home: Home) -> dict[str, tuple[int, int]]:
    """For each volume when its store was written, and where its metadata lie on the disk."""
    stats = {uid: (home.volume("subset0", uid) / "zarr.json").stat() for uid in _uids(home)}
    return {uid: (stat.st_mtime_ns, stat.st_ino) for uid, stat in stats.items()}


def _uids(home: Home) -> list[str]:
    return sorted(p.stem for p in (home.root / "volumes" / "subset0").glob("*.zarr"))


def _write_tiny(home: Home, name: str, hu: int = -500) -> None:
    folder = home.raw_subset("tiny")
    folder.mkdir(parents=True, exist_ok=True)
    voxels = np.full(GRID.shape_irc, hu, dtype="<i2")
    voxels[0] = -900
    (folder / name).write_bytes(make_header(GRID, "LOCAL").encode() + voxels.tobytes())


def _ingest(home: Home, subset: str = "subset0") -> tuple[str, str]:
    return list_raw(home, subset)[1], convert_volumes(home, subset)[1]


def test_raw_manifest_lists_each_scan_with_size_and_hash(phantom_home: Home) -> None:
    manifest = read_table(phantom_home.manifest(RAW, "subset0"))
    scans = _scans(phantom_home)
    assert manifest["scan"].tolist() == [scan.name for scan in scans]
    files = [(scan, scan.with_suffix(".raw")) for scan in scans]
    assert manifest["sha256"].tolist() == [sha256_of(pair) for pair in files]
    sizes = [sum(file.stat().st_size for file in pair) for pair in files]
    assert manifest["num_bytes"].tolist() == sizes
    assert manifest["problem"].tolist() == ["", "", ""]


def test_volume_manifest_tells_of_each_volume_what_it_holds(phantom_home: Home) -> None:
    manifest = read_table(phantom_home.manifest(VOLUMES, "subset0"))
    assert series_with_volume(phantom_home, "subset0") == [s.stem for s in _scans(phantom_home)]
    for row in manifest.itertuples():
        volume = open_volume(phantom_home.volume("subset0", str(row.series_uid)))
        voxels_hu = volume.read_all()
        assert volume.source_sha256 == row.source_sha256
        assert (row.lowest_hu, row.highest_hu) == (voxels_hu.min(), voxels_hu.max())
        assert (row.num_slices, row.slice_spacing_mm, row.pixel_spacing_mm) == (
            volume.grid.shape_irc[0],
            volume.grid.spacing_irc_mm[0],
            volume.grid.spacing_irc_mm[2],
        )
    # The second phantom of a subset0 is written with rows and columns flipped.
    assert manifest["turned"].tolist() == [False, True, False]


def test_stored_volume_is_the_scan_as_it_is_read(phantom_home: Home) -> None:
    scan = _scans(phantom_home)[1]
    read, stored = read_ct(scan), open_volume(phantom_home.volume("subset0", scan.stem))
    np.testing.assert_array_equal(stored.read_all(), read.voxels_hu)
    assert (stored.grid, stored.original_grid) == (read.grid, read.original_grid)


def test_unchanged_scans_are_not_converted_again(own_home: Home) -> None:
    before, manifest = _states(own_home), read_table(own_home.manifest(VOLUMES, "subset0"))
    first = fingerprint(manifest, read_origin(own_home.manifest(VOLUMES, "subset0")))
    told: list[str] = []
    list_raw(own_home, "subset0")
    _, again = convert_volumes(own_home, "subset0", told.append)
    assert _states(own_home) == before
    assert again == first
    assert told == [scan.name for scan in _scans(own_home)]


def test_changed_scan_alone_is_converted_again(own_home: Home) -> None:
    before, (_, first) = _states(own_home), _ingest(own_home)
    raw = _scans(own_home)[0].with_suffix(".raw")
    voxels = np.fromfile(raw, dtype="<i2")
    voxels[0] = 77
    _replace(raw, voxels.tobytes())
    _, second = _ingest(own_home)
    after = _states(own_home)
    assert [uid for uid in before if after[uid] != before[uid]] == [raw.stem]
    assert open_volume(own_home.volume("subset0", raw.stem)).read_all()[0, 0, 0] == 77
    assert second != first


def test_damaged_volume_is_made_again(own_home: Home) -> None:
    _, first = _ingest(own_home)
    volume = own_home.volume("subset0", _uids(own_home)[2])
    shard = next(p for p in volume.rglob("*") if p.is_file() and p.name != "zarr.json")
    shard.unlink()
    with pytest.raises(StoreError, match="0 of"):
        open_volume(volume)
    assert _ingest(own_home)[1] == first
    open_volume(volume).read_all()


def test_broken_scan_stands_in_the_manifests_and_costs_nobody_else(
    own_home: Home, tmp_path: Path
) -> None:
    fresh = Home.at(tmp_path / "elsewhere" / "home")
    shutil.copytree(own_home.raw, fresh.raw, copy_function=os.link)
    fingerprints = []
    for home in (own_home, fresh):
        scan = _scans(home)[0]
        _replace(scan.with_suffix(".raw"), scan.with_suffix(".raw").read_bytes()[:-100])
        fingerprints.append(_ingest(home))
        raw = read_table(home.manifest(RAW, "subset0"))
        volumes = read_table(home.manifest(VOLUMES, "subset0"))
        for manifest in (raw, volumes):
            assert manifest["scan"].tolist() == [path.name for path in _scans(home)]
            assert (manifest["problem"] != "").tolist() == [True, False, False]
            assert scan.stem in manifest["problem"][0]
            assert str(home.root) not in manifest["problem"][0]
        assert series_with_volume(home, "subset0") == [path.stem for path in _scans(home)[1:]]
    # Neither where the home lies nor what was converted before shows in the data version.
    assert fingerprints[0] == fingerprints[1]


def test_two_homes_give_one_fingerprint(phantom_home: Home, tmp_path: Path) -> None:
    fresh = Home.at(tmp_path / "fresh")
    shutil.copytree(phantom_home.raw, fresh.raw, copy_function=os.link)
    stored = [phantom_home.manifest(stage, "subset1") for stage in (RAW, VOLUMES)]
    expected = tuple(fingerprint(read_table(path), read_origin(path)) for path in stored)
    assert _ingest(fresh, "subset1") == expected


def test_scan_whose_name_fits_no_folder_is_left_out_with_the_reason(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    _write_tiny(home, "a scan.mha")
    _write_tiny(home, "good.mha")
    _ingest(home, "tiny")
    manifest = read_table(home.manifest(VOLUMES, "tiny"))
    assert "a name must consist of" in manifest["problem"][0]
    assert series_with_volume(home, "tiny") == ["good"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such name")
def test_scan_whose_name_is_no_text_is_left_out_and_costs_nobody_else(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    _write_tiny(home, os.fsdecode(b"M\xfcller.mha"), hu=-500)
    _write_tiny(home, "well.mha", hu=-501)
    _ingest(home, "tiny")
    manifest = read_table(home.manifest(VOLUMES, "tiny"))
    assert manifest["scan"].tolist() == [r"M\udcfcller.mha", "well.mha"]
    assert "must be UTF-8" in manifest["problem"][0]
    assert series_with_volume(home, "tiny") == ["well"]


def test_scan_that_may_not_be_read_costs_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that root copied; a test that is root may read it all the same."""
    home = Home.at(tmp_path)
    for name in ("a.mha", "b.mha"):
        _write_tiny(home, name)

    def hashed(files: tuple[Path, ...]) -> str:
        if files[0].name == "a.mha":
            raise PermissionError(errno.EACCES, "Permission denied", str(files[0]))
        return sha256_of(files)

    monkeypatch.setattr(ct_subset, "sha256_of", hashed)
    _ingest(home, "tiny")
    assert series_with_volume(home, "tiny") == ["b"]
    (told,) = read_table(home.manifest(RAW, "tiny"), ["problem"])["problem"][:1]
    assert told == "[Errno 13] Permission denied: 'a.mha'"


def test_second_scan_of_one_series_is_refused(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    _write_tiny(home, "x.MHA", hu=-400)
    _write_tiny(home, "x.mha", hu=-300)
    _ingest(home, "tiny")
    manifest = read_table(home.manifest(VOLUMES, "tiny"))
    assert manifest["problem"].tolist() == ["", "x.mha: the series x stands here twice"]
    assert open_volume(home.volume("tiny", "x")).read_all().max() == -400


def test_copy_that_is_listed_before_its_original_does_not_double_the_series(
    tmp_path: Path,
) -> None:
    home = Home.at(tmp_path)
    _write_tiny(home, "x.mha")
    _ingest(home, "tiny")
    _write_tiny(home, "x.MHA")  # the same bytes, and earlier in the list
    _ingest(home, "tiny")
    assert series_with_volume(home, "tiny") == ["x"]


def test_repaired_scan_is_converted(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    _write_tiny(home, "x.mha")
    whole = (home.raw_subset("tiny") / "x.mha").read_bytes()
    _write_tiny(home, "y.mha")
    (home.raw_subset("tiny") / "x.mha").write_bytes(whole[:-5])
    _ingest(home, "tiny")
    assert series_with_volume(home, "tiny") == ["y"]
    (home.raw_subset("tiny") / "x.mha").write_bytes(whole)
    _ingest(home, "tiny")
    assert series_with_volume(home, "tiny") == ["x", "y"]


def test_subset_without_scans_is_an_error_in_words(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    with pytest.raises(ReadingError, match="a subset must be a folder that holds scans"):
        list_raw(home, "subset7")
    home.raw_subset("subset7").mkdir(parents=True)
    with pytest.raises(ReadingError, match=r"subset7.*got no scan"):
        list_raw(home, "subset7")
    assert not home.manifest(RAW, "subset7").exists()


def test_conversion_before_listing_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Materialize the asset before"):
        convert_volumes(Home.at(tmp_path), "subset0")
