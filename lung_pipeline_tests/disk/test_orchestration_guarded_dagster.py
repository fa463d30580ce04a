# SPDX-License-Identifier: Apache-2.0
"""What a page of another site can do to the Dagster that `make ui` starts: nothing.

Against Dagster's own application, with a mutation that can be seen afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from lung_pipeline.home import Home
from lung_pipeline.orchestration import guarded_dagster
from lung_pipeline.orchestration.guarded_dagster import Guard
from lung_pipeline.orchestration.servers import servers_of

OWN = "http://127.0.0.1:3000"
MUTATION = 'mutation{setConcurrencyLimit(concurrencyKey:"gpu",limit:0)}'
PICTURE = {"accept": "image/avif,image/webp,*/*"}
"""What a browser says when it asks for a picture: no Origin; an old one no Sec-Fetch-Site."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


@pytest.fixture
def client(instance: dg.DagsterInstance) -> Iterator[TestClient]:
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget(), version="1") as context:
        app = create_app_from_workspace_process_context(context, "", None)
        yield TestClient(Guard(app), base_url=OWN)


def _limits(instance: dg.DagsterInstance) -> list[Any]:
    return list(instance.event_log_storage.get_pool_limits())


def _socket(client: TestClient, sent: dict[str, str]) -> WebSocketTestSession:
    headers = {"host": "127.0.0.1:3000"} | sent
    return client.websocket_connect("/graphql", ["graphql-ws"], headers=headers)


def test_a_picture_elsewhere_changes_nothing(
    client: TestClient, instance: dg.DagsterInstance
) -> None:
    for name in ("query", "q%75ery"):
        asked = client.get(f"/graphql?{name}={MUTATION}", headers=PICTURE)
        assert asked.status_code == 403
    assert _limits(instance) == []


@pytest.mark.parametrize(
    "sent",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[evil"},
        {"origin": "http://127.0.0.1:5000"},
        {"host": "evil.example:3000", "origin": "http://evil.example:3000"},
        {"host": ""},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
    ids=str,
)
def test_a_page_elsewhere_posts_nothing_and_opens_no_socket(
    client: TestClient, instance: dg.DagsterInstance, sent: dict[str, str]
) -> None:
    assert client.post("/graphql", json={"query": MUTATION}, headers=sent).status_code == 403
    assert client.post(f"/graphql?query={MUTATION}", headers=sent).status_code == 403
    with pytest.raises(WebSocketDisconnect) as refused, _socket(client, sent):
        pass
    assert refused.value.reason.startswith("Refused")
    assert _limits(instance) == []


@pytest.mark.parametrize("sent", [{}, {"origin": OWN, "sec-fetch-site": "same-origin"}], ids=str)
def test_its_own_page_and_programs_of_this_machine_may(
    client: TestClient, instance: dg.DagsterInstance, sent: dict[str, str]
) -> None:
    assert client.get("/server_info", headers=sent).status_code == 200
    asked = client.post("/graphql?op=Limit", json={"query": MUTATION}, headers=sent)
    assert asked.status_code == 200
    assert [limit.name for limit in _limits(instance)] == ["gpu"]
    with _socket(client, sent) as opened:
        opened.send_json({"type": "connection_init"})
        assert opened.receive_json() == {"type": "connection_ack"}


def test_a_link_elsewhere_may_lead_here(client: TestClient) -> None:
    sent = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "accept": "text/html"}
    assert client.get("/runs", headers=sent).status_code == 200


def test_make_ui_serves_the_guarded_application(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster's command, to the call that would serve; fails where Dagster builds it otherwise."""
    from dagster_webserver import cli

    _, dagster, *_ = servers_of(Home.at(tmp_path), 3000, 5000)
    assert dagster.command[:3] == (sys.executable, "-m", guarded_dagster.__name__)
    served: list[object] = []
    monkeypatch.setattr(cli.uvicorn, "run", lambda app, **_: served.append(app))
    monkeypatch.setattr(
        cli,
        "create_app_from_workspace_process_context",
        cli.create_app_from_workspace_process_context,
    )
    empty = tmp_path / "workspace.yaml"
    empty.write_text("load_from: []\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["dagster-webserver", "-w", str(empty), "-p", "3000"])
    with pytest.raises(SystemExit, match="0"):
        guarded_dagster.main()
    (app,) = served
    assert isinstance(app, Guard)
