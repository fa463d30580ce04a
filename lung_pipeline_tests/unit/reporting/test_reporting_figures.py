# SPDX-License-Identifier: Apache-2.0
"""The figures of a card, and the order and numbers of findings in a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.patient import Diagnosis, Rule
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.patient.figures import figures_of
from lung_pipeline.reporting.patient.shown import in_order

PLAIN = Finding("1", 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.9, 0.8)
MEASURED = replace(
    PLAIN,
    volume_mm3=179.6,
    longest_axial_mm=8.26,
    mean_hu=-320.4,
    density="part-solid",
    lung_border_mm=4.25,
)


def texts(finding: Finding) -> dict[str, str]:
    return {figure.name: figure.text for figure in figures_of(finding, "0.800")}


def test_every_figure_of_a_measured_finding_is_told_with_its_unit() -> None:
    assert texts(MEASURED) == {
        "Nodule probability": "0.900",
        "Malignancy probability": "0.800",
        "Equivalent diameter, mm": "7.0",
        "Longest axial diameter, mm": "8.3",
        "Volume, mm³": "180",
        "Kind by density": "part-solid",
        "Mean density, HU": "-320",
        "Depth in the lung, mm": "4.2",
        "Centre x, y, z, mm (LPS)": "1.0, 2.0, 3.0",
        "Slice, row, column": "4.0, 5.0, 6.0",
    }


def test_a_finding_outside_the_lungs_is_told_so() -> None:
    told = texts(replace(MEASURED, lung_border_mm=-3.0))
    assert told["Outside the lungs by, mm"] == "3.0"
    assert "Depth in the lung, mm" not in told


def test_what_was_not_measured_is_not_a_number() -> None:
    told = texts(PLAIN)
    for name in (
        "Longest axial diameter, mm",
        "Volume, mm³",
        "Kind by density",
        "Mean density, HU",
    ):
        assert told[name] == "not measured"
    assert told["Depth in the lung, mm"] == "not measured"


def mask(index: int) -> FindingMask:
    return FindingMask((index, 0, 0), np.ones((1, 1, 1), dtype=bool))


def diagnosis(*findings: Finding) -> Diagnosis:
    return Diagnosis("p", ("1", "2"), "malignant", Rule(), findings, {}, {})


def test_findings_are_numbered_by_suspicion_and_keep_their_own_masks() -> None:
    mild = replace(PLAIN, malignancy_probability=0.2)
    other = replace(PLAIN, nodule_probability=0.1)
    of_second = replace(PLAIN, series_uid="2", malignancy_probability=0.99)
    likelier = replace(PLAIN, nodule_probability=0.4)
    masks = {"1": [mask(10), mask(11), mask(12), mask(13)], "2": [mask(20)]}
    order = in_order(diagnosis(mild, of_second, other, likelier, PLAIN), masks)
    told = [(s.number, s.finding, s.mask.start_irc[0] if s.mask else None) for s in order]
    nodules = [(1, of_second, 20), (2, PLAIN, 13), (3, mild, 10)]
    assert told == [*nodules, (None, likelier, 12), (None, other, 11)]


def test_without_masks_there_are_none() -> None:
    assert [s.mask for s in in_order(diagnosis(PLAIN), None)] == [None]
    assert [s.mask for s in in_order(diagnosis(PLAIN), {"2": []})] == [None]


def test_a_series_with_another_number_of_masks_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        in_order(diagnosis(PLAIN), {"1": [mask(1), mask(2)]})
