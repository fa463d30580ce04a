# SPDX-License-Identifier: Apache-2.0
"""How large the readers' consensus is, beside the diameters LUNA16 published.

LUNA16's diameter is a mean over the readers; by which rule voxels are voted into one mask decides
whether the mask is as large. No CT is needed: pixels are placed by the excluded findings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.consensus import consensus_voxels
from lung_pipeline.annotations.contours import enclosed
from lung_pipeline.annotations.lidc import read_lidc
from lung_pipeline.annotations.lidc_message import Message
from lung_pipeline.annotations.lidc_nodules import match_nodules, nodules_table
from lung_pipeline.annotations.pixel_frame import FittedFrame, fit_frame
from lung_pipeline.annotations.reads import reads_table
from lung_pipeline.ct.geometry import VoxelGrid


def _slice_step_mm(message: Message) -> float:
    """The distance of slices, told by those that were marked."""
    marked = {contour.z_mm for read in message.reads for contour in read.contours}
    apart = np.diff(sorted(marked | {mark.z_mm for mark in message.marks}))
    return float(apart[apart > 0.3].min())


def _grid(frame: FittedFrame, slices_mm: list[float], step_mm: float) -> VoxelGrid:
    """The part of the scan that holds these slices, columns and rows as they run in the file."""
    pixel_mm, way = abs(frame.pixel_mm), float(np.sign(frame.pixel_mm))
    num_slices = round((max(slices_mm) - min(slices_mm)) / step_mm) + 1
    return VoxelGrid(
        (num_slices, 512, 512),
        (step_mm, pixel_mm, pixel_mm),
        (frame.origin_x_mm, frame.origin_y_mm, min(slices_mm)),
        ((way, 0.0, 0.0), (0.0, way, 0.0), (0.0, 0.0, 1.0)),
    )


@pytest.fixture(scope="module")
def sizes(reference_data: Path) -> pd.DataFrame:
    """For each nodule LUNA16's diameter, and those of balls as large as three kinds of mask."""
    lidc = read_lidc(reference_data / "lidc" / "LIDC-XML-only.zip")
    annotations = luna.read_annotations(reference_data / "luna16" / luna.ANNOTATIONS_FILE)
    excluded = luna.read_excluded(reference_data / "luna16" / luna.EXCLUDED_FILE)
    frames = {
        str(uid): frame
        for uid, rows in excluded.groupby("series_uid")
        if (frame := fit_frame(lidc.series[str(uid)].marks, rows))
    }
    reads, _ = reads_table(lidc)
    matched = match_nodules(annotations, nodules_table(reads, frames), frames)
    numbers = reads.groupby(["series_uid", "lidc_nodule"])["read"].agg(list)
    rows = []
    for one in matched[matched["distance_mm"].notna()].itertuples():
        message, frame = lidc.series[str(one.series_uid)], frames[str(one.series_uid)]
        readers = [message.reads[n].contours for n in numbers[one.series_uid, one.lidc_nodule]]
        slices_mm = [contour.z_mm for contours in readers for contour in contours]
        grid = _grid(frame, slices_mm, _slice_step_mm(message))
        keys = np.concatenate([enclosed(contours).keys for contours in readers])
        _, votes = np.unique(keys, return_counts=True)
        counts = (
            len(consensus_voxels(readers, grid, grid)),
            np.count_nonzero(2 * votes >= len(readers)),
            np.count_nonzero(2 * votes > len(readers)),
        )
        diameters = np.cbrt(6 / np.pi * np.array(counts) * grid.voxel_volume_mm3)
        rows.append((len(readers), one.diameter_mm, *diameters))
    return pd.DataFrame(rows, columns=["num_readers", "told", "middle", "half", "most"])


@pytest.mark.slow
def test_middle_surface_is_nearer_to_luna16s_diameters_than_either_vote(
    sizes: pd.DataFrame,
) -> None:
    off = sizes[["middle", "half", "most"]].sub(sizes["told"], axis=0)
    of_four = off[sizes["num_readers"] == 4]
    assert len(sizes) == 1169
    assert of_four.mean().round(2).tolist() == [0.04, 0.20, -0.45]
    assert of_four.abs().mean().round(2).tolist() == [0.21, 0.27, 0.46]


@pytest.mark.slow
def test_with_three_readers_all_three_are_one(sizes: pd.DataFrame) -> None:
    of_three = sizes[sizes["num_readers"] == 3]
    assert len(of_three) > 400
    # Where two marked slices lie nearer than the step told, two of them share one of the grid.
    differ = (of_three["middle"] - of_three["most"]).abs() > 1e-6
    assert (of_three["half"] == of_three["most"]).all()
    assert differ.mean() < 0.02
