# SPDX-License-Identifier: Apache-2.0
"""Laws of the augmentation that hold for whatever is drawn."""

from __future__ import annotations

import json

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lung_pipeline.crops import augmentation
from lung_pipeline.crops.augmentation_settings import OFF, AugmentationSettings

SHAPE = (9, 16, 16)

SEEDS = st.integers(0, 2**31)

STRENGTHS = st.builds(
    AugmentationSettings,
    mirror_slices=st.booleans(),
    mirror_rows=st.booleans(),
    mirror_columns=st.booleans(),
    shift_slices=st.sampled_from([0.0, 2.5]),
    shift_rows=st.sampled_from([0.0, 2.5]),
    shift_columns=st.sampled_from([0.0, 2.5]),
    scaling=st.sampled_from([0.0, 0.3]),
    rotation_deg=st.sampled_from([0.0, 20.0, 180.0]),  # without a turn axes are resampled alone
    noise_hu=st.sampled_from([0.0, 15.0]),
)

few = settings(max_examples=60, deadline=None)


def _crops(number: int, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(-1000, 400, (number, 1, *SHAPE))).float()


@few
@given(STRENGTHS, SEEDS)
def test_a_sample_does_not_depend_on_the_others(strengths, seed) -> None:  # type: ignore[no-untyped-def]
    drawn = augmentation.draw(3, np.random.default_rng(seed), strengths)
    crops_hu = _crops(3, seed)
    together = augmentation.apply(crops_hu, drawn)
    others = torch.cat([_crops(1, seed + 1), crops_hu[1:2], _crops(1, seed + 2)])
    assert torch.equal(augmentation.apply(others, drawn)[1], together[1])
    for n in range(3):
        alone = augmentation.apply(crops_hu[n : n + 1], drawn.part(slice(n, n + 1)))
        torch.testing.assert_close(alone[0], together[n], rtol=0, atol=1e-3)


@few
@given(STRENGTHS, SEEDS)
def test_what_is_replayed_from_a_log_is_the_same_to_the_bit(strengths, seed) -> None:  # type: ignore[no-untyped-def]
    drawn = augmentation.draw(2, np.random.default_rng(seed), strengths)
    replayed = augmentation.from_json(json.loads(json.dumps(drawn.as_json())))
    crops_hu = _crops(2, seed)
    first = augmentation.apply(crops_hu, drawn)
    assert torch.equal(first, augmentation.apply(crops_hu, replayed))


@few
@given(STRENGTHS, SEEDS)
def test_before_or_after_another_nothing_done_does_nothing(strengths, seed) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    nothing, drawn = (augmentation.draw(2, rng, chosen) for chosen in (OFF, strengths))
    crops_hu = _crops(2, seed)
    once = augmentation.apply(crops_hu, drawn)
    assert torch.equal(augmentation.apply(once, nothing), once)
    assert torch.equal(augmentation.apply(augmentation.apply(crops_hu, nothing), drawn), once)


@few
@given(SEEDS)
def test_mirrored_twice_a_crop_is_itself(seed) -> None:  # type: ignore[no-untyped-def]
    mirrors = OFF.model_copy(
        update={"mirror_slices": True, "mirror_rows": True, "mirror_columns": True}
    )
    drawn = augmentation.draw(3, np.random.default_rng(seed), mirrors)
    crops_hu = _crops(3, seed)
    twice = augmentation.apply(augmentation.apply(crops_hu, drawn), drawn)
    assert torch.equal(twice, crops_hu)


@few
@given(STRENGTHS, SEEDS)
def test_no_voxel_leaves_the_range_of_its_crop_without_noise(strengths, seed) -> None:  # type: ignore[no-untyped-def]
    still = strengths.model_copy(update={"noise_hu": 0})
    drawn = augmentation.draw(2, np.random.default_rng(seed), still)
    crops_hu = _crops(2, seed)
    found = augmentation.apply(crops_hu, drawn)
    assert found.min() >= crops_hu.min() - 0.01
    assert found.max() <= crops_hu.max() + 0.01


@few
@given(STRENGTHS, SEEDS)
def test_a_ball_and_its_mask_stay_together_within_a_voxel(strengths, seed) -> None:  # type: ignore[no-untyped-def]
    still = strengths.model_copy(update={"noise_hu": 0})
    drawn = augmentation.draw(1, np.random.default_rng(seed), still)
    place = np.indices((17, 25, 25)) - np.array([8, 12, 12])[:, None, None, None]
    depth = torch.from_numpy(3.0 - np.linalg.norm(place, axis=0)).float()[None, None]
    # Depth under the ball's surface in voxels, of the crop before it was scaled.
    found, mask = augmentation.apply(depth, drawn, depth > 0)
    assert mask.any()
    assert (found[mask] > -1).all()
    assert (found[~mask] < 1).all()
