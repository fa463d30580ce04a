# SPDX-License-Identifier: Apache-2.0
"""A real CT with published weights: the annotated nodules are found, however the file lies.

One CT as DICOM, as a MetaIO file that SimpleITK wrote from it, and as one with its axes permuted
and flipped. The first and the last are diagnosed; of the second it is enough that the same voxels
lie at the same places.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from lung_pipeline.classification.reference import read_reference_classifier
from lung_pipeline.ct.reading import read_ct
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.findings import findings_table
from lung_pipeline.diagnosis.models import Models
from lung_pipeline.diagnosis.pipeline import examine
from lung_pipeline.segmentation.reference import read_reference_unet

pytestmark = pytest.mark.slow

SERIES_UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.170706757615202213033480003264"

XYZ = ["x_mm", "y_mm", "z_mm"]


@pytest.fixture(scope="module")
def models(reference_data: Path) -> Models:
    [unet] = (reference_data / "reference_weights").glob("seg_*.state")
    [classifier] = (reference_data / "reference_weights").glob("cls_*.state")
    return Models(read_reference_unet(unet), read_reference_classifier(classifier), None)


@pytest.fixture(scope="module")
def ct(reference_data: Path) -> CtVolume:
    return read_ct(reference_data / "lidc" / "LIDC-IDRI-0003")


@pytest.fixture(scope="module")
def image(reference_data: Path) -> sitk.Image:
    """The CT as SimpleITK reads it from DICOM, without us."""
    reader = sitk.ImageSeriesReader()
    folder = str(reference_data / "lidc" / "LIDC-IDRI-0003")
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder, SERIES_UID))
    return reader.Execute()


def _diagnosed(ct: CtVolume, models: Models) -> pd.DataFrame:
    return findings_table(
        examine(ct.voxels_hu, ct.grid, ct.original_grid, ct.series_uid, models).findings
    )


@pytest.fixture(scope="module")
def findings(ct: CtVolume, models: Models) -> pd.DataFrame:
    return _diagnosed(ct, models)


def test_the_three_nodules_of_luna16_are_found_within_their_radius(
    reference_data: Path, findings: pd.DataFrame
) -> None:
    annotations = pd.read_csv(reference_data / "luna16" / "annotations.csv")
    nodules = annotations[annotations["seriesuid"] == SERIES_UID]
    sure = findings[findings["nodule_probability"] >= 0.9]
    assert len(nodules) == 3
    for nodule in nodules.itertuples():
        place = np.array([nodule.coordX, nodule.coordY, nodule.coordZ])
        distances_mm = np.linalg.norm(sure[XYZ].to_numpy() - place, axis=1)
        assert distances_mm.min() < nodule.diameter_mm / 2


def test_few_findings_are_taken_for_nodules(findings: pd.DataFrame) -> None:
    assert (findings["nodule_probability"] >= 0.5).sum() <= 20
    assert (findings["series_uid"] == SERIES_UID).all()


def test_a_metaio_file_written_from_it_is_the_same_ct(
    ct: CtVolume, image: sitk.Image, tmp_path: Path
) -> None:
    sitk.WriteImage(image, tmp_path / "same.mhd")
    same = read_ct(tmp_path / "same.mhd")
    np.testing.assert_array_equal(same.voxels_hu, ct.voxels_hu)
    corners = np.array([(0, 0, 0), ct.grid.shape_irc])
    distance_mm = same.grid.irc_to_xyz_mm(corners) - ct.grid.irc_to_xyz_mm(corners)
    assert np.abs(distance_mm).max() < 0.01


def test_a_copy_with_permuted_and_flipped_axes_gives_the_same_findings(
    image: sitk.Image, findings: pd.DataFrame, models: Models, tmp_path: Path
) -> None:
    turned = sitk.Flip(sitk.PermuteAxes(image, (2, 0, 1)), (True, False, True))
    sitk.WriteImage(turned, tmp_path / "turned.mhd")
    again = _diagnosed(read_ct(tmp_path / "turned.mhd"), models)
    assert len(again) == len(findings)
    distance_mm = np.linalg.norm(again[XYZ].to_numpy() - findings[XYZ].to_numpy(), axis=1)
    assert distance_mm.max() < 0.5
    np.testing.assert_allclose(
        again["nodule_probability"], findings["nodule_probability"], atol=1e-6
    )
    # The voxels named are those of the turned file: SimpleITK puts them at the same place.
    for finding in again.head(20).to_dict("records"):
        place = turned.TransformContinuousIndexToPhysicalPoint(
            (finding["column"], finding["row"], finding["index"])
        )
        assert place == pytest.approx([finding[name] for name in XYZ], abs=0.01)
