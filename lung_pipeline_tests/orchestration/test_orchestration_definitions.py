# SPDX-License-Identifier: Apache-2.0
"""The code location: what is in it, that it is light, and that no edge changes unseen."""

from __future__ import annotations

import subprocess
import sys
import warnings

import dagster as dg
import pytest

from lung_pipeline.orchestration.build import build_defs

HEAVY = (
    *(
        "torch",
        "mlflow",
        "SimpleITK",
        "matplotlib",
        "pandas",
        "pyarrow",
        "zarr",
        "scipy",
        "sklearn",
    ),
    *("s3fs", "fsspec", "upath", "boto3", "botocore", "psycopg2", "pydicom", "lxml"),
)

GRAPH = {
    "raw_subset": ("data", True, set()),
    "hu_volumes": ("data", True, {"raw_subset"}),
    "lidc_reads": ("data", True, {"hu_volumes"}),
    "candidates": ("data", True, {"hu_volumes", "lidc_reads"}),
    "crops": ("data", True, {"hu_volumes", "candidates"}),
    "leakage_certificate": ("models", False, {"candidates", "crops"}),
    "segmentation_model": (
        "models",
        False,
        {"hu_volumes", "lidc_reads", "candidates", "leakage_certificate"},
    ),
    "nodule_model": ("models", False, {"crops", "leakage_certificate"}),
    "malignancy_model": (
        "models",
        False,
        {"crops", "lidc_reads", "nodule_model", "leakage_certificate"},
    ),
    "findings": (
        "patients",
        True,
        {"hu_volumes", "candidates", "segmentation_model", "nodule_model", "malignancy_model"},
    ),
    "diagnoses": ("patients", True, {"findings", "candidates"}),
    "scorecard": ("evaluation", False, {"findings", "candidates"}),
    "champion": ("evaluation", False, {"scorecard", "findings"}),
    "nightly_revalidation": ("evaluation", False, {"hu_volumes", "candidates", "champion"}),
    "fahrenheit_from_celsius": ("primer", False, set()),
}
"""For each asset: its group, whether it is partitioned, what it depends on."""

ON_THE_GPU = {
    "segmentation_model",
    "nodule_model",
    "malignancy_model",
    "findings",
    "champion",
    "nightly_revalidation",
}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


def _nodes(defs: dg.Definitions) -> dict[str, object]:
    graph = defs.resolve_asset_graph()
    return {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}


def test_the_definitions_load_whole(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_graph_is_as_it_is_drawn(defs: dg.Definitions) -> None:
    found = {
        name: (
            node.group_name,
            node.partitions_def is not None,
            {parent.to_user_string() for parent in node.parent_keys},
        )
        for name, node in _nodes(defs).items()
    }
    assert found == GRAPH


def test_every_partitioned_asset_has_the_dynamic_subsets(defs: dg.Definitions) -> None:
    names = {node.partitions_def.name for node in _nodes(defs).values() if node.partitions_def}
    assert names == {"luna_subset"}


def test_every_asset_says_what_it_is_and_which_code_made_it(defs: dg.Definitions) -> None:
    for name, node in _nodes(defs).items():
        assert node.description, name
        assert node.code_version, name
        assert node.kinds, name


def test_whatever_uses_a_gpu_waits_in_the_pool_and_asks_for_a_card(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    waiting = {
        key.to_user_string() for key in graph.get_all_asset_keys() if "gpu" in graph.get(key).pools
    }
    assert waiting == ON_THE_GPU
    for name in ON_THE_GPU:
        tags = defs.resolve_assets_def(name).op.tags
        assert "nvidia.com/gpu" in tags["dagster-k8s/config"], name


def test_jobs_and_the_nightly_schedule_are_there(defs: dg.Definitions) -> None:
    jobs = {job.name for job in defs.resolve_all_job_defs()} - {"__ASSET_JOB"}
    profiles = {"train_demo", "train_laptop", "train_gpu"}
    assert jobs == {"ingest", "train", *profiles, "diagnose", "evaluate", "revalidate"}
    schedule = defs.resolve_schedule_def("nightly_revalidation")
    assert schedule.cron_schedule == "0 2 * * *"
    assert schedule.job_name == "revalidate"


def test_each_data_stage_and_each_model_has_its_check(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    checks = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    assert checks == {
        ("hu_volumes", "hu_range_and_geometry"),
        ("hu_volumes", "every_scan_was_read"),
        ("lidc_reads", "no_nodule_has_two_marks_of_one_reader"),
        ("lidc_reads", "every_mark_was_read"),
        ("candidates", "annotated_nodules_have_marks"),
        ("candidates", "no_patient_in_two_parts"),
        ("crops", "crops_equal_their_windows"),
        ("findings", "every_series_looked_at"),
        ("leakage_certificate", "nothing_leaks"),
        ("leakage_certificate", "parts_are_alike"),
        ("segmentation_model", "segmentation_losses_are_finite"),
        ("nodule_model", "nodule_losses_are_finite"),
        ("malignancy_model", "malignancy_losses_are_finite"),
        ("nightly_revalidation", "revalidation_holds"),
        ("nightly_revalidation", "computed_as_at_promotion"),
    }


def test_a_failed_run_is_watched_for_from_the_beginning(defs: dg.Definitions) -> None:
    sensor = defs.resolve_sensor_def("alert_of_failed_run")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_the_night_fails_its_run_where_something_changed_and_warns_of_a_library(
    defs: dg.Definitions,
) -> None:
    graph = defs.resolve_asset_graph()
    night = dg.AssetKey("nightly_revalidation")
    is_blocking = {
        key.name: graph.get(key).blocking
        for key in graph.asset_check_keys
        if key.asset_key == night
    }
    assert is_blocking == {"revalidation_holds": True, "computed_as_at_promotion": False}


def test_the_launchpad_shows_the_tolerances_of_a_night(defs: dg.Definitions) -> None:
    fields = defs.resolve_assets_def("nightly_revalidation").op.config_schema.config_type.fields
    assert fields["figures"].default_value == 1e-6
    assert "two nodules of a" in fields["figures_elsewhere"].description
    assert fields["renew_baseline"].default_value == ""


def test_loading_the_definitions_imports_nothing_heavy_and_warns_of_nothing() -> None:
    code = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from lung_pipeline.definitions import defs; defs()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_launchpad_shows_each_knob_with_its_text(defs: dg.Definitions) -> None:
    op = defs.resolve_assets_def("segmentation_model").op
    fields = op.config_schema.config_type.fields
    assert "Share of patches" in fields["background_share"].description
    assert fields["epochs"].default_value == 30
    assert fields["subsets"].default_value == []


@pytest.mark.parametrize("mode", ["in_process", "multiprocess", "k8s"])
def test_the_executor_is_chosen_by_the_environment(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode == "k8s":
        pytest.importorskip("dagster_k8s", reason="the extra k8s is not installed")
    monkeypatch.setenv("LUNG_EXECUTOR", mode)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        executor = build_defs().executor
    assert executor is not None
    assert executor.name == mode
