# SPDX-License-Identifier: Apache-2.0
"""The input gate: what passes, what passes with a caution, and what does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.lungs import Lungs
from lung_pipeline.ct.quality import Caution, pass_gate
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import QualityError

SHAPE_IRC = (60, 32, 32)
UID = "1.2.3"


def body() -> npt.NDArray[np.int16]:
    """Tissue around a ball of lung, with noise: what the gate asks of voxels, and no anatomy."""
    index, row, column = np.indices(SHAPE_IRC)
    away = ((index - 30) / 26) ** 2 + ((row - 16) / 12) ** 2 + ((column - 16) / 12) ** 2
    noise = np.random.default_rng(0).normal(0, 60, SHAPE_IRC)
    return np.clip(np.where(away < 1, -850, 40) + noise, -1000, 1000).astype(np.int16)


def volume(
    voxels_hu: npt.NDArray[np.int16] | None = None,
    spacing_irc_mm: tuple[float, float, float] = (2.5, 2.5, 2.5),
    thickness_mm: float | None = None,
) -> CtVolume:
    voxels_hu = body() if voxels_hu is None else voxels_hu
    shape: Any = voxels_hu.shape
    grid = VoxelGrid(shape, spacing_irc_mm, (0.0, 0.0, 0.0))
    return CtVolume(UID, voxels_hu, grid, grid, "0", thickness_mm)


def lungs(of: CtVolume, first: int = 10, last: int = 49, side: int = 20) -> Lungs:
    """A block from the first to the last slice; 250 ml of it by default."""
    mask = np.zeros(of.grid.shape_irc, dtype=bool)
    mask[first : last + 1, 4 : 4 + side, 4 : 4 + side] = True
    return Lungs(mask, (1, 1, 1), of.grid)


def test_a_chest_passes_without_a_caution() -> None:
    assert pass_gate(volume(), lungs(volume())) == ()


def test_slices_of_three_millimetres_pass_without_a_caution() -> None:
    thin = volume(spacing_irc_mm=(3.0, 2.5, 2.5), thickness_mm=3.0)
    assert pass_gate(thin, lungs(thin)) == ()


@pytest.mark.parametrize(
    ("spacing_irc_mm", "thickness_mm", "told"),
    [
        ((3.01, 2.5, 2.5), None, f"{UID} (slice distance): slices should be at most 3 mm"),
        ((5.0, 2.5, 2.5), 2.5, f"{UID} (slice distance): slices should be at most 3 mm"),
        ((2.5, 2.5, 2.5), 5.0, f"{UID} (SliceThickness (0018|0050)): slices should be"),
        ((2.5, 2.5, 3.2), 2.5, f"{UID} (spacing in the slice): slices should be"),
    ],
)
def test_thick_slices_pass_with_a_caution(
    spacing_irc_mm: Any, thickness_mm: float | None, told: str
) -> None:
    thick = volume(spacing_irc_mm=spacing_irc_mm, thickness_mm=thickness_mm)
    (caution,) = pass_gate(thick, lungs(thick))
    assert caution.in_words().startswith(told)
    largest = max(*spacing_irc_mm, thickness_mm or 0)
    assert caution.value == f"{largest:g} mm"


@pytest.mark.parametrize(("distance_mm", "thickness_mm"), [(5.01, None), (2.5, 5.1), (10.0, 10.0)])
def test_slices_above_five_millimetres_are_refused_unless_forced(
    distance_mm: float, thickness_mm: float | None
) -> None:
    thick = volume(spacing_irc_mm=(distance_mm, 2.5, 2.5), thickness_mm=thickness_mm)
    with pytest.raises(QualityError, match="slices must be at most 5 mm thick") as caught:
        pass_gate(thick, lungs(thick))
    assert "force the diagnosis" in caught.value.cure
    (caution,) = pass_gate(thick, lungs(thick), is_forced=True)
    assert caution.value == f"{max(distance_mm, thickness_mm or 0):g} mm, forced"


def test_lungs_that_are_cut_off_are_told_for_each_end() -> None:
    cut = pass_gate(volume(), lungs(volume(), first=0, last=59))
    assert [caution.value for caution in cut] == ["lungs cut off below", "lungs cut off above"]
    assert [c.value for c in pass_gate(volume(), lungs(volume(), first=0))] == [cut[0].value]
    assert [c.value for c in pass_gate(volume(), lungs(volume(), last=59))] == [cut[1].value]


def padded(values: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """Clipped as the readers do."""
    return np.clip(np.rint(values), -1000, 1000).astype(np.int16)


def in_turn(voxels_hu: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Slices of one half and of the other in turn."""
    return voxels_hu[np.arange(60).reshape(2, 30).T.ravel()]


def one_doubled(voxels_hu: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    return np.concatenate([voxels_hu[:31], voxels_hu[30:59]])


BODY = body().astype(np.float64)
REFUSED: list[tuple[str, CtVolume, str]] = [
    ("in micrometres", volume(spacing_irc_mm=(2500, 2500, 2500)), "at most 2500 mm along each"),
    ("in metres", volume(spacing_irc_mm=(0.0025, 0.0025, 0.0025)), "reach over 100 mm"),
    ("39 slices", volume(body()[:39]), "39 slices of 2.5 mm, 98 mm"),
    ("six thick slices", volume(body()[::10], (25.0, 2.5, 2.5)), "and 7 slices"),
    ("8 bits over the scale", volume(padded((BODY // 10) * 10)), "at least 300 different HU"),
    ("two values", volume(np.where(body() < -400, -1000, 0).astype(np.int16)), "got 2"),
    ("rescaled twice", volume(padded(BODY - 1024)), "at least 300 different HU"),
    (
        "another zero",
        volume(padded(np.where(BODY > -400, BODY + 700, BODY))),
        r"2% of the voxels must be tissue \(-200 to 200 HU\), got 0.0%",
    ),
    ("stored values", volume(padded(BODY + 1024 + 900)), "must have at least|must be tissue"),
    ("shuffled", volume(np.random.default_rng(1).permutation(body())), "slices 2 apart must"),
    ("in turn", volume(in_turn(body())), "slices 1 apart must differ by at most 1.2"),
    ("one picture twice", volume(one_doubled(body())), "got 1, slice 31 from the feet"),
]


@pytest.mark.parametrize(("scan", "told"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
@pytest.mark.parametrize("is_forced", [False, True])
def test_what_is_no_chest_in_hu_is_refused_also_when_forced(
    scan: CtVolume, told: str, is_forced: bool
) -> None:
    with pytest.raises(QualityError, match=told) as caught:
        pass_gate(scan, lungs(scan, last=30), is_forced=is_forced)
    assert caught.value.place == UID
    assert caught.value.cure.endswith(".")


@pytest.mark.parametrize("side", [0, 1, 19])
def test_lungs_below_a_quarter_of_a_litre_are_no_lungs(side: int) -> None:
    # 40 slices of side x side voxels of 15.625 mm3 each: 0, 0.6 and 226 ml.
    with pytest.raises(QualityError, match=r"lungs of at least 250 ml .* got (0|1|226) ml"):
        pass_gate(volume(), lungs(volume(), side=side))


def test_lungs_of_a_little_more_than_that_are_lungs() -> None:
    assert pass_gate(volume(), lungs(volume(), side=20)) == ()  # 250 ml exactly


def test_a_caution_is_one_line_of_plain_characters_whatever_the_file_was_called() -> None:
    caution = Caution(value="3", place="a\nb\x1b[0m", rule="a rule", cure="A cure.")
    assert caution.in_words() == "a\\nb\\x1b[0m: a rule, got 3. A cure."
