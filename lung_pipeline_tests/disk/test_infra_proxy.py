# SPDX-License-Identifier: Apache-2.0
"""The proxy's configuration in a real nginx, in front of servers that say what reached them."""

from __future__ import annotations

import base64
import contextlib
import http.client
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from infra_files import INFRA
from mlflow.server.fastapi_security import init_fastapi_security

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("nginx") and shutil.which("openssl")),
        reason="no nginx or no openssl here (Debian: apt install nginx-light)",
    ),
]

UPSTREAMS = ["dagster", "dagster_read_only", "mlflow"]


class _Echo(BaseHTTPRequestHandler):
    """Answers with its server's name, and the headers it was sent."""

    def do_GET(self) -> None:
        body = f"{self.server.name}\n{self.headers}".encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Proxy:
    port: int
    certificate: Path


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """nginx with the repository's configuration, its paths those of this test."""
    servers = {name: _server(name) for name in UPSTREAMS}
    ports = {name: server.server_port for name, server in servers.items()}
    with _nginx(tmp_path_factory.mktemp("proxy"), ports) as made:
        yield made
    for server in servers.values():
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _nginx(folder: Path, ports: Mapping[str, int]) -> Iterator[Proxy]:
    lines = [f"upstream {name} {{ server 127.0.0.1:{at}; }}" for name, at in ports.items()]
    (folder / "upstreams.conf").write_text("\n".join(lines))
    _write_secrets(folder)
    port = _free_port()
    written = (INFRA / "proxy" / "nginx.conf").read_text()
    for known, here in (
        (" /tmp/", f" {folder}/"),
        ("/run/secrets", str(folder)),
        ("listen 8443", f"listen 127.0.0.1:{port}"),
    ):
        assert known in written
        written = written.replace(known, here)
    # Ours are read by whoever nginx runs as in its image; here that is whoever runs the test.
    (folder / "nginx.conf").write_text(f"user root;\n{written}" if _is_root() else written)
    command = ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    with (folder / "said").open("wb") as said:
        nginx = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        _wait_for(port, nginx, folder / "said")
        yield Proxy(port, folder / "tls.crt")
    finally:
        nginx.terminate()
        nginx.wait()


def _server(name: str) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.name = name  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def mlflow_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy before MLflow's own guard of hosts and origins, set as compose sets it."""
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "mlflow:5000,localhost:5000,mlflow.x.org")
    app = FastAPI()
    app.add_api_route("/ajax-api/2.0/mlflow/runs/search", lambda: {"runs": []}, methods=["POST"])
    init_fastapi_security(app)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        with _nginx(tmp_path, dict.fromkeys(UPSTREAMS, listening.getsockname()[1])) as made:
            yield made
        server.should_exit = True
        thread.join(60)


def _write_secrets(folder: Path) -> None:
    subject = [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        folder / "tls.key",
        "-out",
        folder / "tls.crt",
    ]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([str(part) for part in make], check=True, capture_output=True)
    for file, name in (("operators", "ada"), ("viewers", "bob")):
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", f"{name}-password"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        (folder / file).write_text(f"{name}:{hashed}\n")


def _is_root() -> bool:
    import os

    return os.geteuid() == 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, nginx: subprocess.Popen[bytes], said: Path) -> None:
    last = time.monotonic() + 60
    while time.monotonic() < last:
        assert nginx.poll() is None, said.read_text()
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(said.read_text())


def _ask(
    proxy: Proxy,
    host: str,
    who: str = "",
    path: str = "/",
    *,
    method: str = "GET",
    sent: Mapping[str, str] | None = None,
) -> tuple[int, str, http.client.HTTPMessage]:
    trusted = ssl.create_default_context(cafile=str(proxy.certificate))
    connection = http.client.HTTPSConnection("localhost", proxy.port, context=trusted, timeout=30)
    headers = {"Host": host, **(sent or {})}
    if who:
        password = base64.b64encode(f"{who}:{who}-password".encode()).decode()
        headers["Authorization"] = f"Basic {password}"
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.headers


HOSTS = {"dagster.x.org": "dagster", "look.x.org": "dagster_read_only", "mlflow.x.org": "mlflow"}


@pytest.mark.parametrize("host", HOSTS)
def test_nobody_passes_without_a_password(proxy: Proxy, host: str) -> None:
    assert _ask(proxy, host)[0] == 401
    assert _ask(proxy, host, "eve")[0] == 401


@pytest.mark.parametrize(("host", "server"), HOSTS.items())
def test_each_name_leads_to_its_server_for_those_who_may(
    proxy: Proxy, host: str, server: str
) -> None:
    may, may_not = ("bob", "ada") if host.startswith("look") else ("ada", "bob")
    status, body, _ = _ask(proxy, host, may)
    assert (status, body.splitlines()[0]) == (200, server)
    assert _ask(proxy, host, may_not)[0] == 401


def test_the_server_is_told_the_name_and_not_the_password(proxy: Proxy) -> None:
    _, body, _ = _ask(proxy, "mlflow.x.org", "ada")
    assert "Host: mlflow.x.org" in body
    assert "X-Forwarded-Proto: https" in body
    assert "Authorization" not in body


def test_a_page_elsewhere_cannot_use_a_persons_password(proxy: Proxy) -> None:
    def status(origin: str) -> int:
        return _ask(proxy, "dagster.x.org", "ada", sent={"Origin": origin})[0]

    assert status("https://dagster.x.org") == 200
    assert status("https://dagster.x.org:8443") == 200
    for foreign in ("https://evil.org", "http://dagster.x.org", "https://dagster.x.org.evil.org"):
        assert status(foreign) == 403
    assert status("null") == 403


MUTATION = "/graphql?query=mutation%7BterminateRun(runId:%22a%22)%7B__typename%7D%7D"


@pytest.mark.parametrize(("host", "who"), [("dagster.x.org", "ada"), ("look.x.org", "bob")])
@pytest.mark.parametrize(
    "path",
    [
        MUTATION,
        MUTATION.replace("query", "q%75ery"),
        MUTATION.replace("?", "?a=b&"),
        MUTATION.replace("/graphql", "/%67raphql"),
    ],
)
def test_a_picture_elsewhere_cannot_change_anything(
    proxy: Proxy, host: str, who: str, path: str
) -> None:
    """A browser asks for a picture without an Origin, and an older one without Sec-Fetch-Site."""
    assert _ask(proxy, host, who, path)[0] == 403
    assert _ask(proxy, host, who, path, sent={"Sec-Fetch-Site": "same-origin"})[0] == 403


@pytest.mark.parametrize("host", ["dagster.x.org", "mlflow.x.org"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_elsewhere_may_link_here_and_fetch_nothing(
    proxy: Proxy, host: str, site: str
) -> None:
    def status(mode: str) -> int:
        sent = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        return _ask(proxy, host, "ada", "/server_info", sent=sent)[0]

    assert status("navigate") == 200
    assert {status("no-cors"), status("cors"), status("websocket")} == {403}


def test_dagsters_own_page_can_ask_and_be_told(proxy: Proxy) -> None:
    own = {"Origin": "https://dagster.x.org:8443", "Sec-Fetch-Site": "same-origin"}
    asked = _ask(proxy, "dagster.x.org", "ada", "/graphql?op=Runs", method="POST", sent=own)
    assert asked[0] == 200
    socket_asked = {**own, "Upgrade": "websocket", "Connection": "Upgrade"}
    status, body, _ = _ask(proxy, "dagster.x.org", "ada", "/graphql", sent=socket_asked)
    assert status == 200
    assert "Upgrade: websocket" in body
    # A client without a browser has the password itself.
    assert _ask(proxy, "dagster.x.org", "ada", "/graphql", method="POST")[0] == 200


def test_mlflows_own_page_is_answered_and_another_is_not(mlflow_proxy: Proxy) -> None:
    def status(origin: str) -> int:
        path, sent = "/ajax-api/2.0/mlflow/runs/search", {"Origin": origin}
        return _ask(mlflow_proxy, "mlflow.x.org", "ada", path, method="POST", sent=sent)[0]

    assert status("https://mlflow.x.org") == 200
    assert status("https://mlflow.x.org:8443") == 200
    assert status("https://evil.org") == 403


def test_another_name_gets_nothing_but_whether_the_proxy_is_well(proxy: Proxy) -> None:
    assert _ask(proxy, "evil.org", "ada")[0] == 421
    assert _ask(proxy, "evil.org", path="/healthz")[0] == 204


def test_browsers_are_told_to_be_careful(proxy: Proxy) -> None:
    _, _, headers = _ask(proxy, "dagster.x.org", "ada")
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Server"] == "nginx"
