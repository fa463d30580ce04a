# SPDX-License-Identifier: Apache-2.0
"""An S3 server of a test: moto's, on a free port, which can go away, come back, and be watched.

What lies in it stays while it is away, since moto keeps it in this process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

BUCKET = "bucket"

_QUICK = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    # So that a store that is gone is told of in a second.
    "AWS_MAX_ATTEMPTS": "2",
}


class LocalStore:
    """A running server; use ``running_store``."""

    _port = 0
    """The same for all of a process: MLflow keeps its clients, whatever the variables say then."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._moto = DomainDispatcherApplication(create_backend_app)
        self.on_request: Callable[[str, str], None] = lambda method, path: None
        """Told each request before it is served; what it raises is an answer 500."""
        self.start()

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.on_request(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        return self._moto(environ, start_response)

    def start(self) -> None:
        """Serve, on the same port as before."""
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, *_: object) -> None:
                """A line for each request would hide what a test says."""

        self._server = make_server(
            "127.0.0.1", self._port, self._serve, threaded=True, request_handler=Quiet
        )
        LocalStore._port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go away: nobody listens any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def client(self) -> Any:
        import boto3

        return boto3.client("s3", endpoint_url=self.address)

    def contents(self, prefix: str) -> dict[str, bytes]:
        """Every object below a prefix, by its name there, asked past the pipeline."""
        client, found = self.client, {}
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=f"{prefix}/"
        ):
            for one in page.get("Contents", []):
                body = client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
                found[one["Key"].removeprefix(f"{prefix}/")] = body
        return found

    def upload(self, folder: Path, prefix: str) -> None:
        """Put a local folder, as a person would."""
        client = self.client
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                client.upload_file(str(path), BUCKET, key)


@contextlib.contextmanager
def running_store(scratch: Path) -> Iterator[LocalStore]:
    """A store with one empty bucket, named to this process and its children."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _QUICK.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("LUNG_PIPELINE_SCRATCH", str(scratch))
        store = LocalStore()
        patch.setenv("AWS_ENDPOINT_URL", store.address)
        try:
            store.client.create_bucket(Bucket=BUCKET)
            yield store
        finally:
            store.stop()
            _forget_all()


def _forget_all() -> None:
    """Else the next store in this process would begin with what this one had."""
    from moto.s3.models import s3_backends

    s3_backends.reset()
