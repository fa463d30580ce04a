# SPDX-License-Identifier: Apache-2.0
"""One stored series, looked at as the command looks at a file: lungs, gate, examination.

Belongs here: the order of these for a volume of the home, and what is told of one that cannot be
looked at. Does not belong here: the steps, and the tables of a subset (``subset.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lung_pipeline.ct.lungs import Lungs, find_lungs
from lung_pipeline.ct.quality import pass_gate
from lung_pipeline.ct.store import open_volume
from lung_pipeline.ct.subset import VOLUMES
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.memory import refuse_too_little
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.pipeline import examine
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.traces.trace import AnnotatedNodule, TracedNodule
from lung_pipeline.diagnosis.traces.tracing import find_and_trace, unseen
from lung_pipeline.diagnosis.verdict.rules import refuse_unfit
from lung_pipeline.errors import DeviceError, LostStoreError, LungPipelineError, ModelError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_table


@dataclass(frozen=True, slots=True, eq=False)
class LookedAt:
    """What became of one series."""

    findings: Sequence[Finding] = ()
    """All findings; none where the series could not be looked at."""

    masks: Sequence[FindingMask] = ()
    """The voxels of each, in the same order."""

    cautions: tuple[str, ...] = ()
    """What to bear in mind of the scan, in words."""

    problem: str = ""
    """Why it could not be looked at; empty where it was."""

    nodules: Sequence[TracedNodule] = ()
    """The way of each annotated nodule, where any were given."""

    tissue_shares: npt.NDArray[np.float64] | None = None
    """What lies around each finding; None where nothing was traced."""


def look_at(
    home: Home,
    subset: str,
    series_uid: str,
    models: Models,
    nodules: Sequence[AnnotatedNodule] | None = None,
) -> LookedAt:
    """Look at one stored series; one that cannot be is told of, and not raised.

    Args:
        home: where the volume is.
        subset: in which subset.
        series_uid: which.
        models: one for each step.
        nodules: its annotated nodules, where their way is to be traced.

    Raises:
        DeviceError: the machine failed, or has too little memory.
        ModelError: a model gives no numbers, or does not fit.
    """
    try:
        volume, lungs, cautions = _opened(home, subset, series_uid)
        return _looked_at(volume, lungs, cautions, models, nodules)
    except (DeviceError, LostStoreError, ModelError):
        # Not the series' fault: on another machine, with other models, it can be looked at.
        raise
    except LungPipelineError as error:
        # Without the folder: the same series makes the same table in every home.
        problem = str(error).replace(f"{home.root}/", "")
        spacing_mm = _slice_spacing_mm(home, subset, series_uid)
        return LookedAt(problem=problem, nodules=unseen(series_uid, spacing_mm, nodules or ()))


def _opened(home: Home, subset: str, series_uid: str) -> tuple[CtVolume, Lungs, tuple[str, ...]]:
    """The volume, its lungs, and what the gate says; raises what the gate refuses."""
    stored = open_volume(home.volume(subset, series_uid))
    # With probabilities: the trace looks at them beside the labels.
    refuse_too_little(stored.grid.shape_irc, keeps_probabilities=True)
    volume = CtVolume(
        series_uid=series_uid,
        voxels_hu=stored.read_all(),
        grid=stored.grid,
        original_grid=stored.original_grid,
        source_sha256=stored.source_sha256,
        slice_thickness_mm=stored.slice_thickness_mm,
    )
    lungs = find_lungs(volume.voxels_hu, volume.grid)
    return volume, lungs, tuple(one.in_words() for one in pass_gate(volume, lungs))


def _slice_spacing_mm(home: Home, subset: str, series_uid: str) -> float:
    """As it was when the volume was stored, which may be lost since."""
    columns = ["series_uid", "slice_spacing_mm"]
    known = dict(read_table(home.manifest(VOLUMES, subset), columns).to_numpy())
    return float(known[series_uid])


def _looked_at(
    volume: CtVolume,
    lungs: Lungs,
    cautions: tuple[str, ...],
    models: Models,
    nodules: Sequence[AnnotatedNodule] | None,
) -> LookedAt:
    place = (volume.voxels_hu, volume.grid, volume.original_grid, volume.series_uid)
    if nodules is None:
        found = examine(*place, models, lungs=lungs)
        refuse_unfit(found.findings)
        return LookedAt(found.findings, found.masks, cautions)
    traced = find_and_trace(*place, models, nodules, lungs)
    refuse_unfit(traced.findings)
    return LookedAt(
        traced.findings,
        traced.masks,
        cautions,
        nodules=traced.nodules,
        tissue_shares=traced.tissue_shares,
    )
