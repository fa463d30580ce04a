# SPDX-License-Identifier: Apache-2.0
"""The consensus of phantom readers is what they drew around, voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.annotations.consensus import consensus_voxels
from lung_pipeline.annotations.lidc_message import read_message
from lung_pipeline.phantom.lidc_xml import make_xml
from lung_pipeline.phantom.plan import ScanPlan, plan_scan


def _drawn_votes(plan: ScanPlan, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Voxels around a nodule, and how many readers' surfaces hold each voxel's centre."""
    nodule, readings = plan.patient.nodules[number], plan.patient.readings[number]
    centre_xyz_mm = plan.to_patient_space(np.array([nodule.centre_xyz_mm]))
    centre_irc = plan.grid.voxel_of(centre_xyz_mm)[0]
    reach = np.ceil((max(nodule.form.reach_mm) + 3) / np.asarray(plan.grid.spacing_irc_mm))
    around = np.indices(2 * reach.astype(int) + 1).reshape(3, -1).T
    around = around + centre_irc - reach.astype(int)
    around = around[plan.grid.contains_irc(around)]
    x, y, z = (plan.grid.irc_to_xyz_mm(around) - centre_xyz_mm).T
    distance_mm = nodule.form.distance(x, y, z)
    return around, sum((distance_mm < one.bias_mm).astype(int) for one in readings)


@pytest.mark.parametrize(
    ("subset", "scan"), [(0, 0), (0, 1), (2, 3)], ids=["plain", "flipped", "upside down"]
)
def test_consensus_of_phantom_readers_is_the_form_they_drew_around(subset: int, scan: int) -> None:
    num_round = 0
    for seed in range(6):
        plan = plan_scan(seed, subset, scan, "small")
        reads = read_message(make_xml(plan), "phantom").reads
        for number, nodule in enumerate(plan.patient.nodules):
            if nodule.shape != "round":
                continue  # a ring cuts the corners of narrow bays, so that it holds them too
            readers = [one.contours for one in reads if one.name == f"Nodule {number + 1:03d}"]
            voxels_irc, votes = _drawn_votes(plan, number)
            num_readers = len(readers)
            for level, at_least in ((0.0, 1), (0.5, (num_readers + 1) / 2), (1.0, num_readers)):
                found = consensus_voxels(readers, plan.file_grid, plan.grid, level)
                surely = voxels_irc[votes >= at_least]
                perhaps = voxels_irc[votes >= np.floor(at_least)]
                assert {*map(tuple, surely)} <= {*map(tuple, found)} <= {*map(tuple, perhaps)}
                assert len(found) > 0
            num_round += 1
    assert num_round >= 3
