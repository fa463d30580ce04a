# SPDX-License-Identifier: Apache-2.0
"""Laws of the chart's values, and every Dagster instance by Dagster's own schema."""

from __future__ import annotations

import re
from typing import Any

import pytest
from infra_files import KUBERNETES, REPOSITORY, helm_values, read_yaml
from kubernetes_objects import launcher_settings

pytest.importorskip("dagster_k8s", reason="the extra k8s is not installed")

ROOM = {"/tmp", "/opt/dagster/dagster_home"}  # noqa: S108 - where the image may write
ONE_RUN_A_SUBSET = {
    "key": "dagster/partition",
    "value": {"applyLimitPerUniqueValue": True},
    "limit": 1,
}


def test_the_charts_version_is_that_of_dagster() -> None:
    first = (KUBERNETES / "helm" / "values.yaml").read_text()
    pinned = re.findall(r'"dagster==([\d.]+)"', (REPOSITORY / "pyproject.toml").read_text())
    assert re.findall(r"--version (\S+)", first) == pinned


def test_every_server_of_the_chart_keeps_to_the_profile_and_has_room_to_write() -> None:
    values = helm_values()
    deployed = values["dagster-user-deployments"]["deployments"]
    for given in (values["dagsterWebserver"], values["dagsterDaemon"], *deployed):
        assert given["podSecurityContext"]["runAsUser"] == 10001
        assert given["securityContext"]["readOnlyRootFilesystem"] is True
        assert {mount["mountPath"] for mount in given["volumeMounts"]} == ROOM
        assert given["image"] == {
            "repository": "lung-pipeline",
            "tag": "0.1.0",
            "pullPolicy": "IfNotPresent",
        }
        assert given["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "nodeSelector" not in given


def _instance_of_the_values() -> dict[str, Any]:
    """The parts of the instance's dagster.yaml that the chart writes from our values."""
    values = helm_values()
    database, pools = values["postgresql"], values["concurrency"]["pools"]
    runs = values["concurrency"]["runs"]
    logs = values["computeLogManager"]["config"]["s3ComputeLogManager"]
    monitoring = values["dagsterDaemon"]["runMonitoring"]
    return {
        "storage": {
            "postgres": {
                "postgres_db": {
                    "username": database["postgresqlUsername"],
                    "password": {"env": "DAGSTER_PG_PASSWORD"},
                    "hostname": database["postgresqlHost"],
                    "db_name": database["postgresqlDatabase"],
                    "port": database["service"]["port"],
                    "params": database["postgresqlParams"],
                    "scheme": database["postgresqlScheme"],
                }
            }
        },
        "run_launcher": {
            "module": "dagster_k8s",
            "class": "K8sRunLauncher",
            "config": launcher_settings(),
        },
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": {
                "bucket": logs["bucket"],
                "prefix": logs["prefix"],
                "endpoint_url": logs["endpointUrl"],
                "local_dir": logs["localDir"],
            },
        },
        "concurrency": {
            "pools": {"granularity": pools["granularity"], "default_limit": pools["defaultLimit"]},
            "runs": {
                "max_concurrent_runs": runs["maxConcurrentRuns"],
                "tag_concurrency_limits": runs["tagConcurrencyLimits"],
            },
        },
        "run_monitoring": {
            "enabled": monitoring["enabled"],
            "start_timeout_seconds": monitoring["startTimeoutSeconds"],
            "cancel_timeout_seconds": monitoring["cancelTimeoutSeconds"],
            "poll_interval_seconds": monitoring["pollIntervalSeconds"],
            "free_slots_after_run_end_seconds": monitoring["freeSlotsAfterRunEndSeconds"],
        },
        "telemetry": values["telemetry"],
        **values["additionalInstanceConfig"],
    }


def test_every_instance_is_one_that_dagster_understands(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOST", "USERNAME", "PASSWORD", "DB"):
        monkeypatch.setenv(f"DAGSTER_PG_{variable}", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://x")
    instances = {
        "laptop": read_yaml(REPOSITORY / "dagster.yaml"),
        "compose": read_yaml(REPOSITORY / "infra/compose/dagster.yaml"),
        "chart": _instance_of_the_values(),
    }
    for name, settings in instances.items():
        assert _understood(tmp_path_factory.mktemp(name), settings) == "", name
        assert settings["concurrency"]["pools"] == {"granularity": "op", "default_limit": 1}
        assert settings["concurrency"]["runs"]["tag_concurrency_limits"] == [ONE_RUN_A_SUBSET]
        assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False
        assert settings["nux"] == {"enabled": False}
    assert "postgresql+psycopg2" in str(instances["compose"]["storage"])
    mistyped = {**instances["compose"], "concurency": {}}
    assert "concurency" in _understood(tmp_path_factory.mktemp("mistyped"), mistyped)


def _understood(folder: Any, settings: dict[str, Any]) -> str:
    """What Dagster's own schemas say against an instance, each class's settings included."""
    import yaml
    from dagster._config import process_config
    from dagster._core.instance.config import dagster_instance_config
    from dagster._core.instance.ref import InstanceRef
    from dagster._serdes.config_class import ConfigurableClassData

    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    try:
        dagster_instance_config(str(folder))
        reference = InstanceRef.from_dir(str(folder))
    except Exception as error:
        return str(error)
    parts = [part for part in reference if isinstance(part, ConfigurableClassData)]
    said = []
    for part in parts:
        kind = getattr(__import__(part.module_name, fromlist=["_"]), part.class_name)
        told = process_config(kind.config_type(), part.config_dict)
        said += [error.message for error in told.errors or []]
    return "\n".join(said)
