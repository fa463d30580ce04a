# SPDX-License-Identifier: Apache-2.0
"""Synthetic tables, headers and XML have the form of the real ones."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.phantom.lidc_xml import make_xml
from lung_pipeline.phantom.nodules import LARGEST_MM, draw_diameter, draw_kind, draw_shape
from lung_pipeline.phantom.plan import plan_scan
from lung_pipeline.phantom.ratings import draw_readings, is_malignant
from lung_pipeline.phantom.tables import HEADERS


@pytest.mark.parametrize(
    ("real", "ours"),
    [
        ("luna16/annotations.csv", "annotations.csv"),
        ("luna16/annotations_excluded.csv", "annotations_excluded.csv"),
        ("luna16/candidates_standin.csv", "candidates.csv"),
        ("luna16/annotations_with_malignancy.csv", "annotations_with_malignancy.csv"),
        ("lidc/LIDC-IDRI_MetaData.csv", "LIDC-IDRI_MetaData.csv"),
    ],
)
def test_columns_are_those_of_the_real_table(reference_data: Path, real: str, ours: str) -> None:
    assert tuple(pd.read_csv(reference_data / real, nrows=1).columns) == HEADERS[ours]


def test_share_of_malignant_nodules_in_each_size_is_near_the_real_one(
    reference_data: Path,
) -> None:
    real = pd.read_csv(reference_data / "luna16" / "annotations_with_malignancy.csv")
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(3000):
        diameter = draw_diameter(rng, LARGEST_MM)
        kind = draw_kind(rng, diameter)
        readings = draw_readings(rng, kind, draw_shape(rng, kind, diameter), diameter)
        rows.append((diameter, is_malignant(tuple(one.malignancy for one in readings))))
    ours = pd.DataFrame(rows, columns=["diameter_mm", "mal_bool"])
    edges = [0.0, 5.0, 7.0, 10.0, 15.0, 40.0]
    shares = [
        table["mal_bool"].groupby(pd.cut(table["diameter_mm"], edges), observed=True).mean()
        for table in (real, ours)
    ]
    np.testing.assert_allclose(shares[0].to_numpy(float), shares[1].to_numpy(float), atol=0.12)
    assert ours["mal_bool"].mean() == pytest.approx(real["mal_bool"].mean(), abs=0.05)


def test_every_element_of_our_xml_stands_at_a_place_of_the_real_one(reference_data: Path) -> None:
    real = ET.parse(reference_data / "lidc" / "LIDC-IDRI-0003" / "072.xml").getroot()
    ours = ET.fromstring(make_xml(plan_scan(5, 0, 1, "small")))
    assert _paths(ours) <= _paths(real)
    assert any(path.endswith("edgeMap/{http://www.nih.gov}xCoord") for path in _paths(ours))


def _paths(element: ET.Element, above: str = "") -> set[str]:
    path = f"{above}/{element.tag}"
    return {path}.union(*(_paths(child, path) for child in element))
