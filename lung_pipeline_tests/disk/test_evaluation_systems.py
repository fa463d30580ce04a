# SPDX-License-Identifier: Apache-2.0
"""What a set of models found is kept beside its scorecard, and read only beside the same truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from lung_pipeline.annotations.subset import CANDIDATES, SERIES
from lung_pipeline.diagnosis.findings import COLUMNS, Finding, findings_table
from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.comparison.systems import (
    FINDINGS_FILE,
    System,
    keep_system,
    read_system,
    truth_fingerprint,
)
from lung_pipeline.evaluation.gather import evaluation_of
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table

MODELS = {"segmentation": "lung-segmentation v1 (aa)", "nodule": "lung-nodule v1 (bb)"}


@pytest.fixture
def system(own_home: Home) -> System:
    """One finding on each candidate of the phantoms, scored on the part of the first."""
    table = read_table(own_home.manifest(CANDIDATES, "subset0"))
    rows = zip(table["series_uid"], table["x_mm"], table["y_mm"], table["z_mm"], strict=True)
    found = [Finding(uid, x, y, z, 0.0, 0.0, 0.0, 5.0, 0.75, None) for uid, x, y, z in rows]
    evaluation = evaluation_of(own_home, ["subset0"], findings_table(found), MODELS)
    return System("a-card", "train", 0.625, evaluation.of_part("train"))


def test_a_system_is_read_as_it_was_kept(own_home: Home, system: System, tmp_path: Path) -> None:
    keep_system(system, tmp_path / "card")
    again = read_system(own_home, tmp_path / "card")
    assert (again.name, again.part, again.threshold) == ("a-card", "train", 0.625)
    assert again.models == MODELS
    of_both = [one.evaluation for one in (again, system)]
    for table in ("findings", "nodules", "series"):
        first, second = (getattr(one, table).reset_index(drop=True) for one in of_both)
        pd.testing.assert_frame_equal(first, second)
    assert set(again.evaluation.series["part"]) == {"train"}


def test_the_kept_table_has_the_columns_of_all_findings(system: System, tmp_path: Path) -> None:
    keep_system(system, tmp_path / "card")
    assert tuple(read_table(tmp_path / "card" / FINDINGS_FILE).columns) == COLUMNS


def _move_nodule(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(x_mm=table["x_mm"] + 0.5 * table["is_nodule"])


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        (CANDIDATES, lambda table: table.iloc[1:]),
        (CANDIDATES, _move_nodule),
        (SERIES, lambda table: table.assign(patient_id="one and the same")),
    ],
)
def test_a_truth_that_changed_since_is_refused(
    own_home: Home,
    system: System,
    tmp_path: Path,
    stage: str,
    change: Callable[[pd.DataFrame], pd.DataFrame],
) -> None:
    keep_system(system, tmp_path / "card")
    path = own_home.manifest(stage, "subset0")
    table = read_table(path)
    assert table["series_uid"].iloc[0] in set(system.evaluation.series["series_uid"])
    write_table(change(table), path, read_origin(path))
    with pytest.raises(StoreError, match=r"part 'train' of subset0: .* as when a-card was scored"):
        read_system(own_home, tmp_path / "card")


def test_candidates_of_other_parts_and_negatives_are_no_part_of_the_truth(
    own_home: Home, system: System, tmp_path: Path
) -> None:
    keep_system(system, tmp_path / "card")
    path = own_home.manifest(CANDIDATES, "subset0")
    table = read_table(path)
    kept = table[table["is_nodule"] & (table["part"] == "train")]
    assert 0 < len(kept) < len(table)
    write_table(kept, path, read_origin(path))
    assert len(read_system(own_home, tmp_path / "card").evaluation.nodules) == len(kept)


def test_a_scorecard_without_findings_is_refused_with_the_cure(
    own_home: Home, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="got no scorecard"):
        read_system(own_home, tmp_path / "nowhere")
    (tmp_path / "old").mkdir()
    with pytest.raises(StoreError, match=r"got no findings\.parquet.*Score the models again"):
        read_system(own_home, tmp_path / "old")


def test_a_table_of_another_stage_is_refused(own_home: Home, tmp_path: Path) -> None:
    write_table(findings_table([]), tmp_path / FINDINGS_FILE, {"stage": "findings"})
    with pytest.raises(
        StoreError, match="the findings that a scorecard kept, got stage 'findings'"
    ):
        read_system(own_home, tmp_path)


def test_fingerprint_does_not_know_what_was_found(system: System) -> None:
    evaluation = system.evaluation
    silent = replace(evaluation, findings=evaluation.findings.iloc[:0])
    assert truth_fingerprint(silent) == truth_fingerprint(evaluation)
