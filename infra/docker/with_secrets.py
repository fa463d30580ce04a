# SPDX-License-Identifier: Apache-2.0
"""The image's entry point: takes secrets from files into the environment, then becomes the command.

A secret in a file is in no image, no compose file, no `docker inspect`. Dagster and MLflow read
theirs from the environment only, so they are put there at the last moment, for one process and its
children. Belongs here: that and nothing else. Runs before anything is installed but Python.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

FROM_FILES = ("DAGSTER_PG_PASSWORD", "MLFLOW_PG_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")
"""NAME is read from the file that NAME_FILE names."""

MLFLOW_DATABASE = "MLFLOW_BACKEND_STORE_URI"
"""What `mlflow server` reads the address of its database from."""


def with_secrets(given: Mapping[str, str]) -> dict[str, str]:
    """The environment with the secrets in it.

    Raises:
        SystemExit: a file that is named is absent or empty, or a secret is given twice.
    """
    found = dict(given)
    for name in FROM_FILES:
        if file := given.get(f"{name}_FILE"):
            if name in given:
                sys.exit(f"{name} and {name}_FILE are both set: leave one out")
            found[name] = _read(f"{name}_FILE", Path(file))
    if "MLFLOW_PG_PASSWORD" in found and MLFLOW_DATABASE not in found:
        found[MLFLOW_DATABASE] = _mlflow_database(found)
    return found


def _read(variable: str, file: Path) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        sys.exit(f"{variable}: {file} cannot be read ({error.strerror})")
    return secret or sys.exit(f"{variable}: {file} is empty")


def _mlflow_database(found: Mapping[str, str]) -> str:
    """Dagster takes the parts, MLflow one address: a password may hold any sign in it."""
    user, password = quote(found["MLFLOW_PG_USERNAME"]), quote(found["MLFLOW_PG_PASSWORD"], safe="")
    place = f"{found['MLFLOW_PG_HOST']}:5432/{found['MLFLOW_PG_DB']}"
    return f"postgresql+psycopg2://{user}:{password}@{place}"


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit("Usage: with_secrets.py COMMAND [ARGUMENT...]")
    os.execvpe(sys.argv[1], sys.argv[1:], with_secrets(os.environ))  # noqa: S606 - no shell is meant
