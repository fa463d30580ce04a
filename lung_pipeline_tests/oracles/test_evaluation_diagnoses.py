# SPDX-License-Identifier: Apache-2.0
"""TCIA's real diagnoses beside the readers' real ratings, and 200 damaged copies of the workbook.

The counts are those published with the data; the interval of the AUC is held against DeLong's.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lung_pipeline.annotations import luna
from lung_pipeline.annotations.diagnoses import DIAGNOSES_FILE, read_diagnoses
from lung_pipeline.annotations.rules import TwoOfReaders
from lung_pipeline.errors import AnnotationError
from lung_pipeline.evaluation.readers import ReadersFigures, readers_figures


@pytest.fixture(scope="module")
def workbook(reference_data: Path) -> Path:
    return reference_data / "lidc" / DIAGNOSES_FILE


@pytest.fixture(scope="module")
def patients(reference_data: Path) -> pd.DataFrame:
    table = pd.read_csv(reference_data / "luna16" / "series_patient_subset.csv")
    return table.rename(columns={"seriesuid": "series_uid"})


@pytest.fixture(scope="module")
def nodules(reference_data: Path, patients: pd.DataFrame) -> pd.DataFrame:
    """The rated nodules, labelled by the default rule."""
    rated = luna.read_ratings(reference_data / "luna16" / "annotations_with_malignancy.csv")
    labels = [TwoOfReaders().label(list(map(int, text.split(",")))) for text in rated["ratings"]]
    rated = rated.assign(is_malignant=pd.array(labels, dtype="boolean"))
    return rated.merge(patients, on="series_uid", validate="many_to_one")


@pytest.fixture(scope="module")
def figures(workbook: Path, patients: pd.DataFrame, nodules: pd.DataFrame) -> ReadersFigures:
    rule, rng = TwoOfReaders().as_json(), np.random.default_rng(20)
    everyone = set(patients["patient_id"])
    return readers_figures(nodules, read_diagnoses(workbook), everyone, rule=rule, rng=rng)


def test_every_patient_of_the_workbook_is_read(workbook: Path) -> None:
    diagnoses = read_diagnoses(workbook)
    assert diagnoses["patient_id"].is_unique
    assert diagnoses["patient_id"].str.fullmatch(r"LIDC-IDRI-\d{4}").all()
    counts = diagnoses["diagnosis"].value_counts().sort_index()
    assert counts.to_dict() == {0: 27, 1: 36, 2: 43, 3: 51}


def test_diagnosed_series_with_a_reference_nodule_are_as_many_as_published(
    workbook: Path, patients: pd.DataFrame, reference_data: Path
) -> None:
    annotated = luna.read_annotations(reference_data / "luna16" / "annotations.csv")
    diagnoses = read_diagnoses(workbook)
    known = diagnoses.loc[diagnoses["diagnosis"] > 0, "patient_id"]
    marked = patients[patients["series_uid"].isin(annotated["series_uid"])]
    diagnosed = marked[marked["patient_id"].isin(known)]
    # LIDC-IDRI-0332 has two of them.
    assert (len(diagnosed), diagnosed["patient_id"].nunique()) == (106, 105)


def test_counts_of_real_patients(figures: ReadersFigures) -> None:
    # One of the 157 patients has no series in LUNA16.
    assert (figures.num_patients, figures.num_unknown, figures.num_unrated) == (156, 27, 24)
    assert (figures.num_compared, figures.num_left_out) == (105, 0)
    assert figures.num_malignant_called_malignant == 54
    assert figures.num_malignant_called_benign == 26
    assert figures.num_benign_called_malignant == 8
    assert figures.num_benign_called_benign == 17


def test_agreement_of_real_readers(figures: ReadersFigures) -> None:
    expected = {
        "sensitivity": (0.675, 0.566, 0.768),
        "specificity": (0.680, 0.484, 0.828),
        "auc_of_mean_rating": (0.753, 0.647, 0.849),
    }
    for name, (value, low, high) in expected.items():
        estimate = getattr(figures, name)
        # SciPy may draw its samples otherwise one day: hence a little room.
        assert estimate.value == pytest.approx(value, abs=1e-9), name
        assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.01), name


def test_interval_of_the_auc_is_close_to_delongs(
    figures: ReadersFigures, workbook: Path, nodules: pd.DataFrame
) -> None:
    """E. R. DeLong et al., Biometrics 44, 1988: the variance from each patient's own share."""
    mean = nodules["ratings"].map(lambda text: np.mean(list(map(int, text.split(",")))))
    highest = mean.groupby(nodules["patient_id"]).max()
    diagnosis = read_diagnoses(workbook).set_index("patient_id")["diagnosis"]
    ill, well = (highest[highest.index.map(diagnosis).isin(c)].to_numpy() for c in ((2, 3), (1,)))
    wins = (ill[:, None] > well) + 0.5 * (ill[:, None] == well)
    variances = [wins.mean(axis=axis).var(ddof=1) for axis in (0, 1)]
    error = np.sqrt(variances[0] / len(well) + variances[1] / len(ill))
    auc = figures.auc_of_mean_rating
    assert auc.value == pytest.approx(wins.mean())
    delongs = (wins.mean() - 1.96 * error, wins.mean() + 1.96 * error)
    assert (auc.low, auc.high) == pytest.approx(delongs, abs=0.015)


def test_damaged_workbook_is_read_or_refused_in_one_line(workbook: Path, tmp_path: Path) -> None:
    whole = workbook.read_bytes()
    path = tmp_path / "damaged.xls"
    refusals = []
    for seed in range(200):
        path.write_bytes(_damaged(whole, random.Random(seed)))
        try:
            diagnoses = read_diagnoses(path)["diagnosis"]
        except AnnotationError as error:
            refusals.append(str(error))
        else:
            assert diagnoses.isin([0, 1, 2, 3]).all(), seed
    assert 50 < len(refusals) < 200
    assert all(refusal.startswith(str(path)) for refusal in refusals)
    assert not any("\n" in refusal for refusal in refusals)


def _damaged(whole: bytes, rng: random.Random) -> bytes:
    """A few wrong bytes, a missing end, or two sectors of 512 bytes in each other's place."""
    content, kind = bytearray(whole), rng.randrange(3)
    if kind == 0:
        for _ in range(rng.choice([1, 5, 50, 500])):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 1:
        del content[rng.randrange(len(content)) :]
    else:
        one, other = (slice(512 * k, 512 * k + 512) for k in rng.choices(range(90), k=2))
        content[one], content[other] = content[other], content[one]
    return bytes(content)
