# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes jobs that dagster-k8s makes with the values of infra/kubernetes.

The chart's templates are not here, so what they make of the values is written down: the run
launcher's settings and the code location's container context. From there on dagster-k8s itself
works, up to the call of Kubernetes' API, whose place is taken by a list.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from infra_files import helm_values

NAMESPACE = "lung-pipeline"
SERVER = "https://127.0.0.1:9"
"""Nobody listens there, and nobody is asked."""

_KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "none",
    "clusters": [{"name": "none", "cluster": {"server": SERVER}}],
    "users": [{"name": "none", "user": {}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
}


class Recorder:
    """In place of Kubernetes' API: keeps the jobs it is given."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def create_namespaced_job(self, namespace: str, body: Any, **_: Any) -> Any:
        assert namespace == NAMESPACE
        self.jobs.append(body)
        return body


def launcher_settings() -> dict[str, Any]:
    """What the chart writes of `runLauncher` into the instance's dagster.yaml."""
    values = helm_values()
    given = dict(values["runLauncher"]["config"]["k8sRunLauncher"])
    of_pods = given.pop("runK8sConfig")
    return {
        **{_snake(key): value for key, value in given.items()},
        "job_namespace": NAMESPACE,
        "service_account_name": "dagster",
        "dagster_home": values["global"]["dagsterHome"],
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "run_k8s_config": {_snake(key): value for key, value in of_pods.items()},
    }


def container_context() -> dict[str, Any]:
    """What the chart tells the code location to put into the pods of its runs.

    Its security context may be among that; here the launcher's alone must be enough.
    """
    given = helm_values()["dagster-user-deployments"]["deployments"][0]
    maps = [entry["name"] for entry in given["envConfigMaps"]]
    return {
        "image_pull_policy": given["image"]["pullPolicy"],
        "env_config_maps": [f"dagster-{given['name']}-user-env", *maps],
        "env_secrets": [entry["name"] for entry in given["envSecrets"]],
        "volumes": given["volumes"],
        "volume_mounts": given["volumeMounts"],
        "resources": given["resources"],
    }


def run_job(tags: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The job of a run, by the launcher's own code."""
    recorder = Recorder()
    with dg.DagsterInstance.ephemeral() as instance, _launched(recorder) as launcher:
        launcher.register_instance(instance)
        run = _run(tags or {})
        instance.add_run(run)
        launcher._launch_k8s_job_with_args("dagster-run", ["dagster", "api", "execute_run"], run)
    return _plain(recorder.jobs[0])


def step_job(
    op_tags: Mapping[str, Any], run_tags: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The job of a step, its settings gathered by the executor's own step handler."""
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.executor import K8sStepHandler
    from dagster_k8s.job import construct_dagster_k8s_job

    with _launched(Recorder()) as launcher:
        handler = K8sStepHandler(
            image=None,
            container_context=K8sContainerContext(),
            load_incluster_config=False,
            kubeconfig_file=launcher.kubeconfig_file,
        )
        gathered = handler._get_container_context(_step(launcher, op_tags, run_tags or {}))
        job = construct_dagster_k8s_job(
            gathered.get_k8s_job_config(_image(), launcher),
            ["dagster", "api", "execute_step"],
            "dagster-step",
            pod_name="dagster-step",
            component="step_worker",
            user_defined_k8s_config=gathered.run_k8s_config,
            labels={"dagster/op": "step"},
        )
    return _plain(job)


def refusal(manifest: Mapping[str, Any], version: str = "1.32.0") -> str:
    """What Kubernetes' schemas say against an object, strictly; empty where nothing."""
    import kubernetes_validate

    try:
        kubernetes_validate.validate(dict(manifest), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


@contextlib.contextmanager
def _launched(recorder: Recorder) -> Iterator[Any]:
    """The run launcher of the values, outside of a cluster."""
    from dagster_k8s import K8sRunLauncher

    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "config.json"
        config.write_text(json.dumps(_KUBECONFIG), encoding="utf-8")
        settings = {**launcher_settings(), "load_incluster_config": False}
        yield K8sRunLauncher(**settings, kubeconfig_file=str(config), k8s_client_batch_api=recorder)


def _run(tags: Mapping[str, Any]) -> dg.DagsterRun:
    repository = RepositoryPythonOrigin(
        executable_path="python",
        code_pointer=ModuleCodePointer("lung_pipeline.definitions", "defs"),
        container_image=_image(),
        entry_point=["dagster"],
        container_context={"k8s": container_context()},
    )
    origin = JobPythonOrigin("train_gpu", repository)
    return dg.DagsterRun(job_name="train_gpu", tags=_written(tags), job_code_origin=origin)


def _step(launcher: Any, op_tags: Mapping[str, Any], run_tags: Mapping[str, Any]) -> Any:
    """As much of a step as the handler asks for when it gathers the settings of its pod."""
    key = "a_step"
    return SimpleNamespace(
        execute_step_args=SimpleNamespace(step_keys_to_execute=[key]),
        dagster_run=_run(run_tags),
        instance=SimpleNamespace(run_launcher=launcher),
        step_tags={key: _written(op_tags)},
        get_step_context=lambda _: SimpleNamespace(step=SimpleNamespace(op_name=key)),
    )


def _written(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags as Dagster keeps them: those of an op are text already."""
    return {name: v if isinstance(v, str) else json.dumps(v) for name, v in tags.items()}


def _image() -> str:
    image = helm_values()["dagster-user-deployments"]["deployments"][0]["image"]
    return f"{image['repository']}:{image['tag']}"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[0].lower(), name)


def _plain(job: Any) -> dict[str, Any]:
    from kubernetes.client import ApiClient

    return dict(ApiClient().sanitize_for_serialization(job))
