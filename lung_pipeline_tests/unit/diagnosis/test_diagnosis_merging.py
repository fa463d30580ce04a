# SPDX-License-Identifier: Apache-2.0
"""Which findings are one nodule, on cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.steps.merging import merged


def _finding(x_mm: float, diameter_mm: float, probability: float) -> Finding:
    return Finding("1.2", x_mm, 0.0, 0.0, 0.0, 0.0, 0.0, diameter_mm, probability, None)


def _masks(findings: list[Finding]) -> list[FindingMask]:
    return [FindingMask((n, 0, 0), np.ones((1, 1, 1), np.bool_)) for n in range(len(findings))]


@pytest.mark.parametrize(
    ("findings", "kept", "survivors"),
    [
        pytest.param([], (), (), id="none"),
        pytest.param([(0, 8, 0.9)], (0,), (0,), id="one"),
        pytest.param([(0, 8, 0.5), (3, 8, 0.9)], (1,), (0, 0), id="the more probable stays"),
        pytest.param([(0, 8, 0.9), (4, 8, 0.5)], (0, 1), (0, 1), id="half a diameter apart"),
        pytest.param([(0, 20, 0.5), (9, 4, 0.9)], (1,), (0, 0), id="the larger's half counts"),
        pytest.param([(0, 8, 0.9), (8, 8, 0.9)], (0, 1), (0, 1), id="balls that touch"),
        pytest.param([(0, 6, 0.9), (1, 9, 0.9)], (1,), (0, 0), id="as probable: the larger"),
        # The middle one falls to the first, and no longer reaches the last.
        pytest.param([(0, 8, 0.9), (3, 8, 0.8), (6, 8, 0.7)], (0, 2), (0, 0, 1), id="no chains"),
        pytest.param(
            [(3, 8, 0.9), (40, 8, 0.2), (0, 8, 0.8), (6, 8, 0.7)], (0, 1), (0, 1, 0, 0), id="two"
        ),
    ],
)
def test_findings_of_one_nodule_become_the_most_probable(
    findings: list[tuple[float, float, float]], kept: tuple[int, ...], survivors: tuple[int, ...]
) -> None:
    given = [_finding(*one) for one in findings]
    masks = _masks(given)
    merging = merged(given, masks)
    assert merging.kept == kept
    assert merging.survivors == survivors
    assert merging.findings == tuple(given[place] for place in kept)
    assert [mask.start_irc[0] for mask in merging.masks] == list(kept)


@pytest.mark.parametrize("axis", ["x_mm", "y_mm", "z_mm"])
def test_distances_count_along_every_axis(axis: str) -> None:
    far = {"x_mm": 0.0, "y_mm": 0.0, "z_mm": 0.0} | {axis: 5.0}
    rest = {"index": 0.0, "row": 0.0, "column": 0.0, "malignancy_probability": None}
    given = [
        _finding(0.0, 9.0, 0.9),
        Finding("1.2", **far, **rest, diameter_mm=9.0, nodule_probability=0.8),  # type: ignore[arg-type]
    ]
    assert merged(given, _masks(given)).kept == (0, 1)
