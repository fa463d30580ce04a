# SPDX-License-Identifier: Apache-2.0
"""The nodules that readers drew on a scan, as voxels of it, to be laid beside the findings.

As LUNA16's reference has them: nodules of 3 mm and more that at least three readers drew.

Belongs here: from one scan's XML to marks and masks. Does not belong here: on which voxels readers
agree (``annotations/consensus.py``), their verdict (``readers.py``), and drawing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lung_pipeline.annotations.consensus import Voxels, consensus_voxels
from lung_pipeline.annotations.contours import Contour
from lung_pipeline.annotations.lidc_nodules import FEWEST_READERS
from lung_pipeline.annotations.pixel_frame import has_readers_pixels
from lung_pipeline.annotations.reads import reads_table
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.grouping.components import ball_diameter_mm

if TYPE_CHECKING:
    import pandas as pd

    from lung_pipeline.annotations.lidc import LidcMarks
    from lung_pipeline.ct.volume import CtVolume

COLUMNS = ("series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm")
"""Of the table of marks: whose, where (LPS), and the diameter of the ball of the same volume."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadersMarks:
    """The nodules that readers drew on one scan."""

    table: pd.DataFrame
    """One row each, with ``COLUMNS``."""

    masks: tuple[FindingMask, ...]
    """The voxels on which the readers agree, in the order of the rows."""


def marks_on(volume: CtVolume, lidc: LidcMarks) -> ReadersMarks | None:
    """The nodules that enough readers drew, those left out on which they agree in no voxel.

    Args:
        volume: the scan.
        lidc: marks of its series, as ``readers.lidc_of_scan`` gives them.

    Returns:
        None where the file's pixels are not those the readers saw: a converter turned them.
    """
    import pandas as pd

    if not has_readers_pixels(volume.original_grid):
        return None
    agreed = [
        consensus_voxels(list(readers.values()), volume.original_grid, volume.grid)
        for readers in _outlines(lidc, volume.series_uid)
        if len(readers) >= FEWEST_READERS
    ]
    agreed = [voxels_irc for voxels_irc in agreed if len(voxels_irc)]
    rows = [(volume.series_uid, *_place_and_size(voxels_irc, volume)) for voxels_irc in agreed]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return ReadersMarks(table, tuple(_mask(voxels_irc) for voxels_irc in agreed))


def _outlines(lidc: LidcMarks, series_uid: str) -> Iterator[dict[int, list[Contour]]]:
    """For each nodule the outlines of each of its readers."""
    reads, _ = reads_table(lidc)
    message = lidc.series[series_uid]
    for _, of_nodule in reads[reads["series_uid"] == series_uid].groupby("lidc_nodule"):
        readers: dict[int, list[Contour]] = {}
        for number in of_nodule["read"].tolist():
            read = message.reads[number]
            readers.setdefault(read.reader, []).extend(read.contours)
        yield readers


def _place_and_size(voxels_irc: Voxels, volume: CtVolume) -> tuple[float, float, float, float]:
    (xyz_mm,) = volume.grid.irc_to_xyz_mm([voxels_irc.mean(axis=0)]).tolist()
    x_mm, y_mm, z_mm = xyz_mm
    return x_mm, y_mm, z_mm, ball_diameter_mm(len(voxels_irc) * volume.grid.voxel_volume_mm3)


def _mask(voxels_irc: Voxels) -> FindingMask:
    start, stop = voxels_irc.min(axis=0), voxels_irc.max(axis=0) + 1
    voxels = np.zeros(stop - start, dtype=np.bool_)
    voxels[tuple((voxels_irc - start).T)] = True
    index, row, column = start.tolist()
    return FindingMask((index, row, column), voxels)
