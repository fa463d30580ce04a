# SPDX-License-Identifier: Apache-2.0
"""One CT from DICOM to diagnosis.json as anybody writes it first: `diagnose.py` is set beside it.

    .venv/bin/python benchmarks/plain_inference.py SCAN SEGMENTATION NODULE

The same weights and the same steps, in the way of "Deep Learning with PyTorch", chapter 14: whole
slices in batches of four, float32, torch's own layout; SciPy's erosion, labels and centres of mass
over the whole volume; crops in batches of four. Erosion is ours (docs/architecture.md), so that the
candidates are the same.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import torch
from scipy import ndimage

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.grouping.components import ball_volume_mm3, eroding_axes
from lung_pipeline.learning.model_folder import read_model
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, UNet

sys.path.insert(0, str(Path(__file__).parent))
from plain import PlainUNet  # a script's neighbour, not a package

BATCH = 4
"""Slices, and crops, computed together."""


def read_scan(scan: Path) -> tuple[np.ndarray, SimpleITK.Image]:
    """A DICOM folder as HU in float32, shape (index, row, column), and ITK's image of it."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(scan)))
    image = reader.Execute()
    return SimpleITK.GetArrayFromImage(image).astype(np.float32).clip(-1000, 1000), image


def read_weights(segmentation: Path, nodule: Path) -> tuple[PlainUNet, CropClassifier]:
    """The two networks, as torch has them."""
    trained, _ = read_model(segmentation, UNet)
    unet = PlainUNet(**trained.architecture)
    unet.load_state_dict(trained.state_dict())
    classifier, _ = read_model(nodule, CropClassifier)
    return unet.eval(), classifier.eval()


@torch.no_grad()
def probabilities(unet: PlainUNet, voxels_hu: np.ndarray) -> np.ndarray:
    """Of nodule tissue, shape as the volume."""
    found = np.zeros(voxels_hu.shape, dtype=np.float32)
    last = len(voxels_hu) - 1
    for start in range(0, len(voxels_hu), BATCH):
        indices = range(start, min(start + BATCH, len(voxels_hu)))
        windows = [
            [
                voxels_hu[min(max(i + d, 0), last)]
                for d in range(-CONTEXT_SLICES, CONTEXT_SLICES + 1)
            ]
            for i in indices
        ]
        logits = unet(torch.from_numpy(np.array(windows)))
        found[indices.start : indices.stop] = torch.sigmoid(logits[:, 0]).numpy()
    return found


def _eroding_cross(spacing: tuple[float, ...]) -> np.ndarray:
    """A voxel and its neighbours along each axis fine enough to erode, shape (3, 3, 3)."""
    cross = np.zeros((3, 3, 3), dtype=np.bool_)
    cross[1, 1, 1] = True
    for axis in eroding_axes(spacing):
        np.moveaxis(cross, axis, 0)[[0, 2], 1, 1] = True
    return cross


def centers(mask: np.ndarray, voxels_hu: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Centres of mass of what erosion leaves, and is large enough, shape (n, 3)."""
    cores = ndimage.binary_erosion(mask, _eroding_cross(spacing))
    labels, count = ndimage.label(cores)
    numbers = np.arange(1, count + 1)
    # Two rounds of growing back, as ours, decide what is large enough.
    grown = labels
    for _ in range(2):
        near = ndimage.grey_dilation(grown, footprint=ndimage.generate_binary_structure(3, 1))
        grown = np.where((grown == 0) & mask, near, grown)
    sizes_mm3 = ndimage.sum_labels(mask, grown, numbers) * np.prod(spacing)
    wanted = numbers[sizes_mm3 >= ball_volume_mm3(3.0)]
    return np.array(ndimage.center_of_mass(voxels_hu + 1001, grown, wanted)).reshape(-1, 3)


@torch.no_grad()
def nodule_probabilities(
    classifier: CropClassifier, voxels_hu: np.ndarray, centers_irc: np.ndarray
) -> np.ndarray:
    """For each centre, shape (n,)."""
    size = np.array(CROP_SHAPE_IRC)
    padded = np.pad(voxels_hu, [(s, s) for s in size], constant_values=-1000)
    starts = np.floor(centers_irc + 0.5).astype(int) - size // 2 + size
    found = []
    for first in range(0, len(starts), BATCH):
        boxes = [tuple(map(slice, s, s + size)) for s in starts[first : first + BATCH]]
        crops = torch.from_numpy(np.stack([padded[box] for box in boxes]))
        found += classifier(crops[:, None]).softmax(1)[:, 1].tolist()
    return np.array(found)


def diagnose(scan: Path, unet: PlainUNet, classifier: CropClassifier, out: Path) -> dict[str, Any]:
    """From DICOM to diagnosis.json; returns findings and the seconds of each step."""
    seconds: dict[str, float] = {}
    before = time.perf_counter()

    def lap(step: str) -> None:
        nonlocal before
        now = time.perf_counter()
        seconds[step], before = now - before, now

    voxels_hu, image = read_scan(scan)
    lap("reading")
    marked = probabilities(unet, voxels_hu) >= 0.5
    lap("segmenting")
    centers_irc = centers(marked, voxels_hu, image.GetSpacing()[::-1])
    lap("grouping")
    sure = nodule_probabilities(classifier, voxels_hu, centers_irc)
    lap("classifying")
    xyz_mm = [image.TransformContinuousIndexToPhysicalPoint(c[::-1].tolist()) for c in centers_irc]
    findings = [
        {"xyz_mm": list(place), "nodule_probability": probability}
        for place, probability in zip(xyz_mm, sure.tolist(), strict=True)
    ]
    verdict = "no nodule" if sure.max(initial=0) < 0.5 else "not assessed"
    record = {"verdict": verdict, "findings": findings}
    (out / "diagnosis.json").write_text(json.dumps(record, indent=2))
    lap("writing")
    return {"findings": findings, "seconds": seconds}


def main() -> None:
    """Diagnose one scan and print how long it took."""
    scan, segmentation, nodule = (Path(argument) for argument in sys.argv[1:])
    out = Path.cwd()
    told = diagnose(scan, *read_weights(segmentation, nodule), out)
    print(json.dumps(told["seconds"], indent=2))


if __name__ == "__main__":
    main()
