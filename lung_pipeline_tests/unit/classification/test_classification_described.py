# SPDX-License-Identifier: Apache-2.0
"""The malignancy model that says what it sees: its words, its units, and what it judges by."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lung_pipeline.classification.described import (
    STEEPNESS,
    DescribingClassifier,
    describing_loss,
)
from lung_pipeline.classification.inference import classify
from lung_pipeline.classification.malignancy import train_malignancy_model
from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.classification.residual import ResidualClassifier
from lung_pipeline.classification.settings import MalignancySettings
from lung_pipeline.classification.tasks import malignancy_task
from lung_pipeline.classification.validation import validate_describing
from lung_pipeline.crops.augmentation_settings import OFF
from lung_pipeline.crops.frame import CLOSE_UP_MM
from lung_pipeline.crops.store import CropSet
from lung_pipeline.crops.windows import CROP_SHAPE_IRC
from lung_pipeline.errors import AnnotationError

SMALL = {"channels": (4, 8), "blocks": 1, "stem": 2}
SETTINGS = MalignancySettings(
    epochs=2,
    steps_per_epoch=3,
    batch_size=8,
    seed=3,
    depth=3,
    judged_by="characteristics",
    **OFF.model_dump(),
)


def _model(**said: list[float]) -> DescribingClassifier:
    torch.manual_seed(1)
    values = {name: np.asarray(numbers, dtype=float) for name, numbers in said.items()}
    return DescribingClassifier.seeing_with(ResidualClassifier(**SMALL), values)


def _noise(number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    shape_irc = ResidualClassifier.close_up_irc
    return torch.randn((number, 1, *shape_irc), generator=generator) * 200 - 700


def _crops() -> CropSet:
    """Eight nodules of each part, the larger ones malignant, and four that are none."""
    rng = np.random.default_rng(1)
    voxels = rng.normal(-850, 30, (24, *CROP_SHAPE_IRC)).astype(np.int16)
    table = pd.DataFrame({"part": ["train"] * 12 + ["validation"] * 12})
    table["is_nodule"] = [row % 12 < 8 for row in range(24)]
    half = np.where(table["is_nodule"], 2 + np.arange(24) % 8, 0)
    for crop, size in zip(voxels, half, strict=True):
        crop[16 - size : 16 + size, 24 - size : 24 + size, 24 - size : 24 + size] = 30
    is_malignant = [bool(size >= 6) if size else None for size in half]
    table["is_malignant"] = pd.array(is_malignant, dtype="boolean")
    table["diameter_mm"] = np.where(table["is_nodule"], 2.0 * half, np.nan)
    table["patient_id"] = [f"patient{row}" for row in table.index]
    return CropSet((voxels,), table)


def _said(crops: CropSet) -> pd.DataFrame:
    """Sizes of all nodules; of texture only half of them have a word."""
    log2_diameter = np.log2(crops.index["diameter_mm"].to_numpy())
    texture = np.where(np.arange(24) % 2 == 0, 5.0, np.nan)
    return pd.DataFrame({"log2_diameter": log2_diameter, "texture": texture})


def test_it_infers_two_logits_and_in_training_tells_what_it_sees_behind_them() -> None:
    model, crops_hu = _model(size=[1, 3], texture=[1, 5]), _noise(3)
    assert model.train()(crops_hu).shape == (3, 2 + 2)
    with torch.inference_mode():
        assert model.eval()(crops_hu).shape == (3, 2)


def test_without_the_size_of_its_voxels_a_crop_is_refused() -> None:
    crops_hu = np.zeros((1, *CROP_SHAPE_IRC), dtype=np.int16)
    with pytest.raises(ValueError, match="needs the voxels' spacing"):
        classify(_model(size=[1, 3]), crops_hu)


def test_a_model_that_learned_from_other_close_ups_is_refused() -> None:
    architecture = {**_model(size=[1, 3]).architecture, "close_up_mm": 30.0}
    with pytest.raises(ValueError, match=r"close-ups of 30.0 mm; they are of 22.4 mm here"):
        DescribingClassifier(**architecture)


def test_words_come_in_the_units_of_the_readers() -> None:
    # Mean 3 and spread 2 of what is known; nothing seen yet is the mean.
    model = _model(texture=[1, 5, float("nan")])
    torch.nn.init.zeros_(model.words.weight)
    torch.nn.init.constant_(model.words.bias, 0.5)
    with torch.inference_mode():
        found = model.eval().describe(_noise(1))
    torch.testing.assert_close(found, torch.tensor([[4.0]]))


def test_a_share_is_told_by_its_log_odds_and_described_as_a_share() -> None:
    model = _model(calcified=[0, 1, 0.5]).eval()
    torch.nn.init.zeros_(model.words.weight)
    torch.nn.init.constant_(model.words.bias, math.log(3))  # three of four readers
    with torch.inference_mode():
        found = model.describe(_noise(1))
    torch.testing.assert_close(found, torch.tensor([[0.75]]))


def test_a_characteristic_on_which_all_agree_divides_by_no_zero() -> None:
    with torch.inference_mode():
        found = _model(texture=[5, 5]).eval().describe(_noise(1))
    assert torch.isfinite(found).all()


def test_it_judges_by_its_words_alone() -> None:
    model = _model(size=[1, 3]).eval()
    torch.nn.init.zeros_(model.words.weight)
    torch.nn.init.ones_(model.words.bias)
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[0.0], [0.2]]))
    with torch.inference_mode():
        logits = model(_noise(2))
    # Whatever the crop: what is told is 1, so the logit is the steepness times the weight.
    torch.testing.assert_close(logits, torch.tensor([[0.0, 0.2 * STEEPNESS]] * 2))


def test_its_judgement_does_not_bend_its_words() -> None:
    """Nothing is said, and a label is wrong: only the judgement has something to learn."""
    model = _model(size=[1, 3]).train()
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[0.0], [0.2]]))
    said = torch.full((2, 1), float("nan"))
    batch = (_noise(2), torch.tensor([0, 1]), said, torch.ones(2))
    describing_loss(model, batch, 4.0).backward()
    assert model.head.weight.grad is not None
    assert model.head.weight.grad.any()
    assert not any(
        parameter.grad is not None and parameter.grad.any()
        for name, parameter in model.named_parameters()
        if not name.startswith("head")
    )


def _telling(told: list[list[float]]) -> DescribingClassifier:
    """A model of the size and the texture that tells the same of any crops; its judgement is the
    size, its units are halves of a doubling."""

    class Telling(DescribingClassifier):
        def tell(self, crops_hu: torch.Tensor) -> torch.Tensor:
            return torch.tensor(told).expand(len(crops_hu), -1)

    model = Telling(
        eyes="ResidualClassifier",
        architecture=SMALL,
        told=["log2_diameter", "texture"],
        close_up_mm=CLOSE_UP_MM,
    )
    model.scales.spread = torch.tensor([0.5, 1.0])
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[0.0, 0.0], [1 / STEEPNESS, 0.0]]))
    return model.train()


def test_the_loss_leaves_out_what_nobody_said_and_counts_the_size_thrice() -> None:
    model = _telling([[0.0, 9.0], [0.0, 0.0]])
    said = torch.tensor([[1.0, float("nan")], [float("nan"), 1.0]])
    batch = (torch.zeros(2, 1), torch.tensor([0, 1]), said, torch.ones(2))
    # Undecided logits cost log 2. Words: 1 off is 2 halves and costs 1.5, thrice; 1 off costs 0.5;
    # of 4 in all.
    assert describing_loss(model, batch, 2.0).item() == pytest.approx(math.log(2) + 2 * 5 / 4)
    unknown = (batch[0], batch[1], torch.full((2, 2), float("nan")), torch.ones(2))
    assert describing_loss(model, unknown, 2.0).item() == pytest.approx(math.log(2))


def test_the_loss_of_a_share_is_its_cross_entropy() -> None:
    model = _model(calcified=[0, 1]).train()
    torch.nn.init.zeros_(model.words.weight)
    torch.nn.init.constant_(model.words.bias, math.log(3))
    said = torch.tensor([[1.0], [0.5]])
    batch = (_noise(2), torch.tensor([0, 1]), said, torch.ones(2))
    # The chance that is told is 3/4; one label of each kind costs log 2 undecided.
    of_words = -(math.log(0.75) + 0.5 * math.log(0.75) + 0.5 * math.log(0.25)) / 2
    expected = math.log(2) + 2 * of_words
    assert describing_loss(model, batch, 2.0).item() == pytest.approx(expected)


def test_what_is_shown_twice_as_large_is_told_large_and_judged_as_it_is() -> None:
    # Twice as large is one doubling more, which is 2 in units of half a doubling.
    scale = torch.tensor([2.0, 1.0])
    said = torch.tensor([[0.25, 0.0], [0.25, 0.0]])
    told_rightly = _telling([[2.5, 0.0], [0.5, 0.0]])
    labels = torch.tensor([1, 1])
    found = describing_loss(told_rightly, (torch.zeros(2, 1), labels, said, scale), 10.0)
    # No word is wrong; both are judged by the size they have, 0.5 of such units.
    assert found.item() == pytest.approx(math.log(1 + math.exp(-0.5)), rel=1e-5)


def test_its_validation_counts_words_beside_the_judgement_and_tells_each_words_error() -> None:
    """It tells a diameter of 8 mm and a texture of 5 of each nodule, in units of 1."""
    model, crops = _telling([[3.0, 5.0]]), _crops()
    model.scales.spread = torch.ones(2)
    nodules = crops.index[crops.index["is_nodule"] & (crops.index["part"] == "validation")]
    said = _said(crops)
    task = replace(
        malignancy_task(crops, SETTINGS), said=said.to_numpy(), spacing_irc_mm=np.ones((24, 3))
    )
    figures = validate_describing(model, task, 1, 2.0).figures
    apart = (said["log2_diameter"].loc[nodules.index] - 3).abs()
    assert figures["validation/error_of_log2_diameter"] == pytest.approx(apart.mean(), rel=1e-5)
    assert figures["validation/error_of_texture"] == 0
    smooth = np.where(apart < 1, apart**2 / 2, apart - 0.5)
    known = 3 * len(nodules) + said["texture"].loc[nodules.index].notna().sum()
    words = 3 * smooth.sum() / known
    assert figures["validation/words_loss"] == pytest.approx(words, rel=1e-5)
    judgement = figures["validation/judgement_loss"]
    assert figures["validation/loss"] == pytest.approx(judgement + 2 * words, rel=1e-5)
    # All are told the same: the judgement is of a size of 3, whatever the nodule.
    malignant = nodules["is_malignant"].mean()
    expected = math.log(1 + math.exp(-3)) + 3 * (1 - malignant)
    assert judgement == pytest.approx(expected, rel=1e-4)


def test_the_error_of_a_word_that_no_reader_said_is_left_out() -> None:
    model, crops = _telling([[3.0, 5.0]]), _crops()
    said = _said(crops).assign(texture=np.nan)
    task = replace(
        malignancy_task(crops, SETTINGS), said=said.to_numpy(), spacing_irc_mm=np.ones((24, 3))
    )
    figures = validate_describing(model, task, 1, 2.0).figures
    assert "validation/error_of_texture" not in figures
    assert all(math.isfinite(figure) for figure in figures.values())


def test_the_architecture_rebuilds_it_from_its_card() -> None:
    model = _model(size=[1, 3], texture=[1, 5])
    again = DescribingClassifier(**json.loads(json.dumps(model.architecture)))
    again.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert torch.equal(again.eval()(_noise(2)), model.eval()(_noise(2)))
        assert torch.equal(again.describe(_noise(2)), model.describe(_noise(2)))


def test_a_training_teaches_words_and_judgement_and_is_repeated_to_the_bit() -> None:
    torch.manual_seed(1)
    eyes, crops = ResidualClassifier(**SMALL), _crops()
    before = {name: value.clone() for name, value in eyes.state_dict().items()}
    (model, history), (again, _) = (
        train_malignancy_model(
            eyes, crops, SETTINGS, said=_said(crops), spacing_irc_mm=np.ones((24, 3))
        )
        for _ in range(2)
    )
    assert isinstance(model, DescribingClassifier)
    assert model.architecture["told"] == ["log2_diameter", "texture"]
    assert model.head.weight.any()
    assert history[0].metrics["validation/auc_of_diameter"] == 1.0
    weights = again.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    untouched = eyes.state_dict()
    assert all(torch.equal(before[name], untouched[name]) for name in before)


@pytest.mark.parametrize("said", [None, pd.DataFrame({"texture": [np.nan] * 24})])
def test_nothing_said_of_any_nodule_is_refused_with_the_cure(said: pd.DataFrame | None) -> None:
    with pytest.raises(AnnotationError, match="judged_by: picture"):
        train_malignancy_model(CropClassifier(first_channels=2), _crops(), SETTINGS, said=said)
