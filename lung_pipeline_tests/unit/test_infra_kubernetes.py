# SPDX-License-Identifier: Apache-2.0
"""Laws of infra/kubernetes: its objects, and who reaches whom."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest
from infra_files import REPOSITORY, helm_values, kustomized
from kubernetes_objects import refusal, run_job, step_job

pytest.importorskip("kubernetes_validate", reason="the extra dev is not installed")

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")


def _of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in kustomized() if one["kind"] == kind]


@needs_kubectl
def test_every_object_keeps_to_the_schemas_of_kubernetes() -> None:
    found = {f"{one['kind']} {one['metadata']['name']}": refusal(one) for one in kustomized()}
    assert len(found) >= 15
    assert found == dict.fromkeys(found, "")


@needs_kubectl
def test_every_pod_keeps_to_the_profile_the_namespace_enforces() -> None:
    (namespace,) = _of_kind("Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for deployment in _of_kind("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"readinessProbe", "livenessProbe"} <= container.keys()
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert re.search(r":\d+\.\d+", container["image"]), container["image"]


@needs_kubectl
def test_secrets_are_named_and_never_told() -> None:
    assert _of_kind("Secret") == []
    for deployment in _of_kind("Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env", []):
                if re.search(r"PASSWORD|SECRET|KEY", variable["name"]):
                    assert "secretKeyRef" in variable["valueFrom"]


PODS = {
    "proxy": {"app.kubernetes.io/name": "proxy"},
    "webserver": {"app.kubernetes.io/name": "dagster", "component": "dagster-webserver"},
    "webserver to look at": {
        "app.kubernetes.io/name": "dagster",
        "component": "dagster-webserver-read-only",
    },
    "daemon": {"app.kubernetes.io/name": "dagster", "component": "dagster-daemon"},
    "code location": {
        "app.kubernetes.io/name": "dagster-user-deployments",
        "component": "user-deployments",
    },
    "mlflow": {"app.kubernetes.io/name": "mlflow"},
    "a stranger": {"app.kubernetes.io/name": "other"},
}
"""The labels the chart gives; a run's and a step's come from dagster-k8s itself."""

REACHES = {
    ("proxy", "webserver", 3000),
    ("proxy", "webserver to look at", 3000),
    ("proxy", "mlflow", 5000),
    ("webserver", "code location", 3030),
    ("webserver to look at", "code location", 3030),
    ("daemon", "code location", 3030),
    ("code location", "mlflow", 5000),
    ("a run", "mlflow", 5000),
    ("a step", "mlflow", 5000),
}
"""Who reaches whom at which port; nobody else reaches anybody."""


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    equal = all(labels.get(key) == v for key, v in selector.get("matchLabels", {}).items())
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return equal and all(labels.get(one["key"]) in one["values"] for one in expressions)


def _allows(direction: str, here: dict[str, str], there: dict[str, str], port: int) -> bool:
    """Whether the policies of one pod let it speak with another, by Kubernetes' rules."""
    key = {"Ingress": "from", "Egress": "to"}[direction]
    policies = [
        policy["spec"]
        for policy in _of_kind("NetworkPolicy")
        if _selects(policy["spec"]["podSelector"], here)
        and direction in policy["spec"]["policyTypes"]
    ]
    assert policies, "a pod that no policy selects is open to all"
    return any(
        any("podSelector" in peer and _selects(peer["podSelector"], there) for peer in rule[key])
        and port in {one["port"] for one in rule["ports"]}
        for policy in policies
        for rule in policy.get(direction.lower(), [])
    )


@needs_kubectl
def test_who_reaches_whom_is_what_is_listed_and_nothing_else() -> None:
    pods = {
        **PODS,
        "a run": run_job()["spec"]["template"]["metadata"]["labels"],
        "a step": step_job({})["spec"]["template"]["metadata"]["labels"],
    }
    found = {
        (source, target, port)
        for source, sent in pods.items()
        for target, asked in pods.items()
        for port in (80, 3000, 3030, 5000, 8443)
        if source != target
        and _allows("Egress", sent, asked, port)
        and _allows("Ingress", asked, sent, port)
    }
    assert found == REACHES


@needs_kubectl
def test_no_policy_lets_everybody_in_or_out() -> None:
    """Each end would be enough; both are narrow, so that one mistake opens nothing."""
    for policy in _of_kind("NetworkPolicy"):
        spec = policy["spec"]
        rules = [(rule, "from") for rule in spec.get("ingress", [])]
        rules += [(rule, "to") for rule in spec.get("egress", [])]
        for rule, key in rules:
            assert rule["ports"]
            assert all(all(selector for selector in peer.values()) for peer in rule[key])
            assert all(peer for peer in rule[key])


@needs_kubectl
def test_only_what_keeps_something_reaches_the_stores() -> None:
    (policy,) = [p for p in _of_kind("NetworkPolicy") if p["metadata"]["name"] == "to-the-stores"]
    selector = policy["spec"]["podSelector"]
    may = {name for name, labels in PODS.items() if _selects(selector, labels)}
    assert may == PODS.keys() - {"proxy", "a stranger"}
    assert _selects(selector, run_job()["spec"]["template"]["metadata"]["labels"])


def test_the_proxys_addresses_are_those_of_the_services() -> None:
    values = helm_values()
    web, port = values["dagsterWebserver"]["nameOverride"], values["dagsterWebserver"]["service"]
    upstreams = (REPOSITORY / "infra/proxy/upstreams.kubernetes.conf").read_text()
    assert set(re.findall(r"server ([\w.-]+:\d+);", upstreams)) == {
        f"dagster-{web}:{port['port']}",
        f"dagster-{web}-read-only:{port['port']}",
        "mlflow:5000",
    }
