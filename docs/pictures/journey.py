# SPDX-License-Identifier: Apache-2.0
"""Draws docs/pictures/journey.png: one phantom scan on its way through the five steps.

`make demo`, then: `.venv/bin/python docs/pictures/journey.py demo SCAN.mhd`. Nothing in the picture
is drawn by hand: it shows what the demo's models gave.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from lung_pipeline.crops.windows import cut_window
from lung_pipeline.ct.lungs import find_lungs
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.examined import Examined
from lung_pipeline.diagnosis.pipeline import examine
from lung_pipeline.diagnosis.verdict.rules import Rule
from lung_pipeline.home import Home
from lung_pipeline.tracking.models import models_by_alias
from lung_pipeline.tracking.names import CHALLENGER

mpl.use("Agg")
import matplotlib.pyplot as plt

LUNG_HU = {"vmin": -1000, "vmax": 300, "cmap": "gray"}
STEPS = ("1  data", "2  segmentation", "3  grouping", "4  classification", "5  diagnosis")
NUM_CROPS = 3


def main() -> None:
    """Read the scan, look through it as `lung-pipeline diagnose` does, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("scan", type=Path)
    chosen = parser.parse_args()
    ct = read_ct(chosen.scan)
    models = models_by_alias(Home.at(chosen.home), CHALLENGER).models
    found = examine(
        ct.voxels_hu,
        ct.grid,
        ct.original_grid,
        ct.series_uid,
        models,
        lungs=find_lungs(ct.voxels_hu, ct.grid),
        keeps_probabilities=True,
    )
    draw(ct, found, Path(__file__).with_suffix(".png"))


def draw(ct: CtVolume, found: Examined, path: Path) -> None:
    """Five panels, a step each."""
    figure = plt.figure(figsize=(14, 3.1), facecolor="white", layout="constrained")
    panels = figure.subplots(1, len(STEPS), width_ratios=(1, 1, 1, 0.75, 1.05))
    for panel, title in zip(panels, STEPS, strict=True):
        panel.set_title(title, loc="left", fontsize=12, fontweight="bold")
        panel.axis("off")
    index = slice_to_show(found)
    for panel in panels[:3]:
        panel.imshow(ct.voxels_hu[index], **LUNG_HU)
    draw_probabilities(panels[1], ct, found, index)
    draw_components(panels[2], ct, found, index)
    draw_crops(panels[3], ct, found)
    draw_verdict(panels[4], found)
    figure.savefig(path, dpi=100)
    # A palette is half the size and looks the same.
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


def slice_to_show(found: Examined) -> int:
    """The slice in which the most probable finding is largest."""
    first = max(range(len(found.findings)), key=lambda i: found.findings[i].nodule_probability)
    mask = found.masks[first]
    return mask.start_irc[0] + int(np.argmax(mask.voxels.sum(axis=(1, 2))))


def draw_probabilities(panel: Any, ct: CtVolume, found: Examined, index: int) -> None:
    """The U-Net's probability over the slice, clear where it is next to none."""
    shown = np.zeros(ct.grid.shape_irc[1:])
    if found.probabilities is not None:
        start, values = found.probabilities.start_irc, found.probabilities.values
        rows, columns = (slice(s, s + n) for s, n in zip(start[1:], values.shape[1:], strict=True))
        shown[rows, columns] = values[index - start[0]]
    panel.imshow(np.ma.masked_less(shown, 0.05), cmap="autumn", vmin=0, vmax=1, alpha=0.85)


def draw_components(panel: Any, ct: CtVolume, found: Examined, index: int) -> None:
    """What was grouped, a colour each."""
    labels = np.zeros(ct.grid.shape_irc[1:])
    for label, mask in enumerate(found.masks, 1):
        first, row, column = mask.start_irc
        if first <= index < first + len(mask.voxels):
            voxels = mask.voxels[index - first]
            part = labels[row : row + voxels.shape[0], column : column + voxels.shape[1]]
            part[voxels] = label
    panel.imshow(np.ma.masked_equal(labels, 0), cmap="tab10", vmin=1, vmax=10)


def draw_crops(panel: Any, ct: CtVolume, found: Examined) -> None:
    """Crops from the most to the least probable finding, with what the networks say."""
    sorted_findings = sorted(found.findings, key=lambda one: -one.nodule_probability)
    step = max(1, (len(sorted_findings) - 1) // (NUM_CROPS - 1))
    chosen = sorted_findings[::step][:NUM_CROPS]
    for place, finding in enumerate(chosen):
        xyz_mm = [[finding.x_mm, finding.y_mm, finding.z_mm]]
        crop = cut_window(ct.voxels_hu, ct.grid.voxel_of(np.array(xyz_mm))[0])
        inner = panel.inset_axes(
            (0, 1 - (place + 1) / NUM_CROPS + 0.02, 0.45, 1 / NUM_CROPS - 0.04)
        )
        inner.imshow(crop[len(crop) // 2], **LUNG_HU)
        inner.axis("off")
        said = f"nodule {finding.nodule_probability:.2f}"
        if finding.malignancy_probability is not None:
            said += f"\nmalignant {finding.malignancy_probability:.2f}"
        panel.text(0.52, 1 - (place + 0.5) / NUM_CROPS, said, va="center", fontsize=10)


def draw_verdict(panel: Any, found: Examined) -> None:
    """The verdict by the default rule, and the rule."""
    rule = Rule()
    nodules = rule.nodules(list(found.findings))
    lines = [
        f"{one.diameter_mm:.1f} mm at {one.x_mm:.0f}, {one.y_mm:.0f}, {one.z_mm:.0f}"
        for one in nodules
    ]
    panel.text(
        0, 0.93, rule.verdict(list(found.findings)), fontsize=14, fontweight="bold", va="top"
    )
    panel.text(
        0,
        0.74,
        "\n".join([f"{len(nodules)} nodule{'' if len(nodules) == 1 else 's'}", *lines[:5]]),
        fontsize=10,
        va="top",
    )
    panel.text(0, 0.0, "report.html, diagnosis.json,\nDICOM SEG and SR", fontsize=10, va="bottom")


if __name__ == "__main__":
    main()
