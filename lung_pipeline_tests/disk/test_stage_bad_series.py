# SPDX-License-Identifier: Apache-2.0
"""One series that cannot be looked at fails itself: it is listed, told of, and never "no nodule".

Patient A has the series a1 and a2 with malignant balls, patient B only b1, without any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from ball_scans import GRID, MARKS_FROM_HU, ball_chest
from dense_networks import LooksAtCentre, dense_models
from torch import Tensor

from lung_pipeline.annotations.lidc_subset import READS
from lung_pipeline.annotations.reads import READ_COLUMNS
from lung_pipeline.annotations.subset import CANDIDATES
from lung_pipeline.ct.store import open_volume, write_volume
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.diagnosis.steps.mask_files import read_masks, write_masks
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.stored_series import look_at
from lung_pipeline.diagnosis.subset import find_in_subset, findings_of, series_seen
from lung_pipeline.diagnosis.subset_patients import diagnose_subset
from lung_pipeline.diagnosis.verdict.operating_point import Judging
from lung_pipeline.errors import ModelError, StoreError
from lung_pipeline.evaluation.gather import gather
from lung_pipeline.evaluation.lost_nodules.waterfall import NOT_MARKED, waterfall
from lung_pipeline.home import Home
from lung_pipeline.reporting.patient.subset import StoredMasks, write_reports
from lung_pipeline.tables import read_origin, read_table, write_table

NAMED = {"segmentation": "lung-segmentation v1 (aa)", "nodule": "lung-nodule v1 (bb)"}
SPOILT_HU = 77
MODELS = dense_models(marks_from_hu=MARKS_FROM_HU)


def _find(home: Home) -> pd.DataFrame:
    return find_in_subset(home, "subset0", MODELS, NAMED)[0]


def _diagnosed(home: Home, **judging: float) -> dict[str, Diagnosis]:
    made, _ = diagnose_subset(home, "subset0", Judging(**judging))  # type: ignore[arg-type]
    return {diagnosis.patient_id: diagnosis for diagnosis in made}


def _without_lungs(home: Home, series_uid: str) -> None:
    """Nothing but a body, in place of a series."""
    place = home.volume("subset0", series_uid)
    source = open_volume(place).source_sha256
    index, row, column = np.indices(GRID.shape_irc)
    voxels_hu = (-150 + 2 * index + 2 * row + column).astype(np.int16)
    voxels_hu[0, 0, 0] = -1000
    write_volume(CtVolume(series_uid, voxels_hu, GRID, GRID, source), place)


def _cut(home: Home, series_uid: str) -> None:
    """Half of a stored file is lost."""
    array = home.volume("subset0", series_uid) / "0"
    shard = max((p for p in array.rglob("*") if p.is_file()), key=lambda path: path.stat().st_size)
    half = shard.read_bytes()[: shard.stat().st_size // 2]
    # Replaced, not edited: other tests' homes hold links to the same file.
    shard.unlink()
    shard.write_bytes(half)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(_without_lungs, "lungs of at least"), (_cut, "a whole volume, as this version writes it")],
)
def test_bad_series_is_listed_and_the_others_are_found_as_before(
    own_ball_home: Home, spoil: Callable[[Home, str], None], reason: str
) -> None:
    before = _find(own_ball_home)
    spoil(own_ball_home, "a1")
    told: list[str] = []
    after, _ = find_in_subset(own_ball_home, "subset0", MODELS, NAMED, told.append)
    others = before[before["series_uid"] != "a1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(after, others)
    seen = series_seen(own_ball_home, "subset0")
    assert set(seen.looked_at) == {"a2", "b1"}
    assert list(seen.problems) == ["a1"]
    assert reason in seen.problems["a1"]
    assert str(own_ball_home.root) not in seen.problems["a1"]
    assert told[1].startswith("a1 could not be looked at: ")


def test_nobody_without_findings_is_told_healthy_for_a_series_nobody_looked_at(
    own_ball_home: Home,
) -> None:
    _find(own_ball_home)
    assert _diagnosed(own_ball_home)["B"].verdict == "no nodule"
    _without_lungs(own_ball_home, "b1")
    _find(own_ball_home)
    made = _diagnosed(own_ball_home)["B"]
    assert made.verdict == "incomplete"
    assert [one.verdict for one in made.verdicts] == ["incomplete", "incomplete"]
    assert "lungs of at least" in made.not_looked_at["b1"]
    assert made.series_uids == ("b1",)


def test_malignant_nodule_of_one_series_stays_when_another_fails(own_ball_home: Home) -> None:
    _without_lungs(own_ball_home, "a1")
    _find(own_ball_home)
    assert _diagnosed(own_ball_home)["A"].verdict == "malignant"
    # Benign in the series that was looked at is not benign.
    assert _diagnosed(own_ball_home, malignancy_threshold=0.9)["A"].verdict == "incomplete"
    table = read_table(own_ball_home.diagnoses("subset0")).set_index("patient_id")
    assert table["num_series"].to_dict() == {"A": 2, "B": 1}
    assert table["num_series_not_looked_at"].to_dict() == {"A": 1, "B": 0}


def test_reports_of_all_patients_are_written_and_name_the_bad_series(own_ball_home: Home) -> None:
    _cut(own_ball_home, "a1")
    _find(own_ball_home)
    made, _ = diagnose_subset(own_ball_home, "subset0")
    reports = write_reports(own_ball_home, "subset0", made, "2026-01-02T03:04:05Z")
    assert set(reports) == {"A", "B"}
    assert "a whole volume, as this version writes it" in reports["A"].read_text()


def test_nodules_of_a_bad_series_are_lost_at_the_first_stage(own_ball_home: Home) -> None:
    _without_lungs(own_ball_home, "a1")
    _find(own_ball_home)
    evaluation = gather(own_ball_home, ["subset0"])
    assert evaluation.trace is not None
    assert evaluation.trace["series_uid"].tolist() == ["a1", "a1"]
    lost = waterfall(
        evaluation.trace, evaluation.nodules, nodule_threshold=0.5, malignancy_threshold=0.5
    )
    assert lost.stages[NOT_MARKED] == 2
    assert sum(lost.stages.values()) == 2
    assert len(evaluation.series) == 3  # it counts in every rate a scan


def test_alone_a_bad_series_says_why(own_ball_home: Home) -> None:
    _without_lungs(own_ball_home, "a1")
    looked = look_at(own_ball_home, "subset0", "a1", MODELS)
    assert (list(looked.findings), looked.nodules) == ([], [])
    assert "lungs of at least" in looked.problem


@pytest.mark.parametrize("has_candidates", [True, False])
def test_network_that_gives_no_number_is_not_told_as_the_series_problem(
    own_ball_home: Home, *, has_candidates: bool
) -> None:
    """Only in b1 is there a ball of the density at which the classifier fails."""
    if not has_candidates:
        own_ball_home.manifest(CANDIDATES, "subset0").unlink()
    place = own_ball_home.volume("subset0", "b1")
    volume = open_volume(place)
    voxels_hu = ball_chest(GRID, [((20, 20, 20), SPOILT_HU)]).astype(np.int16)
    write_volume(CtVolume("b1", voxels_hu, GRID, GRID, volume.source_sha256), place)
    models = replace(MODELS, nodule=cast("Any", _NotANumber(-100.0)))
    with pytest.raises(ModelError, match="a probability must lie between 0 and 1, got nan"):
        find_in_subset(own_ball_home, "subset0", models, NAMED)
    assert not own_ball_home.findings("subset0").exists()
    assert not own_ball_home.masks("subset0").exists()


class _NotANumber(LooksAtCentre):
    def forward(self, crops_hu: Tensor) -> Tensor:
        logits = super().forward(crops_hu)
        spoilt = (crops_hu == SPOILT_HU).flatten(1).any(dim=1, keepdim=True)
        return torch.where(spoilt, torch.nan, logits)


def test_cautions_of_each_series_stand_in_its_patients_diagnosis(own_ball_home: Home) -> None:
    """The balls' chests have no end: lungs go on below and above."""
    _find(own_ball_home)
    made = _diagnosed(own_ball_home)
    assert len(made["A"].cautions) == 4
    assert len(made["B"].cautions) == 2
    assert all("b1" in told and "cut off" in told for told in made["B"].cautions)


@pytest.mark.parametrize("lists", ["looked_at", "problems"])
def test_scan_that_came_after_the_findings_is_not_one_without_findings(
    own_ball_home: Home, lists: str
) -> None:
    table = _find(own_ball_home)
    path = own_ball_home.findings("subset0")
    origin = read_origin(path)
    gather(own_ball_home, ["subset0"])
    seen = {
        key: {u: v for u, v in origin[key].items() if u != "b1"} for key in origin if key == lists
    }
    write_table(table, path, {**origin, "looked_at": {"a1": [], "a2": []}, **seen})
    for use in (lambda: gather(own_ball_home, ["subset0"]), lambda: _diagnosed(own_ball_home)):
        with pytest.raises(StoreError, match=r"such as b1.*Materialize the findings"):
            use()
    write_table(table, path, {**origin, "looked_at": {"a1": [], "a2": []}, "problems": {"b1": "x"}})
    gather(own_ball_home, ["subset0"])


def test_findings_that_do_not_name_their_series_give_no_diagnosis(own_ball_home: Home) -> None:
    table = _find(own_ball_home)
    write_table(table, own_ball_home.findings("subset0"), {"stage": "findings", "models": NAMED})
    with pytest.raises(StoreError, match="must name the series"):
        _diagnosed(own_ball_home)


def test_voxels_of_each_finding_lie_on_disk_in_the_order_of_the_table(own_ball_home: Home) -> None:
    findings = findings_of(_find(own_ball_home))
    stored = StoredMasks(own_ball_home, "subset0", ("a1", "a2", "b1"))
    assert {uid: len(masks) for uid, masks in stored.items()} == {"a1": 2, "a2": 1, "b1": 0}
    for uid, masks in stored.items():
        grid = open_volume(own_ball_home.volume("subset0", uid)).grid
        of_series = [finding for finding in findings if finding.series_uid == uid]
        for finding, mask in zip(of_series, masks, strict=True):
            center_irc = np.argwhere(mask.voxels).mean(axis=0) + mask.start_irc
            place = grid.irc_to_xyz_mm([center_irc])[0]
            assert place == pytest.approx((finding.x_mm, finding.y_mm, finding.z_mm), abs=0.1)
            volume_mm3 = mask.voxels.sum() * np.prod(grid.spacing_irc_mm)
            assert volume_mm3 == pytest.approx(finding.volume_mm3, rel=0.05)


def test_masks_are_those_of_the_last_findings_or_none(own_ball_home: Home) -> None:
    _find(own_ball_home)
    _without_lungs(own_ball_home, "a2")
    _find(own_ball_home)
    kept = sorted(path.name for path in own_ball_home.masks("subset0").iterdir())
    assert kept == ["a1.npz", "b1.npz"]
    (own_ball_home.masks("subset0") / "a1.npz").write_bytes(b"cut")
    with pytest.raises(StoreError, match="Materialize the findings"):
        StoredMasks(own_ball_home, "subset0", ("a1",))["a1"]


def test_masks_of_any_shape_come_back_as_they_were(own_ball_home: Home) -> None:
    rng = np.random.default_rng(3)
    shapes = [(1, 1, 1), (3, 5, 7), (2, 4, 8), (1, 9, 1)]
    masks = [
        FindingMask((n, 2 * n, 3 * n), rng.integers(0, 2, shape).astype(bool))
        for n, shape in enumerate(shapes)
    ]
    findings = findings_of(_find(own_ball_home))
    same = [findings[0]] * len(masks)
    path = own_ball_home.root / "masks.npz"
    write_masks(path, same, masks)
    for read, given in zip(read_masks(path), masks, strict=True):
        assert read.start_irc == given.start_irc
        np.testing.assert_array_equal(read.voxels, given.voxels)


def test_readers_rule_stands_beside_where_every_series_was_read(own_ball_home: Home) -> None:
    """Two of three readers gave a1's nodule 4 or 5; a2 was read, and nothing was marked."""
    blank = {name: "r" if kind == "str" else 1 for name, kind in READ_COLUMNS.items()}
    rows = [
        {**blank, "series_uid": "a1", "lidc_nodule": 0, "reader": reader, "malignancy": given}
        for reader, given in enumerate((4, 5, 1))
    ]
    reads = pd.DataFrame(rows).astype(READ_COLUMNS)
    _find(own_ball_home)
    sources = {"a1": "1.xml, sha256 aa", "a2": "2.xml, sha256 bb"}
    write_table(reads, own_ball_home.manifest(READS, "subset0"), {"sources": sources})
    made = _diagnosed(own_ball_home)
    assert made["B"].readers is None
    readers = made["A"].readers
    assert readers is not None
    assert (readers.verdict, readers.ratings) == ("malignant", ((1, 4, 5),))
    assert readers.source == "1.xml, sha256 aa; 2.xml, sha256 bb"
    del sources["a2"]
    write_table(reads, own_ball_home.manifest(READS, "subset0"), {"sources": sources})
    assert _diagnosed(own_ball_home)["A"].readers is None
