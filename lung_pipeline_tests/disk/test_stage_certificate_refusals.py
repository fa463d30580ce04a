# SPDX-License-Identifier: Apache-2.0
"""Nothing is learned without a certificate of the tables as they are; the command that makes it."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import (
    CANDIDATES,
    make_candidates,
    read_series_of,
)
from lung_pipeline.cli import main
from lung_pipeline.crops.certify import (
    make_certificate,
    read_certificate,
    refuse_uncertified,
    subsets_with_crops,
    write_certificate,
)
from lung_pipeline.crops.store import CROPS, INDEX
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.ct.store import open_volume, write_volume
from lung_pipeline.ct.subset import VOLUMES, convert_volumes
from lung_pipeline.ct.volume import CtVolume
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import read_origin, read_table, write_table

BOTH = ["subset0", "subset1"]
QUESTIONS = {
    "no patient in two parts",
    "no series in two parts",
    "no scan in two parts",
    "no near-duplicate crop across parts",
}
CURE = "Materialize `leakage_certificate`, or run `lung-pipeline splits check`"


def _change(home: Home, stage: str, subset: str, table: pd.DataFrame) -> None:
    """Write a table of a stage anew, under the origin it has."""
    path = home.manifest(stage, subset)
    origin = read_origin(path)
    path.unlink()
    write_table(table, path, origin)


def test_training_is_allowed_for_certified_tables_and_fewer_subsets(own_home: Home) -> None:
    certificate = make_certificate(own_home, BOTH)
    write_certificate(own_home, certificate)
    assert refuse_uncertified(own_home, BOTH) == certificate
    assert refuse_uncertified(own_home, ["subset1"]) == certificate
    make_candidates(own_home, "subset0", SplitRule(seed=3))
    make_crops(own_home, "subset0")
    assert refuse_uncertified(own_home, ["subset1"]) == certificate


def test_training_without_a_certificate_is_refused(own_home: Home) -> None:
    with pytest.raises(StoreError, match=f"no certificate.*{CURE}"):
        refuse_uncertified(own_home, BOTH)


def test_training_on_a_subset_it_does_not_cover_is_refused(own_home: Home) -> None:
    write_certificate(own_home, make_certificate(own_home, ["subset0"]))
    with pytest.raises(StoreError, match=f"one without subset1.*{CURE}"):
        refuse_uncertified(own_home, BOTH)


def test_training_under_a_failed_certificate_is_refused(own_home: Home) -> None:
    make_candidates(own_home, "subset1", SplitRule(seed=1))
    make_crops(own_home, "subset1")
    write_certificate(own_home, make_certificate(own_home, BOTH))
    # To certify once more would not mend it: the cure is another than where there is none.
    told = r"one that failed: one rule for all subsets \(all\): .*by one rule; then ingest again"
    with pytest.raises(StoreError, match=told):
        refuse_uncertified(own_home, ["subset0"])


def test_training_under_a_certificate_without_checks_is_refused(own_home: Home) -> None:
    unchecked = dataclasses.replace(make_certificate(own_home, BOTH), checks=())
    write_certificate(own_home, unchecked)
    with pytest.raises(StoreError, match="one that failed: nothing was checked"):
        refuse_uncertified(own_home, BOTH)


def test_training_on_other_candidates_is_refused(own_home: Home) -> None:
    write_certificate(own_home, make_certificate(own_home, BOTH))
    table = read_table(own_home.manifest(CANDIDATES, "subset1"))
    _change(own_home, CANDIDATES, "subset1", table.iloc[1:])
    with pytest.raises(StoreError, match="Materialize the crops of this subset again"):
        refuse_uncertified(own_home, BOTH)
    make_crops(own_home, "subset1")
    with pytest.raises(StoreError, match=f"other candidates, crops or volumes of subset1.*{CURE}"):
        refuse_uncertified(own_home, BOTH)


def test_training_on_volumes_newer_than_the_certificate_is_refused(own_home: Home) -> None:
    certificate = make_certificate(own_home, BOTH)
    write_certificate(own_home, certificate)
    convert_volumes(own_home, "subset0")
    assert refuse_uncertified(own_home, BOTH) == certificate, "nothing has changed"
    volumes = read_table(own_home.manifest(VOLUMES, "subset0"))
    _change(
        own_home,
        VOLUMES,
        "subset0",
        volumes.assign(source_sha256="now " + volumes["source_sha256"]),
    )
    # To certify again would not mend it: the crops still show the former scans.
    crops_first = "those of the volumes as they are.*Materialize the crops of this subset again"
    for ask in (refuse_uncertified, make_certificate):
        with pytest.raises(StoreError, match=crops_first):
            ask(own_home, BOTH)
    make_crops(own_home, "subset0")
    with pytest.raises(StoreError, match=f"other candidates, crops or volumes of subset0.*{CURE}"):
        refuse_uncertified(own_home, BOTH)
    write_certificate(own_home, make_certificate(own_home, BOTH))
    refuse_uncertified(own_home, BOTH)


def test_training_on_crops_of_other_scans_is_refused(own_home: Home) -> None:
    # The same candidates, and other volumes where those of subset0 were.
    write_certificate(own_home, make_certificate(own_home, BOTH))
    for uid in read_series_of(own_home, ["subset0"])["series_uid"]:
        place = own_home.volume("subset0", uid)
        stored = open_volume(place)
        turned = np.ascontiguousarray(stored.read_all()[:, ::-1])
        grids = (stored.grid, stored.original_grid)
        write_volume(CtVolume(uid, turned, *grids, stored.source_sha256), place)
    # The manifest does not know of it, so that crops that stand would stay.
    shutil.rmtree(own_home.crops("subset0"))
    make_crops(own_home, "subset0")
    with pytest.raises(StoreError, match="other candidates, crops or volumes of subset0"):
        refuse_uncertified(own_home, BOTH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "{}",
        '{"form": 1}',
        '{"subsets": {}, "parts": [], "checks": null}',
        b"\xff\xfe",
    ],
)
def test_file_that_is_no_certificate_is_refused(own_home: Home, text: str | bytes) -> None:
    own_home.certificate.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(StoreError, match=CURE):
        read_certificate(own_home)


def test_verdict_that_was_changed_by_hand_is_refused(own_home: Home) -> None:
    make_candidates(own_home, "subset1", SplitRule(seed=1))
    make_crops(own_home, "subset1")
    failed = make_certificate(own_home, BOTH)
    own_home.certificate.write_text(failed.as_text().replace('"passed": false', '"passed": true'))
    with pytest.raises(StoreError, match=CURE):
        read_certificate(own_home)


def test_home_without_crops_cannot_be_certified(own_home: Home) -> None:
    with pytest.raises(StoreError, match="job `ingest`"):
        make_certificate(own_home, [])
    shutil.rmtree(own_home.crops("subset1"))
    assert subsets_with_crops(own_home) == ["subset0"]
    with pytest.raises(StoreError, match="subset1"):
        make_certificate(own_home, BOTH)


def _check(home: Home, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(home.root))
    done = CliRunner().invoke(main, ["splits", "check", *words])
    return done.exit_code, done.stdout, done.stderr


def test_command_certifies_all_subsets_and_says_what_it_saw(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, told, _ = _check(own_home, monkeypatch)
    assert code == 0
    assert "train: " in told
    assert "nodules are malignant" in told
    for question in QUESTIONS:
        assert f"ok     {question}: segmentation " in told
    assert set(read_certificate(own_home).subsets) == set(BOTH)


def test_command_certifies_the_subsets_it_is_given(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _check(own_home, monkeypatch, "--subset", "subset1")[0] == 0
    assert set(read_certificate(own_home).subsets) == {"subset1"}


def test_command_keeps_a_failed_certificate_and_ends_with_2_and_one_line(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_candidates(own_home, "subset1", SplitRule(seed=1))
    make_crops(own_home, "subset1")
    code, told, errors = _check(own_home, monkeypatch)
    assert code == 2
    assert "FAILED one rule for all subsets" in told
    assert errors.count("\n") == 1
    assert "nothing of one part may be met in another" in errors
    assert not read_certificate(own_home).passed


def test_command_names_a_subset_that_was_not_made(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, errors = _check(own_home, monkeypatch, "--subset", "subset8")
    assert code == 2
    assert errors.count("\n") == 1
    assert "subset8" in errors


def test_crops_and_their_signatures_lie_together(phantom_home: Home) -> None:
    names = {path.name for path in phantom_home.crops("subset0").iterdir()}
    assert names == {CROPS, INDEX, "signatures.npy"}
