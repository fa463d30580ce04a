# SPDX-License-Identifier: Apache-2.0
"""The pictures of the report: which there are, and what is said of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from patient_reports import (
    GRID,
    VOLUMES,
    diagnosis,
    finding,
    report,
    runs_our_script_alone,
)
from PIL import Image

from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.reporting.patient.cards import card_views
from lung_pipeline.reporting.patient.shown import Shown


def test_report_shows_three_planes_and_the_overview(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding()), shows_slices=False)
    assert page.tags.count("img") == 4
    assert all(plane in page.text for plane in ("axial", "coronal", "sagittal"))


def test_a_series_without_its_volume_is_reported_without_pictures(tmp_path: Path) -> None:
    page = report(tmp_path, diagnosis(finding()), volumes={})
    assert "img" not in page.tags
    assert "No pictures" in page.text


def test_masks_add_the_outlined_cutout_and_outlines_on_slices(tmp_path: Path) -> None:
    mask = FindingMask((5, 23, 16), np.ones((2, 3, 3), dtype=bool))
    page = report(tmp_path, diagnosis(finding()), masks={"1.2.3": [mask]})
    assert "axial, as segmented" in page.text
    # Outlines stand on the cut-out, the overview and the two slices that the mask cuts.
    assert page.source.count('<img class="outline"') == 4
    assert page.source.partition("<main>")[2].count("checkbox") == 1
    bare = report(tmp_path, diagnosis(finding()))
    assert "as segmented" not in bare.text
    assert '<img class="outline"' not in bare.source


def test_the_outline_of_a_card_lies_around_the_middle_of_its_picture() -> None:
    (row, column) = (24.0, 17.0)
    x_mm, y_mm, z_mm = GRID.irc_to_xyz_mm([(6, row, column)])[0].tolist()
    mask = FindingMask((6, 23, 16), np.ones((1, 3, 3), dtype=bool))
    shown = Shown(finding(x_mm=x_mm, y_mm=y_mm, z_mm=z_mm), 1, mask)
    views = {view.name: view for view in card_views(shown, *VOLUMES["1.2.3"])}
    layer = views["axial, as segmented"].layer
    assert layer is not None
    png = base64.b64decode(layer.partition(",")[2])
    rows, columns = np.nonzero(np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3])
    # Three voxels of 1 mm are twelve pixels; the outline stands beside them on both sides.
    assert (rows.min() + rows.max()) / 2 == pytest.approx(100, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(100, abs=1)
    assert np.ptp(rows) == np.ptp(columns) == 13


def test_slices_are_called_as_the_file_counts_them(tmp_path: Path) -> None:
    given = {"1.2.3": replace(GRID, origin_xyz_mm=(-20.0, -20.0, -30.0))}
    page = report(tmp_path, diagnosis(), original_grids=given)
    assert "Slice 21 of the file, from 0 · z 12.0 mm" in page.text
    assert "Slice 10 of the file, from 0 · z -10.0 mm" in page.text
    assert "Slice 11, counted from the feet" in report(tmp_path, diagnosis()).text


def test_every_series_has_its_own_slices(tmp_path: Path) -> None:
    two = diagnosis(finding(), finding(series_uid="4.5.6"), series_uids=("1.2.3", "4.5.6"))
    page = report(tmp_path, two, volumes={"1.2.3": VOLUMES["1.2.3"], "4.5.6": VOLUMES["1.2.3"]})
    assert "The slices of series 2" in page.text
    assert {"#slice-0-6", "#slice-1-6"} <= set(page.addresses)
    assert runs_our_script_alone(page)


def test_the_colours_of_the_truth_are_explained_and_counted(tmp_path: Path) -> None:
    columns = ["series_uid", "x_mm", "y_mm", "z_mm", "diameter_mm"]
    truth = pd.DataFrame([("1.2.3", -3.0, 4.0, 2.0, 2.2)], columns=columns)
    mask = FindingMask((5, 23, 16), np.ones((2, 3, 3), dtype=bool))
    page = report(tmp_path, diagnosis(finding()), truth, masks={"1.2.3": [mask]})
    assert page.tags.count("svg") == 2
    assert "5 true positive, 4 false positive, 0 false negative" in page.text
    assert "marks are drawn as balls" in page.text
    assert "Nodules are drawn as balls" not in page.text
    known = {"1.2.3": [FindingMask((6, 24, 17), np.ones((1, 1, 2), dtype=bool))]}
    page = report(tmp_path, diagnosis(finding()), truth, true_masks=known)
    assert "marks are drawn as balls" not in page.text
    assert "Nodules are drawn as balls" in page.text
    assert "2 true positive" in page.text
    assert "0 false negative" in page.text


class Counted(Mapping[str, tuple[np.ndarray, VoxelGrid]]):
    """Volumes that count how often they are read."""

    reads = 0

    def __getitem__(self, uid: str) -> tuple[np.ndarray, VoxelGrid]:
        self.reads += 1
        return VOLUMES[uid]

    def __contains__(self, uid: object) -> bool:
        return uid in VOLUMES

    def __iter__(self) -> Iterator[str]:
        return iter(VOLUMES)

    def __len__(self) -> int:
        return len(VOLUMES)


def test_each_volume_is_read_once(tmp_path: Path) -> None:
    volumes = Counted()
    report(tmp_path, diagnosis(finding(), finding(x_mm=9.0), finding(x_mm=-9.0)), volumes=volumes)
    assert volumes.reads == 1
