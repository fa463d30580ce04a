# SPDX-License-Identifier: Apache-2.0
"""A CT, its findings and the network's probabilities as OME-Zarr 0.5, which common viewers open.

    <name>.ome.zarr/        the CT in HU, three resolutions: "0" as read, "1" and "2" coarser
      labels/findings/      for each voxel the number of its finding, or 0; the same resolutions
      probability/          the probability of nodule tissue, an image of its own

Belongs here: that layout. Does not belong here: the store the pipeline itself reads
(``store.py``).

OME-Zarr 0.5 knows a scale and a translation along z, y, x, and no direction. So its millimetres
are the patient's (LPS) for an untilted scan; under a tilt they share the first voxel's place only,
and the truth is the grid in the attributes under "lung_pipeline".
Specification: https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.geometry import Triple, VoxelGrid
from lung_pipeline.ct.grid_attributes import attributes_of
from lung_pipeline.ct.hounsfield import HIGHEST_HU, LOWEST_HU
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import GeometryError
from lung_pipeline.writing import written_whole

LABELS, FINDINGS, PROBABILITY = "labels", "findings", "probability"
"""Names below the image; the first is the specification's."""

CHUNK_IRC = (32, 128, 128)
"""A file each, unsharded: a viewer then needs no more of a server than whole files."""

SLAB_SLICES = 64
"""Slices at work at a time; whole chunks at each resolution."""

STEPS_IRC = ((1, 1, 1), (1, 2, 2), (2, 4, 4))
"""Voxels to a cell of each resolution: in the plane first, where a CT is finest."""

SMALLEST_SIDE = 64
"""A picture no wider than this is small enough: no coarser one is made of it."""

LUNG_WINDOW_HU = (-1350, 150)
"""What viewers show at first: width 1500 around -600, the usual window for lungs."""

_OURS, _VERSION = "lung_pipeline", "0.5"
_GOLDEN = 0.618034

_Array = npt.NDArray[Any]


class PlacedValues(Protocol):
    """Values in a box of the volume, such as ``segmentation.probability_box.ProbabilityBox``."""

    @property
    def start_irc(self) -> Triple:
        """First voxel of the box in the volume."""

    @property
    def values(self) -> npt.NDArray[np.floating[Any]]:
        """One value a voxel, shape of the box."""


def write_ome_zarr(
    path: Path,
    volume: CtVolume,
    probabilities: PlacedValues | None,
    labels: npt.NDArray[np.uint16],
) -> None:
    """Write a volume and what was found in it, whole or not at all; an older one is replaced.

    Coarser cells hold the mean of their voxels, and of labels the highest, so that no finding
    vanishes. Probabilities are stored in float32, since Neuroglancer reads no float16 and bytes
    would lose the unit; in half precision's few digits they compress as well.

    Args:
        path: the folder, by custom ``<name>.ome.zarr``.
        volume: the CT, in canonical order.
        probabilities: of nodule tissue, in the box that was looked at, or None.
        labels: for each voxel the number of its finding from 1, or 0; shape of the volume.

    Raises:
        GeometryError: labels or probabilities that do not fit the volume.
    """
    import zarr

    _refuse_other_shape(volume, probabilities, labels)
    grid = volume.grid
    with written_whole(path) as temporary:
        root = zarr.open_group(temporary, mode="w-", zarr_format=3)
        levels = _write_levels(root, volume.voxels_hu, grid, (0, 0, 0), _mean)
        attributes = {"ome": _image(volume.series_uid, levels) | {"omero": _omero()}}
        root.attrs.update(attributes | {_OURS: _truth(volume)})
        of_labels = root.create_group(LABELS)
        of_labels.attrs["ome"] = {"version": _VERSION, "labels": [FINDINGS]}
        findings = of_labels.create_group(FINDINGS)
        levels = _write_levels(findings, labels, grid, (0, 0, 0), _highest)
        shown = {"image-label": _image_label(int(labels.max(initial=0)))}
        findings.attrs["ome"] = _image(FINDINGS, levels) | shown
        if probabilities is not None:
            box, start_irc = probabilities.values, probabilities.start_irc
            group = root.create_group(PROBABILITY)
            levels = _write_levels(group, box, grid, start_irc, _mean, np.dtype(np.float32))
            group.attrs["ome"] = _image(PROBABILITY, levels)
            group.attrs[_OURS] = {"start_irc": list(start_irc)}


def _write_levels(
    group: Any,
    voxels: _Array,
    grid: VoxelGrid,
    start_irc: Triple,
    merge: Callable[[_Array], _Array],
    dtype: np.dtype[Any] | None = None,
) -> list[dict[str, Any]]:
    """Write all resolutions of a box of the grid, slab by slab; returns their ``datasets``."""
    from zarr.codecs import BloscCodec

    steps = [s for s in STEPS_IRC if s == (1, 1, 1) or _is_wide(voxels.shape, s)]
    arrays = [
        group.create_array(
            str(level),
            shape=tuple(-(-size // by) for size, by in zip(voxels.shape, step, strict=True)),
            dtype=dtype or voxels.dtype,
            chunks=CHUNK_IRC,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle"),
            fill_value=0,
            dimension_names=("z", "y", "x"),
        )
        for level, step in enumerate(steps)
    ]
    for first in range(0, voxels.shape[0], SLAB_SLICES):
        slab = voxels[first : first + SLAB_SLICES]
        for array, step in zip(arrays, steps, strict=True):
            cells = slab if step == (1, 1, 1) else merge(_cells(slab, step))
            begin = first // step[0]
            array[begin : begin + len(cells)] = cells.astype(array.dtype, copy=False)
    return [_dataset(level, grid, start_irc, step) for level, step in enumerate(steps)]


def _is_wide(shape_irc: Sequence[int], step_irc: Triple) -> bool:
    """Whether the next finer picture is wider than need be."""
    return max(shape_irc[1:]) * 2 // step_irc[1] > SMALLEST_SIDE


def _cells(slab: _Array, step_irc: Triple) -> _Array:
    """The voxels of each cell along axes 1, 3 and 5; cells that leave the slab repeat its edge."""
    missing = [-size % by for size, by in zip(slab.shape, step_irc, strict=True)]
    padded = np.pad(slab, [(0, count) for count in missing], mode="edge") if any(missing) else slab
    split = [n for size, by in zip(padded.shape, step_irc, strict=True) for n in (size // by, by)]
    return padded.reshape(split)


def _mean(cells: _Array) -> _Array:
    means = cells.mean(axis=(1, 3, 5), dtype=np.float32)
    return np.rint(means) if np.issubdtype(cells.dtype, np.integer) else means


def _highest(cells: _Array) -> _Array:
    return np.asarray(cells.max(axis=(1, 3, 5)))


def _dataset(level: int, grid: VoxelGrid, start_irc: Triple, step_irc: Triple) -> dict[str, Any]:
    """Where a resolution lies: a cell's centre is the middle of its voxels' centres."""
    spacing, step = np.asarray(grid.spacing_irc_mm), np.asarray(step_irc)
    origin_zyx_mm = np.asarray(grid.origin_xyz_mm)[::-1]
    first_mm = origin_zyx_mm + (np.asarray(start_irc) + (step - 1) / 2) * spacing
    return {
        "path": str(level),
        "coordinateTransformations": [
            {"type": "scale", "scale": (spacing * step).tolist()},
            {"type": "translation", "translation": first_mm.tolist()},
        ],
    }


def _image(name: str, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    axes = [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"]
    return {
        "version": _VERSION,
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets}],
    }


def _omero() -> dict[str, Any]:
    start, end = LUNG_WINDOW_HU
    window = {"min": LOWEST_HU, "max": HIGHEST_HU, "start": start, "end": end}
    return {"channels": [{"label": "CT", "color": "FFFFFF", "active": True, "window": window}]}


def _image_label(highest: int) -> dict[str, Any]:
    numbers = range(1, highest + 1)
    return {
        "colors": [{"label-value": number, "rgba": _rgba(number)} for number in numbers],
        "properties": [{"label-value": number, "finding": number} for number in numbers],
        # From labels/findings up to the image.
        "source": {"image": "../../"},
    }


def _rgba(number: int) -> list[int]:
    """Colours around the circle by the golden ratio: neighbours in number differ widely."""
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.85, 1.0)
    return [round(255 * red), round(255 * green), round(255 * blue), 255]


def _truth(volume: CtVolume) -> dict[str, Any]:
    return {
        "series_uid": volume.series_uid,
        "source_sha256": volume.source_sha256,
        **attributes_of(volume.grid),
        "original_grid": attributes_of(volume.original_grid),
    }


def _refuse_other_shape(
    volume: CtVolume, probabilities: PlacedValues | None, labels: npt.NDArray[np.uint16]
) -> None:
    shape = volume.grid.shape_irc
    if labels.shape != shape:
        raise _unfit(labels.shape, volume, f"labels must have the volume's shape {shape}")
    if probabilities is None:
        return
    start, size = probabilities.start_irc, probabilities.values.shape
    if not all(0 <= a < a + n <= whole for a, n, whole in zip(start, size, shape, strict=True)):
        rule = f"the box of probabilities must lie within the volume's shape {shape}"
        raise _unfit(f"{size} from {start}", volume, rule)


def _unfit(value: object, volume: CtVolume, rule: str) -> GeometryError:
    cure = "Give what was made from this very volume, in canonical order."
    return GeometryError(value=value, place=volume.series_uid, rule=rule, cure=cure)
