# SPDX-License-Identifier: Apache-2.0
"""The primer's picture as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lung_pipeline.primer.neuron import learn
from lung_pipeline.primer.plot import write_plot

RED_RGB = np.array([0xC8, 0x44, 0x2F])


def test_plot_is_a_picture_with_the_eight_points_in_it(tmp_path: Path) -> None:
    from scipy import ndimage

    path = tmp_path / "new" / "primer.png"

    write_plot(learn(2_000, every=500), path)

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape == (720, 1600, 3)
    is_red = np.abs(pixels - RED_RGB).max(axis=2) < 8
    _, dots = ndimage.label(is_red)
    # The eight pairs, and one dot more in the legend.
    assert dots == 9
    assert [p.name for p in path.parent.iterdir()] == ["primer.png"]


def test_plot_of_the_same_steps_is_the_same_file(tmp_path: Path) -> None:
    steps = learn(1_000, every=500)

    for name in ("first.png", "second.png"):
        write_plot(steps, tmp_path / name)

    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
