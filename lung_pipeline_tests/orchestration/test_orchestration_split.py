# SPDX-License-Identifier: Apache-2.0
"""The split as a resource, and the refusal to go on from a model of another split."""

from __future__ import annotations

import pytest

from lung_pipeline.annotations.splits import FoldRule, SplitRule
from lung_pipeline.crops.certificate import LeakageCertificate
from lung_pipeline.errors import SettingError, StoreError
from lung_pipeline.learning.model_folder import ModelCard
from lung_pipeline.orchestration.resources import SplitResource
from lung_pipeline.orchestration.training import refuse_other_split

CERTIFICATE = LeakageCertificate("aa", {}, {}, {}, {}, (), ())


def _card(**data: str) -> ModelCard:
    return ModelCard(network="CropClassifier", architecture={}, purpose="", data=data)


def test_default_is_the_split_by_patients() -> None:
    assert SplitResource().rule() == SplitRule()


def test_each_protocol_takes_its_settings() -> None:
    folds = SplitResource(protocol="luna16-folds", test_fold=7, seed=3, validation=0.2)
    assert folds.rule() == FoldRule(7, 3, 0.2)
    assert SplitResource(seed=3, train=0.5, validation=0.2).rule() == SplitRule(3, 0.5, 0.2)


@pytest.mark.parametrize(
    "settings",
    [
        {"protocol": "by series"},
        {"protocol": "luna16-folds", "test_fold": 10},
        {"protocol": "luna16-folds", "validation": 1.0},
        {"train": 0.9, "validation": 0.2},
    ],
)
def test_settings_that_are_no_split_are_refused_in_words(settings: dict[str, object]) -> None:
    with pytest.raises(SettingError, match="split"):
        SplitResource(**settings).rule()  # type: ignore[arg-type]


def test_model_of_the_same_split_is_gone_on_from() -> None:
    refuse_other_split(_card(split_sha256="aa"), CERTIFICATE, "models:/lung-nodule@challenger")


@pytest.mark.parametrize("data", [{"split_sha256": "bb"}, {}])
def test_model_of_another_split_or_of_none_is_refused(data: dict[str, str]) -> None:
    with pytest.raises(StoreError, match=r"lung-nodule.*Train the nodule model again"):
        refuse_other_split(_card(**data), CERTIFICATE, "models:/lung-nodule@challenger")


def test_certificate_without_a_check_certifies_nothing() -> None:
    assert not CERTIFICATE.passed
