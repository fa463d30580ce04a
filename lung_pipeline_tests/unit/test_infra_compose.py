# SPDX-License-Identifier: Apache-2.0
"""Laws of infra/compose and infra/docker that a reader would otherwise have to believe."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from infra_files import (
    COMPOSE,
    COMPOSE_FILES,
    INFRA,
    REPOSITORY,
    compose_services,
    helm_values,
    read_yaml,
    written,
)

TOOLS = Path(sys.executable).parent
OURS = {"webserver", "webserver-read-only", "daemon", "code-location", "mlflow", "bucket"}
ENDS = {"bucket"}
"""What does its work and ends, and is asked for by its exit status."""


def _checked(*command: str) -> str:
    done = subprocess.run([*command], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _tool(name: str) -> str:
    if not (TOOLS / name).is_file():
        pytest.skip(f"no {name} here (extra dev)")
    return str(TOOLS / name)


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_keeps_to_the_schema_of_compose(name: str) -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert _checked(_tool("check-jsonschema"), *schema, str(COMPOSE / name)) == ""


def test_the_dockerfile_has_nothing_that_hadolint_knows_better() -> None:
    assert _checked(_tool("hadolint"), str(INFRA / "docker" / "Dockerfile")) == ""


def test_every_yaml_file_is_as_yamllint_wants_it() -> None:
    rules = "{extends: default, rules: {line-length: {max: 140}, document-start: disable, "
    rules += "braces: {max-spaces-inside: 0}, comments: {min-spaces-from-content: 1}}}"
    files = [str(path) for path in written() if path.suffix == ".yaml"]
    files += [str(REPOSITORY / name) for name in ("dagster.yaml", "workspace.yaml")]
    assert _checked(_tool("yamllint"), "--strict", "-d", rules, *files) == ""


@pytest.mark.parametrize("path", [p for p in written() if p.suffix == ".sh"], ids=lambda p: p.name)
def test_every_shell_script_parses(path: Path) -> None:
    assert _checked("sh", "-n", str(path)) == ""


def _images() -> dict[str, str]:
    found = {name: service["image"] for name, service in compose_services().items()}
    dockerfile = (INFRA / "docker" / "Dockerfile").read_text()
    found["Dockerfile"] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.MULTILINE)[0]
    return found


@pytest.mark.parametrize(("place", "image"), _images().items())
def test_every_image_is_named_by_its_version(place: str, image: str) -> None:
    assert re.search(r":(\$\{LUNG_TAG:-)?\d+\.\d+[\w.-]*\}?$", image), f"{place}: {image}"


def test_every_stage_of_the_dockerfile_is_that_image_and_none_runs_as_root() -> None:
    lines = (INFRA / "docker" / "Dockerfile").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"${PYTHON_IMAGE}"}
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users == ["10001:10001"]


@pytest.mark.parametrize("name", compose_services())
def test_no_port_is_published_but_on_loopback(name: str) -> None:
    service = compose_services()[name]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", []))
    assert service.get("network_mode") is None


def test_only_user_interfaces_are_published() -> None:
    published = {name for name, service in compose_services().items() if service.get("ports")}
    assert published == {"webserver", "webserver-read-only", "mlflow", "proxy"}


@pytest.mark.parametrize("name", compose_services())
def test_every_service_that_stays_says_whether_it_is_well(name: str) -> None:
    service = compose_services()[name]
    if name in ENDS:
        waiting = [s.get("depends_on", {}).get(name, {}) for s in compose_services().values()]
        assert {"condition": "service_completed_successfully"} in waiting
    else:
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", compose_services())
def test_no_service_is_more_powerful_than_it_must(name: str) -> None:
    service = compose_services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()
    # Ours has its user in the image; a name in place of a number could be anybody.
    assert name in OURS or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert not [volume for volume in service.get("volumes", []) if "docker.sock" in volume]


def test_databases_and_objects_have_no_way_out() -> None:
    assert read_yaml(COMPOSE / "compose.yaml")["networks"]["back"] == {"internal": True}
    services = compose_services()
    for name in ("postgres", "objectstore", "daemon", "code-location", "bucket"):
        assert services[name]["networks"] == ["back"], name


def _given(service: dict[str, Any]) -> dict[str, str]:
    return dict(service.get("environment", {}))


SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)


@pytest.mark.parametrize("name", compose_services())
def test_every_secret_is_a_file_that_the_service_is_given(name: str) -> None:
    service = compose_services()[name]
    mounted = {f"/run/secrets/{secret}" for secret in service.get("secrets", [])}
    for variable, value in _given(service).items():
        if SECRET.search(variable):
            assert variable.endswith("_FILE"), variable
            assert value in mounted, variable
    words = " ".join(service.get("command", []))
    assert set(re.findall(r"/run/secrets/\w+", words)) <= mounted


def test_every_secret_comes_from_the_folder_that_git_does_not_see() -> None:
    for name in ("compose.yaml", "compose.proxy.yaml"):
        for secret, source in read_yaml(COMPOSE / name)["secrets"].items():
            assert source == {"file": f"./secrets/{secret}"}
    if not shutil.which("git") or not (REPOSITORY / ".git").exists():
        pytest.skip("no git here, or this is no checkout: nothing is committed from it")
    ignored = "infra/compose/secrets/postgres_password"
    assert _checked("git", "check-ignore", "-q", ignored) == ""


def test_no_line_of_infra_holds_a_password() -> None:
    """A value of some length beside a word for a secret, in quotes or not."""
    held = re.compile(r"(?i)(password|secret_?key|token)[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9+/]{8,}")
    told = [
        f"{path.name}: {line.strip()}"
        for path in written()
        if path.suffix in {".yaml", ".env", ".conf"}
        for line in path.read_text().splitlines()
        if held.search(line)
    ]
    assert told == []


def test_a_code_location_has_one_name_everywhere() -> None:
    """Schedules' switches and queued runs are keyed by it."""
    laptop = read_yaml(REPOSITORY / "workspace.yaml")["load_from"][0]["python_module"]
    compose = read_yaml(COMPOSE / "workspace.yaml")["load_from"][0]["grpc_server"]
    values = helm_values()
    (server,) = values["dagsterWebserver"]["workspace"]["servers"]
    (deployed,) = values["dagster-user-deployments"]["deployments"]
    command = compose_services()["code-location"]["command"]
    dockerfile = (INFRA / "docker" / "Dockerfile").read_text()
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert {
        laptop["location_name"],
        compose["location_name"],
        server["name"],
        command[command.index("--location-name") + 1],
        deployed["codeServerArgs"][deployed["codeServerArgs"].index("--location-name") + 1],
        *re.findall(r'"--location-name", "(\w+)"', dockerfile),
        *re.findall(r'^code_location_name = "(\w+)"', project, re.MULTILINE),
    } == {"lung_pipeline"}
    assert compose["host"] == "code-location"
    assert (server["host"], server["port"]) == (deployed["name"], deployed["port"])


def test_what_is_mounted_is_there() -> None:
    sources = [
        volume.split(":")[0]
        for service in compose_services().values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]
    assert sources
    assert [source for source in sources if not (COMPOSE / source).is_file()] == []


def test_the_proxy_follows_its_servers_to_new_addresses() -> None:
    """`resolve` is in nginx since 1.27.3; a name without it is asked for once, at the start."""
    proxy = compose_services()["proxy"]
    lines = (INFRA / "proxy" / "upstreams.compose.conf").read_text().splitlines()
    assert "resolver 127.0.0.11 valid=10s;" in lines
    upstreams = [line for line in lines if line.startswith("upstream")]
    named = [re.findall(r"zone \w+ 64k; server ([\w-]+):\d+ resolve;", one) for one in upstreams]
    assert {name for (name,) in named} == set(proxy["depends_on"])
    assert all(asked["restart"] is True for asked in proxy["depends_on"].values())
    version = [int(part) for part in proxy["image"].split(":")[1].split(".")]
    assert version >= [1, 27, 3]


def test_the_gpu_file_reserves_a_card_where_runs_are() -> None:
    services = read_yaml(COMPOSE / "compose.gpu.yaml")["services"]
    assert services.keys() == {"code-location"}
    (device,) = services["code-location"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert compose_services()["code-location"]["shm_size"] == "8gb"


def test_what_is_said_of_nobody_leaves_the_machine() -> None:
    for name in OURS - ENDS:
        assert _given(compose_services()[name])["MLFLOW_DISABLE_TELEMETRY"] == "true", name
    for path in (REPOSITORY / "dagster.yaml", COMPOSE / "dagster.yaml"):
        assert read_yaml(path)["telemetry"] == {"enabled": False}
    assert helm_values()["telemetry"] == {"enabled": False}
