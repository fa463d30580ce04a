# SPDX-License-Identifier: Apache-2.0
"""The scripts of infra/, run as they are: secrets, databases, the bucket, the image's torch."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from infra_files import COMPOSE, INFRA
from postgres_server import PASSWORD, Server

WITH_SECRETS = INFRA / "docker" / "with_secrets.py"
HARD_TO_QUOTE = "it's \\ a \"$(false) `x` :'y' / pass@word%"
MLFLOW = {"MLFLOW_PG_HOST": "postgres", "MLFLOW_PG_USERNAME": "mlflow", "MLFLOW_PG_DB": "mlflow"}


def _run(*command: str | Path, **given: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **given}
    return subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _told(name: str, **given: str) -> subprocess.CompletedProcess[str]:
    """What a command that the entry point becomes finds under a name in its environment."""
    code = f"import os; print(os.environ.get({name!r}, 'none'), end='')"
    return _run(sys.executable, WITH_SECRETS, sys.executable, "-c", code, **given)


def test_a_secret_is_read_from_its_file_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{HARD_TO_QUOTE}\n")
    told = _told("DAGSTER_PG_PASSWORD", DAGSTER_PG_PASSWORD_FILE=str(tmp_path / "secret"))
    assert (told.stdout, told.returncode) == (HARD_TO_QUOTE, 0)


def test_mlflows_address_holds_any_password(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(HARD_TO_QUOTE)
    given = {**MLFLOW, "MLFLOW_PG_PASSWORD_FILE": str(tmp_path / "secret")}
    address = urlsplit(_told("MLFLOW_BACKEND_STORE_URI", **given).stdout)
    assert address.scheme == "postgresql+psycopg2"
    assert (address.username, address.hostname, address.port) == ("mlflow", "postgres", 5432)
    assert unquote(address.password or "") == HARD_TO_QUOTE
    assert address.path == "/mlflow"


def test_what_is_given_otherwise_stays_and_nothing_is_made_up() -> None:
    given = {"MLFLOW_BACKEND_STORE_URI": "sqlite:///x", "MLFLOW_PG_PASSWORD": "y"}
    assert _told("MLFLOW_BACKEND_STORE_URI", **given).stdout == "sqlite:///x"
    assert _told("MLFLOW_BACKEND_STORE_URI").stdout == "none"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("", "is empty"), (" \n", "is empty")]
)
def test_a_file_without_a_secret_ends_it_in_words(
    content: str | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    told = _told("DAGSTER_PG_PASSWORD", DAGSTER_PG_PASSWORD_FILE=str(file))
    assert told.returncode != 0
    assert told.stdout == ""
    assert told.stderr.strip().startswith(f"DAGSTER_PG_PASSWORD_FILE: {file} {said}")


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    given = {"DAGSTER_PG_PASSWORD": "a", "DAGSTER_PG_PASSWORD_FILE": str(tmp_path / "secret")}
    assert "both set" in _told("DAGSTER_PG_PASSWORD", **given).stderr


def test_the_commands_exit_status_and_arguments_are_kept() -> None:
    done = _run(sys.executable, WITH_SECRETS, "sh", "-c", 'printf "%s|" "$@"; exit 7', "x", "a b")
    assert (done.stdout, done.returncode) == ("a b|", 7)


@pytest.mark.parametrize(
    ("variant", "cuda", "said"),
    [
        ("cpu", None, ""),
        ("cuda", "12.8", ""),
        ("cpu", "12.8", "pip brought torch for cuda"),
        ("cuda", None, "pip brought torch for cpu"),
        ("gpu", None, "must be one of cpu, cuda"),
    ],
)
def test_an_image_with_another_torch_is_not_built(
    variant: str, cuda: str | None, said: str
) -> None:
    code = f"from check_torch import refusal; print(refusal({variant!r}, {cuda!r}))"
    done = _run(sys.executable, "-c", code, PYTHONPATH=str(INFRA / "docker"))
    assert done.returncode == 0
    assert said in done.stdout
    assert (said == "") == (done.stdout.strip() == "")


def test_secrets_are_drawn_once_and_lie_in_a_folder_for_their_owner(tmp_path: Path) -> None:
    shutil.copy(COMPOSE / "make-secrets.sh", tmp_path)
    assert _run(tmp_path / "make-secrets.sh").returncode == 0
    folder = tmp_path / "secrets"
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # compose mounts files as they are, and the services have other user numbers.
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    assert len(set(first.values())) == len(first) == 5
    (folder / "mlflow_pg_password").unlink()
    assert _run(tmp_path / "make-secrets.sh").returncode == 0
    second = {path.name: path.read_text() for path in folder.iterdir()}
    assert {name for name in first if first[name] != second[name]} == {"mlflow_pg_password"}
    assert all(len(second[name]) == 48 for name in second if name.endswith("_password"))


def test_both_sides_of_the_object_store_get_one_key(tmp_path: Path) -> None:
    import configparser
    import json

    shutil.copy(COMPOSE / "make-secrets.sh", tmp_path)
    _run(tmp_path / "make-secrets.sh")
    given = configparser.ConfigParser()
    given.read(tmp_path / "secrets" / "object_store_credentials")
    (identity,) = json.loads((tmp_path / "secrets" / "object_store_identities").read_text())[
        "identities"
    ]
    (key,) = identity["credentials"]
    assert given["default"]["aws_access_key_id"] == key["accessKey"]
    assert given["default"]["aws_secret_access_key"] == key["secretKey"]


@pytest.fixture
def object_store() -> Iterator[str]:
    """A real S3 server without a bucket, on a free port."""
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.slow
def test_the_bucket_is_made_once_and_found_again(object_store: str, tmp_path: Path) -> None:
    given = {
        "AWS_ENDPOINT_URL": object_store,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    script = INFRA / "docker" / "make_bucket.py"
    for _ in range(2):
        done = _run(sys.executable, script, "lung", **given)
        assert (done.stderr, done.returncode) == ("", 0)
    list_buckets = (
        "import boto3; print([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']])"
    )
    assert _run(sys.executable, "-c", list_buckets, **given).stdout.strip() == "['lung']"


@pytest.mark.slow
def test_two_databases_neither_of_which_the_others_user_sees(
    postgresql: Server, tmp_path: Path
) -> None:
    secrets = {"dagster": HARD_TO_QUOTE, "mlflow": "other"}
    for name, secret in secrets.items():
        (tmp_path / f"{name}_pg_password").write_text(f"{secret}\n")
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(postgresql.port)}
    path = f"{postgresql.programs}{os.pathsep}{os.environ['PATH']}"
    done = _run(
        COMPOSE / "postgres" / "databases.sh",
        **{**where, "PATH": path, "PGPASSWORD": PASSWORD, "POSTGRES_USER": "lung"},
        SECRETS=str(tmp_path),
    )
    assert (done.stderr, done.returncode) == ("", 0)
    psql = [str(postgresql.programs / "psql"), "-XAtqc", "select current_user"]
    for name, secret in secrets.items():
        for database in secrets:
            asked = _run(*psql, "-U", name, database, **where, PGPASSWORD=secret)
            if database == name:
                assert asked.stdout.strip() == name
            else:
                assert "permission denied for database" in asked.stderr
    refused = _run(*psql, "-U", "mlflow", "mlflow", **where, PGPASSWORD="wrong")
    assert "password authentication failed" in refused.stderr
