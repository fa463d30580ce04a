# SPDX-License-Identifier: Apache-2.0
"""A sample of the damaged inputs; ``benchmarks/damaged.py`` takes all of them."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from damaged_dicom import dicom_damages, real_damages
from damaged_files import file_damages
from damaged_scans import Damage, take
from damaged_zips import zip_damages
from whole_scans import chest_hu, write_dicom, write_file

from lung_pipeline.ct.reading import read_ct
from lung_pipeline.errors import LungPipelineError


def sample() -> list[Damage]:
    """One of each kind, a second of the frequent ones, and the harmless archives."""
    bombs_and_more = [one for one in zip_damages() if "MiB" not in one.name]
    everything = sorted([*file_damages(), *dicom_damages(), *bombs_and_more], key=lambda d: d.kind)
    found = []
    for _, group in itertools.groupby(everything, lambda one: one.kind):
        of_kind = list(group)
        found += of_kind[::25]
    return [*found, *(one for one in bombs_and_more if one.kind == "harmless" and one not in found)]


def below(folder: Path) -> Iterator[tuple[str, int, bytes]]:
    """Every file below, with its kind and bytes; a link is not followed."""
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) and path.stat().st_size < 1 << 24 else b""
        yield str(path), stat.S_IFMT(mode), content


@pytest.mark.parametrize("damage", sample(), ids=lambda one: f"{one.kind}: {one.name!a}")
def test_damaged_input_is_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path, damage: Damage, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    handed_in = damage.make(tmp_path / "in")
    before = list(below(tmp_path))
    if damage.is_harmless:
        np.testing.assert_array_equal(take(handed_in, tmp_path / "out").voxels_hu, chest_hu())
    else:
        with pytest.raises(LungPipelineError) as caught:
            take(handed_in, tmp_path / "out")
        assert str(caught.value).isprintable()
        assert caught.value.cure.endswith(".")
    assert [
        one for one in below(tmp_path) if not one[0].startswith(f"{tmp_path}{os.sep}out")
    ] == before
    assert capfd.readouterr() == ("", "")


def test_each_damage_has_a_name_of_its_own_and_there_are_three_hundred() -> None:
    named = [(one.kind, one.name) for one in (*file_damages(), *dicom_damages(), *zip_damages())]
    assert len(named) == len(set(named))
    assert len(named) >= 300


@pytest.mark.parametrize("name", ["a.mhd", "packed.mha", "a.nii.gz", "packed.nrrd"])
def test_chest_that_the_damages_start_from_passes(tmp_path: Path, name: str) -> None:
    volume = take(write_file(tmp_path, name), tmp_path / "out")
    np.testing.assert_array_equal(volume.voxels_hu, chest_hu())


def test_chest_in_dicom_passes(tmp_path: Path) -> None:
    volume = take(write_dicom(tmp_path / "s"), tmp_path / "out")
    np.testing.assert_array_equal(volume.voxels_hu, chest_hu())
    assert volume.slice_thickness_mm == 3.0


@pytest.mark.slow
def test_real_ct_with_its_files_shuffled_is_the_same_volume(
    reference_data: Path, tmp_path: Path
) -> None:
    series = reference_data / "lidc" / "LIDC-IDRI-0003"
    (shuffled,) = (one for one in real_damages(series) if one.is_harmless)
    volume = read_ct(shuffled.make(tmp_path))
    whole = read_ct(series)
    assert volume.source_sha256 == whole.source_sha256
    np.testing.assert_array_equal(volume.voxels_hu, whole.voxels_hu)
