# SPDX-License-Identifier: Apache-2.0
"""What is drawn keeps to its strengths, effect by effect, and can be written down and replayed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from lung_pipeline.crops.augmentation_draw import Augmentation, draw, from_json
from lung_pipeline.crops.augmentation_settings import (
    FOR_CROPS,
    FOR_PATCHES,
    OFF,
    AugmentationSettings,
)
from lung_pipeline.errors import SettingError

MANY = 4000

AXES = [(0, "slices"), (1, "rows"), (2, "columns")]


def _drawn(settings: AugmentationSettings = FOR_CROPS, number: int = MANY) -> Augmentation:
    return draw(number, np.random.default_rng(1), settings)


def _only(**strength: Any) -> AugmentationSettings:
    return OFF.model_copy(update=strength)


def test_nothing_is_drawn_where_everything_is_off() -> None:
    drawn = _drawn(OFF)
    assert (drawn.mirror_irc == 1).all()
    assert not drawn.shift_irc.any()
    assert (drawn.scale == 1).all()
    assert not drawn.is_turned
    assert drawn.noise_hu == 0


@pytest.mark.parametrize(("axis", "name"), AXES)
def test_each_axis_is_mirrored_in_half_of_the_samples_and_no_other(axis: int, name: str) -> None:
    mirrored = _drawn(_only(**{f"mirror_{name}": True})).mirror_irc == -1
    assert np.mean(mirrored[:, axis]) == pytest.approx(0.5, abs=0.04)
    assert not np.delete(mirrored, axis, axis=1).any()


@pytest.mark.parametrize(("axis", "name"), AXES)
def test_each_axis_is_shifted_by_up_to_its_strength_to_both_sides(axis: int, name: str) -> None:
    shift = _drawn(_only(**{f"shift_{name}": 3.0})).shift_irc
    assert not np.delete(shift, axis, axis=1).any()
    assert np.histogram(shift[:, axis], 6, (-3, 3))[0] == pytest.approx(MANY / 6, rel=0.15)


def test_scales_and_angles_fill_their_ranges_evenly() -> None:
    scale = _drawn(_only(scaling=0.2)).scale
    assert np.histogram(scale, 8, (0.8, 1.2))[0] == pytest.approx(MANY / 8, rel=0.15)
    angle = _drawn(_only(rotation_deg=30)).angle_deg
    assert np.histogram(angle, 6, (-30, 30))[0] == pytest.approx(MANY / 6, rel=0.15)


def test_turning_an_effect_off_leaves_what_is_drawn_of_the_others() -> None:
    whole, part = _drawn(), _drawn(FOR_CROPS.model_copy(update={"rotation_deg": 0, "scaling": 0}))
    np.testing.assert_array_equal(whole.shift_irc, part.shift_irc)
    np.testing.assert_array_equal(whole.mirror_irc, part.mirror_irc)
    np.testing.assert_array_equal(whole.noise_seeds, part.noise_seeds)


def test_no_effect_tells_of_another() -> None:
    drawn = draw(4_000, np.random.default_rng(1))
    effects = (drawn.mirror_irc, drawn.shift_irc, drawn.scale, drawn.angle_deg)
    between = np.corrcoef(np.column_stack(effects).T) - np.eye(8)
    assert abs(between).max() < 0.06  # of 4,000 pairs: nearly four deviations


def test_the_seed_decides_what_is_drawn() -> None:
    one, again, other = (draw(3, np.random.default_rng(seed)).as_json() for seed in (1, 1, 2))
    assert one == again != other


def test_each_sample_has_a_noise_of_its_own() -> None:
    assert len(set(_drawn().noise_seeds.tolist())) > MANY - 3


def test_crops_have_the_strengths_of_the_first_design_and_patches_no_shift() -> None:
    assert draw(5, np.random.default_rng(1)).as_json() == _drawn(FOR_CROPS, 5).as_json()
    assert FOR_CROPS.shift_slices == pytest.approx(0.1 * 32 / 2)
    assert FOR_CROPS.shift_rows == FOR_CROPS.shift_columns == pytest.approx(0.1 * 48 / 2)
    assert not _drawn(FOR_PATCHES).shift_irc.any()
    assert _drawn(FOR_PATCHES).is_turned


@pytest.mark.parametrize(
    "wrong", [{"shift_rows": -1}, {"scaling": 1.0}, {"rotation_deg": 181}, {"noise_hu": -1}]
)
def test_strength_outside_its_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        AugmentationSettings.model_validate(wrong)


def test_json_text_gives_the_same_augmentation_to_the_bit() -> None:
    drawn = _drawn(number=4)
    again = from_json(json.loads(json.dumps(drawn.as_json())))
    assert again.as_json() == drawn.as_json()
    assert again.noise_seeds.dtype == np.int64


def test_part_of_a_batch_has_the_rows_of_its_samples() -> None:
    drawn = _drawn(number=5)
    part = drawn.part(slice(3, None))
    assert len(part) == 2
    for name, values in drawn.as_json().items():
        assert part.as_json()[name] == (values if name == "noise_hu" else values[3:])


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("scale", None, "'mirror_irc' of shape"),
        ("scale", [1.0, None], "'scale' that is not finite"),
        ("scale", [1.0], "'mirror_irc' of shape"),
        ("shift_irc", [[1.0], [2.0]], r"'shift_irc' of shape \(2, 1\), not \(2, 3\)"),
        ("noise_hu", "much", "ValueError"),
        ("noise_seeds", [1, 2, 3], "'noise_seeds' of shape"),
    ],
)
def test_record_of_no_batch_is_refused(field: str, value: Any, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        from_json({**_drawn(number=2).as_json(), field: value})


def test_record_without_a_field_is_refused() -> None:
    record = _drawn(number=2).as_json()
    del record["scale"]
    with pytest.raises(SettingError, match="KeyError: 'scale'"):
        from_json(record)
