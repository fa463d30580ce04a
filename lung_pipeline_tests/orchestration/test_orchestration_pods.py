# SPDX-License-Identifier: Apache-2.0
"""The pods dagster-k8s would start: a run's and each GPU step's, whole, by its own code paths.

The run launcher is configured by the values of infra/kubernetes, written as the chart writes them.
Every pod is held against Kubernetes' own schemas, strictly. No cluster is asked for anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from infra_files import helm_values
from kubernetes_objects import refusal, run_job, step_job

from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.op_tags import GPU_OP_TAGS

pytest.importorskip("dagster_k8s", reason="the extra k8s is not installed")

ON_THE_GPU = [
    "segmentation_model",
    "nodule_model",
    "malignancy_model",
    "findings",
    "champion",
    "nightly_revalidation",
]


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


@pytest.fixture(scope="module")
def gpu_pods(defs: dg.Definitions) -> dict[str, dict[str, Any]]:
    return {name: step_job(defs.resolve_assets_def(name).op.tags) for name in ON_THE_GPU}


def _pod(job: dict[str, Any]) -> dict[str, Any]:
    return dict(job["spec"]["template"]["spec"])


def test_every_pod_keeps_to_the_schemas_of_kubernetes(gpu_pods: dict[str, dict[str, Any]]) -> None:
    jobs = {**gpu_pods, "a step on the CPU": step_job({}), "a run": run_job()}
    assert {name: refusal(job) for name, job in jobs.items()} == dict.fromkeys(jobs, "")


def test_a_mistyped_key_would_be_refused(defs: dg.Definitions) -> None:
    job = step_job(defs.resolve_assets_def("findings").op.tags)
    job["spec"]["template"]["spec"]["nodeSelectr"] = {}
    assert "nodeSelectr" in refusal(job)


@pytest.mark.parametrize("name", ON_THE_GPU)
def test_a_gpu_step_asks_for_one_card_and_room(
    name: str, gpu_pods: dict[str, dict[str, Any]]
) -> None:
    pod = _pod(gpu_pods[name])
    container = pod["containers"][0]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "24Gi"}
    assert container["resources"]["requests"] == {"cpu": "4", "memory": "16Gi"}
    assert container["args"] == ["dagster", "api", "execute_step"]
    assert _shared_memory_of(pod) == {"medium": "Memory", "sizeLimit": "8Gi"}


@pytest.mark.parametrize("name", ON_THE_GPU)
def test_a_gpu_step_goes_to_the_gpu_nodes_and_no_other(
    name: str, gpu_pods: dict[str, dict[str, Any]]
) -> None:
    """What the launcher says of CPU nodes is merged into step pods: it must not hold them back."""
    pod = _pod(gpu_pods[name])
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod[
        "tolerations"
    ]


@pytest.mark.parametrize("kind", ["run", "step"])
def test_what_needs_no_card_asks_for_none_and_stays_off_those_nodes(kind: str) -> None:
    pod = _pod(run_job() if kind == "run" else step_job({}))
    assert "nvidia.com/gpu" not in str(pod["containers"][0]["resources"])
    assert not pod.get("tolerations")
    assert pod["containers"][0]["resources"]["limits"]["memory"]


def test_tags_of_a_run_do_not_reach_its_steps_nor_the_steps_tags_the_run(
    defs: dg.Definitions,
) -> None:
    """So the card is asked for by op tags, and a run's own pod must not hold one while it waits."""
    assert "nvidia.com/gpu" not in str(run_job())
    assert "nvidia.com/gpu" not in str(step_job({}, run_tags=GPU_OP_TAGS))


def _every_pod() -> Iterator[dict[str, Any]]:
    yield _pod(run_job())
    yield _pod(step_job({}))
    yield _pod(step_job(GPU_OP_TAGS))


def test_every_pod_keeps_to_the_restricted_profile() -> None:
    """The namespace enforces it: https://kubernetes.io/docs/concepts/security/pod-security-standards."""
    for pod in _every_pod():
        container = pod["containers"][0]["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["allowPrivilegeEscalation"] is False
        assert container["readOnlyRootFilesystem"] is True
        assert container["capabilities"] == {"drop": ["ALL"]}


def test_where_the_file_system_is_read_only_there_is_a_place_to_write() -> None:
    for pod in _every_pod():
        places = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
        assert {"/tmp", helm_values()["global"]["dagsterHome"]} <= set(places)  # noqa: S108
        assert len(places) == len(set(places))
        named = [volume["name"] for volume in pod["volumes"]]
        assert len(named) == len(set(named))


def test_every_pod_is_given_its_settings_and_secrets_by_name_only() -> None:
    given = helm_values()["dagster-user-deployments"]["deployments"][0]
    wanted = {secret["name"] for secret in given["envSecrets"]}
    for pod in _every_pod():
        sources = pod["containers"][0]["envFrom"]
        assert wanted <= {
            source["secretRef"]["name"] for source in sources if "secretRef" in source
        }
        passwords = [e for e in pod["containers"][0]["env"] if "PASSWORD" in e["name"]]
        assert passwords
        assert all("valueFrom" in password for password in passwords)


def _shared_memory_of(pod: dict[str, Any]) -> dict[str, Any]:
    mounts = pod["containers"][0]["volumeMounts"]
    name = next(mount["name"] for mount in mounts if mount["mountPath"] == "/dev/shm")  # noqa: S108
    return dict(next(volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == name))
