# SPDX-License-Identifier: Apache-2.0
"""Sets of real models against each other through the asset ``champion``, on chests of balls.

Twelve patients with a scan and two balls each: a dense one (40 HU; of one patient 10 HU) and a
faint one (-50 HU). The networks are the pipeline's own; their weights are set by hand so that a
voxel is marked from some density on, and every finding gets the same probability. Without a false
positive the CPM is the share of balls that are found.

    marks from    finds                   CPM
    25 HU         the dense ones but one  11/24
    0 HU          the dense ones          12/24
    -120 HU       all                     1
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import torch
from ball_scans import MARKS_FROM_HU, ball_chest
from click.testing import CliRunner
from html_pages import Page

from lung_pipeline.annotations.lidc_subset import make_lidc_reads
from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.annotations.subset import make_candidates
from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.cli import main
from lung_pipeline.crops.certificate import CERTIFICATE_FILE
from lung_pipeline.crops.certify import make_certificate
from lung_pipeline.crops.subset import make_crops
from lung_pipeline.ct.geometry import VoxelGrid
from lung_pipeline.ct.subset import convert_volumes, list_raw
from lung_pipeline.diagnosis.subset import find_in_subset
from lung_pipeline.errors import ModelError, SettingError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.learning.model_folder import ModelCard, write_model
from lung_pipeline.orchestration import promotion
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.phantom.folder import make_header
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, UNet
from lung_pipeline.tables import read_origin
from lung_pipeline.tracking.models import models_by_alias, models_in_use
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION, NODULE, SCORING, SEGMENTATION
from lung_pipeline.tracking.registry import find, register, set_alias
from lung_pipeline.tracking.runs import run
from lung_pipeline.tracking.server import connect
from lung_pipeline.tracking.sets import key_of, make_champions, set_of
from lung_pipeline.tracking.version_tags import tags_of

pytestmark = pytest.mark.slow

GRID = VoxelGrid((44, 64, 64), (2.5, 1.5, 1.5), (0.0, 0.0, 0.0))
CENTERS_IRC = ((22, 18, 30), (22, 46, 30))
DENSE_HU, LESS_DENSE_HU, FAINT_HU = 40, 10, -50
NUM_PATIENTS = 12
ALL_FOR_VALIDATION = SplitRule(train=1e-9, validation=1 - 1e-9)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The balls, through volumes, candidates and crops."""
    home = Home.at(tmp_path_factory.mktemp("balls"))
    uids = [f"s{number:02d}" for number in range(NUM_PATIENTS)]
    for uid in uids:
        _write_scan(home.raw / "subset0", uid, LESS_DENSE_HU if uid == "s00" else DENSE_HU)
    place = "seriesuid,coordX,coordY,coordZ"
    places = GRID.irc_to_xyz_mm(CENTERS_IRC).tolist()
    rows = [f"{uid},{x},{y},{z},12" for uid in uids for x, y, z in places]
    (home.raw / "annotations.csv").write_text("\n".join([f"{place},diameter_mm", *rows]) + "\n")
    others = [f"{uid},5,5,5,0" for uid in uids]
    (home.raw / "candidates.csv").write_text("\n".join([f"{place},class", *others]) + "\n")
    list_raw(home, "subset0")
    convert_volumes(home, "subset0")
    make_lidc_reads(home, "subset0")
    make_candidates(home, "subset0", ALL_FOR_VALIDATION)
    make_crops(home, "subset0")
    return home


def _write_scan(folder: Path, series_uid: str, first_hu: int) -> None:
    balls = list(zip(CENTERS_IRC, (first_hu, FAINT_HU), strict=True))
    voxels_hu = ball_chest(GRID, balls)
    folder.mkdir(parents=True, exist_ok=True)
    voxels_hu.tofile(folder / f"{series_uid}.raw")
    (folder / f"{series_uid}.mhd").write_text(make_header(GRID, f"{series_uid}.raw"))


@pytest.fixture
def home(scans: Home, mlflow_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The balls beside an MLflow of their own; what a test writes is its own too."""
    for folder in scans.root.iterdir():
        (mlflow_home.root / folder.name).symlink_to(folder)
    monkeypatch.setenv("LUNG_PIPELINE_HOME", str(mlflow_home.root))
    return mlflow_home


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def _marks_from(hu: float) -> UNet:
    """A U-Net that lets the middle slice through and marks what is at least so dense."""
    model = UNet(depth=2, first_filters=1)
    with torch.no_grad():
        for parameter in model.up[0].upsample.parameters():
            parameter.zero_()
        through = [(model.down[0].conv1, CONTEXT_SLICES), (model.up[0].convs.conv1, 1)]
        through += [(block.conv2, 0) for block in (model.down[0], model.up[0].convs)]
        for convolution, channel in through:
            convolution.weight.zero_()
            convolution.weight[0, channel, 1, 1] = 1
            convolution.bias.zero_()
        # Air becomes 100, so that nothing is cut off by a ReLU.
        model.down[0].conv1.bias.fill_(1000)
        model.last.weight.fill_(0.2)
        model.last.bias.fill_(-0.2 * (hu + 1000))
    return model


def _sure_of_all(logit: float) -> CropClassifier:
    model = CropClassifier(first_channels=1)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([0.0, logit]))
    return model


@pytest.fixture
def train(home: Home, tmp_path: Path) -> Callable[..., None]:
    """Register a new set as the challengers and find nodules with it, as train and diagnose do."""
    made = 0

    def newest(hu: float, *, with_findings: bool = True, split_sha256: str = "") -> None:
        nonlocal made
        made += 1
        for step, model in ((SEGMENTATION, _marks_from(hu)), (NODULE, _sure_of_all(made))):
            folder = tmp_path / f"{step}{made}"
            card = ModelCard(type(model).__name__, model.architecture, "set by hand")
            beside = _certificate(home, split_sha256) if split_sha256 else {}
            sha256 = write_model(folder, model, card, beside).weights_sha256
            with run(home, f"lung-{step}", "training") as opened:
                register(opened, step, folder, sha256, CHALLENGER)
        if with_findings:
            named = models_by_alias(home, CHALLENGER)
            _own_findings(home)
            find_in_subset(home, "subset0", named.models, named.names)

    return newest


def _certificate(home: Home, split_sha256: str) -> dict[str, str]:
    """What lies beside a model that was learned under a split; "today's" is that of the tables."""
    made = make_certificate(home, ["subset0"])
    if split_sha256 != "today's":
        made = replace(made, split_sha256=split_sha256)
    return {CERTIFICATE_FILE: made.as_text()}


def _own_findings(home: Home) -> None:
    """Findings are a test's own, not those of the balls all tests share."""
    (home.root / "findings").mkdir(exist_ok=True)


def _evaluate(home: Home, instance: dg.DagsterInstance, **settings: object) -> dict[str, object]:
    """Materialize the asset; returns its metadata."""
    job = build_defs(root=str(home.root)).resolve_job_def("evaluate")
    config = {"subsets": ["subset0"], **settings}
    done = job.get_subset(asset_selection={dg.AssetKey("champion")}).execute_in_process(
        instance=instance, run_config={"ops": {"champion": {"config": config}}}
    )
    (made,) = done.asset_materializations_for_node("champion")
    return {name: entry.value for name, entry in made.metadata.items()}


def _champions(home: Home) -> list[int]:
    return [model.version for model in set_of(home, CHAMPION).values()]


def test_first_set_is_promoted_says_why_and_is_not_promoted_again(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None]
) -> None:
    train(25)
    told = _evaluate(home, instance)
    assert told["promoted"] == 1
    assert told["decision"] == "promoted: there is no champion yet to be compared with"
    assert told["detection/cpm"] == pytest.approx(11 / 24)
    assert _champions(home) == [1, 1]
    folder = home.scorecards / "validation-segmentation-v1-nodule-v1"
    provenance = json.loads((folder / "scorecard.json").read_text())["provenance"]
    assert provenance["excluded_marks"] is None
    assert provenance["truth"] == read_origin(folder / "findings.parquet")["truth"]
    client = connect(home)
    (logged,) = client.search_runs([client.get_experiment_by_name(SCORING).experiment_id])
    assert logged.info.status == "FINISHED"
    assert logged.data.tags["promoted"] == "true"
    assert logged.data.params["headline"] == "cpm"
    again = _evaluate(home, instance)
    assert again["decision"] == "rejected: the newest models are the champions already"
    champions = set_of(home, CHAMPION)
    for model in champions.values():
        assert tags_of(home, model)[f"decision_{key_of(champions)}"] == told["decision"]


def test_worse_set_is_rejected_compared_by_the_command_and_forced_with_a_reason(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None], tmp_path: Path
) -> None:
    train(MARKS_FROM_HU)
    _evaluate(home, instance)
    train(25)
    told = _evaluate(home, instance)
    assert told["promoted"] == 0
    assert str(told["decision"]).startswith("rejected: CPM clearly worse: 0.458 beside")
    assert _champions(home) == [1, 1]
    _check_rejection_is_tagged(home, str(told["decision"]))
    _check_command(home, tmp_path / "out")
    with pytest.raises(SettingError, match="must say why"):
        _evaluate(home, instance, force=True)
    assert _champions(home) == [1, 1]
    told = _evaluate(home, instance, force=True, reason="a demonstration")
    assert told["reason_1"] == "forced: a demonstration"
    assert str(told["reason_2"]).startswith("by rule rejected: CPM clearly worse: 0.458")
    assert _champions(home) == [2, 2]


def _check_rejection_is_tagged(home: Home, decision: str) -> None:
    rejected = set_of(home, CHALLENGER)
    for model in rejected.values():
        tags = tags_of(home, model)
        assert tags[f"decision_{key_of(rejected)}"] == decision
        assert not any(name.startswith("promoted_set_") for name in tags)


def _check_command(home: Home, out: Path) -> None:
    done = CliRunner().invoke(main, ["compare", "champion", "challenger", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "A  validation-segmentation-v1-nodule-v1" in done.output
    assert "A finds 24, B 11; 0 won, 13 lost" in done.output
    record = json.loads((out / "comparison.json").read_text())
    assert len(record["lost"]) == 13
    assert Page(out / "comparison.html").tags.count("img") == 13
    names = [f"validation-segmentation-v{n}-nodule-v{n}" for n in (2, 1)]
    turned = CliRunner().invoke(main, ["compare", *names])
    assert "13 won, 0 lost" in turned.output
    assert (home.scorecards / f"compare-{names[0]}-with-{names[1]}" / "comparison.json").is_file()


def test_set_that_is_better_within_noise_is_rejected(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None]
) -> None:
    train(25)
    _evaluate(home, instance)
    train(0)
    told = _evaluate(home, instance)
    assert told["promoted"] == 0
    assert str(told["reason_1"]).startswith("CPM better, but within noise: 0.500 beside")
    assert _champions(home) == [1, 1]


def test_clearly_better_set_is_promoted_whole_with_its_reasons_everywhere(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None]
) -> None:
    train(25)
    _evaluate(home, instance)
    train(MARKS_FROM_HU)
    told = _evaluate(home, instance)
    decision = str(told["decision"])
    assert told["promoted"] == 1
    assert decision.startswith(
        "promoted: CPM clearly better: 1.000 beside the champion's 0.458, +0.542 with a 95 %"
    )
    assert told["comparison/num_won"] == 13
    assert _champions(home) == [2, 2]
    key = key_of(set_of(home, CHAMPION))
    for model in set_of(home, CHAMPION).values():
        tags = tags_of(home, model)
        assert tags[f"decision_{key}"] == decision
        assert f"promoted_set_{key}" in tags
        logged = connect(home).get_run(tags[f"decision_run_{key}"])
        assert logged.data.tags["decision"] == decision
        assert logged.data.tags["reason_1"] == str(told["reason_1"])
        assert logged.data.tags["set"] == key
        assert logged.data.metrics["comparison/num_won"] == 13
    # MLflow is seen by more people than the home: crops, and no name of a patient or a scan.
    seen = Path(connect(home).download_artifacts(logged.info.run_id, "comparison"))
    (named,) = {
        one["patient_id"][:5] for one in json.loads((seen / "comparison.json").read_text())["won"]
    }
    assert named == "name-"
    assert Page(seen / "comparison.html").tags.count("img") == 13
    page = Page(Path(str(told["comparison"])))
    assert decision in page.text
    assert page.tags.count("img") == 13
    assert models_in_use(home).names == {s: m.label for s, m in set_of(home, CHAMPION).items()}


def test_models_that_came_meanwhile_are_not_promoted_unseen(
    home: Home,
    instance: dg.DagsterInstance,
    train: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(25)
    _evaluate(home, instance)
    train(MARKS_FROM_HU)
    _while_they_are_compared(monkeypatch, lambda: train(0, with_findings=False))
    with pytest.raises(ModelError, match=r"alias challenger: .*materialize champion again"):
        _evaluate(home, instance)
    assert _champions(home) == [1, 1]


def test_champions_that_came_meanwhile_are_not_replaced_unseen(
    home: Home,
    instance: dg.DagsterInstance,
    train: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(25)
    _evaluate(home, instance)
    train(0)
    others = set_of(home, CHALLENGER)
    train(MARKS_FROM_HU)
    _while_they_are_compared(monkeypatch, lambda: make_champions(home, others, "now"))
    with pytest.raises(ModelError, match=r"alias champion: .*materialize champion again"):
        _evaluate(home, instance)
    assert _champions(home) == [2, 2]


def _while_they_are_compared(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Let somebody work between the comparison of two sets and what it leads to."""
    compared = promotion._try

    def meanwhile(*given: Any) -> Any:
        trial = compared(*given)
        work()
        return trial

    monkeypatch.setattr(promotion, "_try", meanwhile)


def test_set_of_another_split_is_not_promoted_whichever_it_is(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None]
) -> None:
    train(MARKS_FROM_HU, split_sha256="another")
    told = _evaluate(home, instance)
    words = (
        "(lung-\\S+ v1 \\(\\w+\\)( and )?){2} learned under another split than the tables have now"
    )
    assert re.match(f"rejected: {words}", str(told["decision"]))
    assert told["split/models_of_another_split"] == 2
    assert _champions(home) == []
    _evaluate(home, instance, force=True, reason="a demonstration")
    # The champions were taught who decides: a sound set need not be better than they are.
    train(25, split_sha256="today's")
    told = _evaluate(home, instance)
    assert re.match(f"rejected: {words}", str(told["decision"]))
    assert told["split/models_of_another_split"] == 0
    assert _champions(home) == [1, 1]
    _evaluate(home, instance, force=True, reason="the champion was taught who decides")
    train(MARKS_FROM_HU, split_sha256="today's")
    assert _evaluate(home, instance)["promoted"] == 1


def test_findings_of_other_models_decide_nothing(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None]
) -> None:
    train(25)
    train(-300, with_findings=False)
    with pytest.raises(StoreError, match="must come from the newest models"):
        _evaluate(home, instance)
    assert _champions(home) == []


def test_champions_that_are_no_set_are_refused_until_one_is_forced(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None]
) -> None:
    train(MARKS_FROM_HU)
    _evaluate(home, instance)
    train(25)
    alone = find(home, NODULE, CHALLENGER)
    assert alone is not None
    set_alias(home, alone, CHAMPION)
    for use in (models_in_use, lambda of: models_by_alias(of, CHAMPION)):
        with pytest.raises(ModelError, match="evaluated and promoted together, as one set"):
            use(home)
    with pytest.raises(ModelError, match="as one set"):
        _evaluate(home, instance)
    told = _evaluate(home, instance, force=True, reason="a set again")
    assert "the champions could not be run to be compared with" in str(told["reason_2"])
    assert _champions(home) == [2, 2]
    assert models_in_use(home).names[NODULE] == alone.label


def test_weights_that_were_changed_are_not_promoted(
    home: Home, instance: dg.DagsterInstance, train: Callable[..., None]
) -> None:
    train(25)
    newest = find(home, NODULE, CHALLENGER)
    assert newest is not None
    (weights,) = (home.mlflow_artifacts / "lung-nodule" / newest.run_id).rglob("*.safetensors")
    whole = bytearray(weights.read_bytes())
    whole[-1] ^= 1
    weights.write_bytes(whole)
    with pytest.raises(ModelError, match="must have the hash"):
        _evaluate(home, instance)
    assert _champions(home) == []


@pytest.mark.parametrize(
    ("a", "words"),
    [
        ("reference", "an alias can be compared when models have it"),
        ("validation-nothing", "are compared by the findings beside their scorecards"),
        ("../elsewhere", "a name must consist of letters"),
    ],
)
def test_command_refuses_what_is_no_scorecard_in_one_line(home: Home, a: str, words: str) -> None:
    done = CliRunner().invoke(main, ["compare", a, "champion"])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
