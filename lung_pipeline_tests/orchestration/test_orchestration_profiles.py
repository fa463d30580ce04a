# SPDX-License-Identifier: Apache-2.0
"""The profiles name settings that there are, and the jobs carry them."""

import dagster as dg
import pytest

from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.config import (
    ClassifierConfig,
    MalignancyConfig,
    SegmentationConfig,
)
from lung_pipeline.orchestration.profiles import GPU, PROFILES, run_config

CONFIGS = {
    "segmentation_model": SegmentationConfig,
    "nodule_model": ClassifierConfig,
    "malignancy_model": MalignancyConfig,
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_gives_each_model_settings_that_are_allowed(name: str) -> None:
    profile = PROFILES[name]
    assert profile.keys() == CONFIGS.keys()
    for asset, knobs in profile.items():
        config = CONFIGS[asset](**knobs)
        assert {knob: getattr(config, knob) for knob in knobs} == dict(knobs)


@pytest.mark.parametrize("name", PROFILES)
def test_the_job_of_a_profile_has_its_run_config(name: str) -> None:
    job = build_defs().resolve_job_def(f"train_{name}")
    assert dg.validate_run_config(job, run_config(PROFILES[name]))["ops"] is not None
    given = job.run_config
    assert given == run_config(PROFILES[name])


def test_the_gpu_profile_never_falls_back_to_a_cpu() -> None:
    assert all(knobs["device"] == "cuda" for knobs in GPU.values())
