# SPDX-License-Identifier: Apache-2.0
"""Laws of grouping that hold for every mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lung_pipeline.grouping.components import group, label_parted

SPACINGS = st.sampled_from([(1.0, 1.0, 1.0), (2.5, 0.7, 0.7), (3.0, 2.0, 2.0)])
SHIFTS = st.tuples(*(st.integers(-4, 4),) * 3)

few = settings(max_examples=25, deadline=None)


def _scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs with room around them on all sides, and a volume."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((20, 24, 26), dtype=bool)
    blobs = ndimage.gaussian_filter(rng.normal(size=(10, 14, 16)), 1.5) > 0.1
    mask[5:15, 5:19, 5:21] = blobs
    return mask, rng.integers(-1000, 400, mask.shape).astype(np.int16)


@few
@given(st.integers(0, 999), SPACINGS, SHIFTS)
def test_what_is_moved_is_found_where_it_was_moved_to(seed, spacing, shift) -> None:  # type: ignore[no-untyped-def]
    mask, voxels_hu = _scene(seed)
    here = group(mask, voxels_hu, spacing)
    axes = (0, 1, 2)
    there = group(np.roll(mask, shift, axes), np.roll(voxels_hu, shift, axes), spacing)
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(np.add(one.center_irc, shift), other.center_irc, atol=1e-9)
        assert one.volume_mm3 == other.volume_mm3


@few
@given(st.integers(0, 999), SPACINGS, st.sampled_from([0, 1, 2]))
def test_what_is_kept_of_a_mirrored_mask_is_the_mirror_of_what_is_kept(seed, spacing, axis) -> None:  # type: ignore[no-untyped-def]
    # Not so which of two cores a voxel between them goes to: that is the one of higher number.
    mask, _ = _scene(seed)
    (here, count), (there, number) = (label_parted(m, spacing) for m in (mask, np.flip(mask, axis)))
    assert count == number
    np.testing.assert_array_equal(np.flip(here, axis) > 0, there > 0)


@few
@given(st.integers(0, 999), SPACINGS)
def test_centres_lie_within_the_marked_extent(seed, spacing) -> None:  # type: ignore[no-untyped-def]
    mask, voxels_hu = _scene(seed)
    marked = np.argwhere(mask)
    for component in group(mask, voxels_hu, spacing):
        assert (component.center_irc >= marked.min(axis=0)).all()
        assert (component.center_irc <= marked.max(axis=0)).all()


PLACES = st.tuples(*(st.floats(-0.5, 0.5),) * 3)


@settings(max_examples=100, deadline=None)
@given(st.floats(3.5, 6.0), st.floats(0.5, 1.5), st.floats(0.5, 0.8), PLACES)
def test_a_small_nodule_is_kept_wherever_it_lies_between_voxels(  # type: ignore[no-untyped-def]
    diameter_mm, slice_mm, pixel_mm, place
) -> None:
    spacing, shape = (slice_mm, pixel_mm, pixel_mm), (17, 19, 19)
    steps = np.indices(shape).T - (np.array(shape) // 2 + place)
    ball = (((steps * spacing) ** 2).sum(-1) <= (diameter_mm / 2) ** 2).T
    assert len(group(ball, np.zeros(shape, np.int16), spacing)) == 1
