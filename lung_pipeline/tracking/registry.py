# SPDX-License-Identifier: Apache-2.0
"""Model versions: registered, named by aliases, fetched as folders."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lung_pipeline.errors import ModelError
from lung_pipeline.home import Home
from lung_pipeline.remote.scratch import own_folder
from lung_pipeline.tracking.names import CHAMPION, REFERENCE, REGISTERED, STEPS
from lung_pipeline.tracking.runs import Run
from lung_pipeline.tracking.server import connect, tracking_uri

_FOLDER = "model"
"""The folder of a run that holds its model."""

_ADDRESS = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))")
"""A registered version, by its number or by an alias."""

_LABEL = re.compile(r"\S+ v(\d+) \(.*\)")
"""``ModelVersion.label``: how a version stands beside a result."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version."""

    step: str
    """What it is for: segmentation, nodule or malignancy."""

    version: int
    """Its number, from 1."""

    aliases: tuple[str, ...]
    """What it is called at present."""

    run_id: str
    """The run that made it."""

    weights_sha256: str
    """Hash of its weights."""

    @property
    def uri(self) -> str:
        """Its MLflow address."""
        return f"models:/{REGISTERED[self.step]}/{self.version}"

    @property
    def label(self) -> str:
        """Name, version and hash, as they stand beside a result."""
        return f"{REGISTERED[self.step]} v{self.version} ({self.weights_sha256[:12]})"


def register(run: Run, step: str, folder: Path, weights_sha256: str, alias: str) -> ModelVersion:
    """Keep a model folder with its run and make it the next version of its step."""
    from mlflow.exceptions import MlflowException

    run.log_folder(folder, _FOLDER)
    name = REGISTERED[step]
    try:
        run.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = _made_before(run, name, weights_sha256) or run.client.create_model_version(
        name,
        source=f"{run.artifact_uri}/{_FOLDER}",
        run_id=run.run_id,
        tags={"weights_sha256": weights_sha256},
    )
    run.client.set_registered_model_alias(name, alias, made.version)
    return ModelVersion(step, int(made.version), (alias,), run.run_id, weights_sha256)


def _made_before(run: Run, name: str, weights_sha256: str) -> Any:
    """The version that this run made before it was killed and went on; None where there is none."""
    of_run = run.client.search_model_versions(f"name = '{name}' and run_id = '{run.run_id}'")
    same = (entry for entry in of_run if entry.tags.get("weights_sha256") == weights_sha256)
    return next(same, None)


def find(home: Home, step: str, alias: str) -> ModelVersion | None:
    """The version of a step that has an alias; None where there is none."""
    client, name = connect(home), REGISTERED[step]
    return _version_or_none(step, lambda: client.get_model_version_by_alias(name, alias))


def find_labelled(home: Home, step: str, label: str) -> ModelVersion | None:
    """The version that stands beside a result under a label; None where none is called so."""
    number = _LABEL.fullmatch(label)
    if number is None:
        return None
    # By its number: a version that was scored may have lost its alias to a newer one since.
    client, name = connect(home), REGISTERED[step]
    model = _version_or_none(step, lambda: client.get_model_version(name, number[1]))
    return model if model is not None and model.label == label else None


def find_addressed(home: Home, step: str, address: str) -> ModelVersion | None:
    """The version an address names; None of a folder, or of another step's model.

    Raises:
        ModelError: a ``models:/`` address without a version.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None or parts[1] != REGISTERED[step]:
        return None
    return _version(step, _entry(home, address))


def keep_in_run(home: Home, model: ModelVersion, path: str, text: str) -> None:
    """Keep a small file with the run that made a version; a former one is replaced."""
    connect(home).log_text(model.run_id, text, path)


def kept_in_run(home: Home, model: ModelVersion, path: str) -> str | None:
    """The text of a small file that ``keep_in_run`` kept; None where there is none."""
    client = connect(home)
    folder = path.rpartition("/")[0]
    if path not in {entry.path for entry in client.list_artifacts(model.run_id, folder)}:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return Path(client.download_artifacts(model.run_id, path, scratch)).read_text()


def find_in_use(home: Home, step: str) -> ModelVersion | None:
    """The champion of a step, else the reference, else None."""
    return find(home, step, CHAMPION) or find(home, step, REFERENCE)


def set_alias(home: Home, model: ModelVersion, alias: str) -> None:
    """Give a version an alias; it leaves the version that had it."""
    connect(home).set_registered_model_alias(REGISTERED[model.step], alias, str(model.version))


def remove_alias(home: Home, model: ModelVersion, alias: str) -> None:
    """Take an alias from a version; its step has none of that name then."""
    connect(home).delete_registered_model_alias(REGISTERED[model.step], alias)


def versions(home: Home) -> list[ModelVersion]:
    """All versions of all steps, oldest first."""
    client = connect(home)
    found = []
    for step in STEPS:
        of_step = client.search_model_versions(f"name = '{REGISTERED[step]}'")
        # A search returns no aliases (MLflow 3.17); asking for the version itself does.
        full = (client.get_model_version(REGISTERED[step], v.version) for v in of_step)
        found += sorted((_version(step, v) for v in full), key=lambda v: v.version)
    return found


@contextlib.contextmanager
def fetched(home: Home, address: str) -> Iterator[Path]:
    """Lend the folder of a model; what a server or a store keeps is copied, for the while.

    Args:
        home: whose registry is asked.
        address: a folder, or ``models:/`` and a version or an alias.

    Raises:
        ModelError: neither a folder nor a registered version.
    """
    if not address.startswith("models:/"):
        yield Path(address)
        return
    from mlflow.utils.uri import is_local_uri

    # Not by its address: MLflow looks that up in the registry of the process, not in the home's.
    source = str(_entry(home, address).source)
    if is_local_uri(source, is_tracking_or_registry_uri=False):
        yield _downloaded(home, address, source, None)
        return
    with own_folder("model") as folder:
        yield _downloaded(home, address, source, folder)


def _downloaded(home: Home, address: str, source: str, into: Path | None) -> Path:
    """Where a model lies once it is here; without ``into`` it must be, and is not copied."""
    from mlflow import artifacts
    from mlflow.exceptions import MlflowException

    place = None if into is None else str(into)
    try:
        return Path(
            artifacts.download_artifacts(source, dst_path=place, tracking_uri=tracking_uri(home))
        )
    except (MlflowException, OSError) as error:
        raise _unknown(address, str(error).splitlines()[0]) from error


def named(home: Home, step: str, address: str) -> str:
    """How a model stands beside a result: name, version and hash where it is registered."""
    version = find_addressed(home, step, address)
    return address if version is None else version.label


def _entry(home: Home, address: str) -> Any:
    """What the registry says of an address; ``ModelError`` where it knows of none."""
    from mlflow.exceptions import MlflowException

    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise _unknown(address, "another form")
    name, version, alias = parts.groups()
    client = connect(home)
    try:
        if alias:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, version)
    except MlflowException as error:
        raise _unknown(address, str(error).splitlines()[0]) from error


def _version_or_none(step: str, ask: Callable[[], Any]) -> ModelVersion | None:
    """What the registry answers; None where it knows of no such version."""
    from mlflow.exceptions import MlflowException

    try:
        return _version(step, ask())
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _unknown(address: str, found: str) -> ModelError:
    return ModelError(
        value=found.rstrip("."),
        place=address,
        rule="the address must be a registered version, models:/NAME/VERSION or models:/NAME@ALIAS",
        cure="See `lung-pipeline models list`.",
    )


def _version(step: str, entry: Any) -> ModelVersion:
    return ModelVersion(
        step,
        int(entry.version),
        tuple(sorted(entry.aliases)),
        str(entry.run_id),
        str(entry.tags.get("weights_sha256", "")),
    )
