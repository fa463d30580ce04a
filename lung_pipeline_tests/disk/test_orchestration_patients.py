# SPDX-License-Identifier: Apache-2.0
"""The asset ``diagnoses`` and the check of ``findings``: what a person sees of a subset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from ball_scans import MARKS_FROM_HU
from dense_networks import dense_models

from lung_pipeline.diagnosis.subset import find_in_subset
from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.config import DiagnosesConfig
from lung_pipeline.orchestration.launch import sync_subsets
from lung_pipeline.orchestration.metadata import links_metadata
from lung_pipeline.orchestration.private_names import private_names
from lung_pipeline.tables import read_origin, read_table, write_table

NAMED = {"segmentation": "lung-segmentation v1 (aa)", "nodule": "lung-nodule v1 (bb)"}
CHECK = dg.AssetCheckKey(dg.AssetKey("findings"), "every_series_looked_at")


@pytest.fixture
def home(own_ball_home: Home, mlflow_home: Home) -> Home:
    """The balls with findings, beside an MLflow of their own."""
    for folder in own_ball_home.root.iterdir():
        (mlflow_home.root / folder.name).symlink_to(folder)
    models = dense_models(marks_from_hu=MARKS_FROM_HU)
    find_in_subset(mlflow_home, "subset0", models, NAMED)
    return mlflow_home


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        sync_subsets(home, opened)
        yield opened


def _spoil(home: Home, **origin: object) -> None:
    path = home.findings("subset0")
    write_table(read_table(path), path, {**read_origin(path), **origin})


def _run(home: Home, instance: dg.DagsterInstance, **config: object) -> dict[str, dg.MetadataValue]:
    job = build_defs(root=str(home.root)).resolve_job_def("diagnose")
    done = job.get_subset(
        asset_selection={dg.AssetKey("diagnoses")}, asset_check_selection=set()
    ).execute_in_process(
        instance=instance,
        partition_key="subset0",
        run_config={"ops": {"diagnoses": {"config": config}}},
    )
    (made,) = done.asset_materializations_for_node("diagnoses")
    return dict(made.metadata)


def _rows(table: dg.MetadataValue) -> list[dict[str, object]]:
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def test_metadata_names_rule_thresholds_and_the_list_of_reports(
    home: Home, instance: dg.DagsterInstance
) -> None:
    told = _run(home, instance)
    stand_in = private_names(home, None).stand_in
    assert told["num_malignant"].value == 1
    assert told["num_no nodule"].value == 1
    assert str(told["thresholds_from"].value).startswith("0.5 each and not calibrated")
    links = str(told["report_of_each_patient"].value)
    listing = home.reports("subset0") / "index.html"
    assert f"| all | [index.html]({listing.as_uri()}) | `{listing}` |" in links
    # Names that a hospital gave stand in the list, which lies in the home, and nowhere else.
    assert len(links.splitlines()) == 3
    rows = {row["patient_id"] for row in _rows(told["table"])}
    assert rows == {stand_in("A"), stand_in("B")}
    assert "A" not in rows
    for patient_id in ("A", "B"):
        assert (home.report("subset0", patient_id) / "report.html").is_file()
        line = f'<tr><td>{patient_id}</td><td class="soft">{stand_in(patient_id)}</td>'
        assert line in listing.read_text()
        assert f'<a href="{patient_id}/report.html">' in listing.read_text()


def test_rule_and_thresholds_of_the_config_decide(home: Home, instance: dg.DagsterInstance) -> None:
    told = _run(home, instance, rule="noisy-or", malignancy_threshold=0.9, patient_threshold=0.99)
    assert "num_malignant" not in told
    assert str(told["rule"].value).startswith("malignant if 1 - product of")
    assert str(told["thresholds_from"].value).startswith("malignancy threshold as asked for; else")


def _checked(home: Home, instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    job = build_defs(root=str(home.root)).resolve_job_def("diagnose")
    run = job.get_subset(asset_selection=set(), asset_check_selection={CHECK}).execute_in_process(
        instance=instance, partition_key="subset0", raise_on_error=False
    )
    (check,) = run.get_asset_check_evaluations()
    return check


def test_check_warns_of_some_series_and_fails_where_none_was_looked_at(
    home: Home, instance: dg.DagsterInstance
) -> None:
    assert _checked(home, instance).passed
    _spoil(home, looked_at={"a1": [], "a2": []}, problems={"b1": "no lung"})
    some = _checked(home, instance)
    assert not some.passed
    assert some.severity == dg.AssetCheckSeverity.WARN
    b1 = private_names(home, "subset0").stand_in("b1")
    assert some.metadata["faults"].value == f"{b1}: no lung"
    _spoil(home, looked_at={}, problems={"a1": "x", "a2": "y", "b1": "z"})
    assert _checked(home, instance).severity == dg.AssetCheckSeverity.ERROR


def test_patients_name_cannot_become_markup() -> None:
    shown = str(links_metadata({"a|b<i>](x)": Path("/r/report.html")}).value)
    row = shown.splitlines()[2]
    assert row.startswith("| a&#124;b&#60;i&#62;&#93;&#40;x&#41; | [report.html](file:///r/")


def test_rule_there_is_none_of_is_refused() -> None:
    assert DiagnosesConfig().judging().nodule_threshold is None
    with pytest.raises(SettingError, match="any-malignant-nodule, noisy-or"):
        DiagnosesConfig(rule="maximum").judging()
