# SPDX-License-Identifier: Apache-2.0
"""A training that was killed, found again by what it was to learn and from what.

The folder of an attempt is named by a hash of settings, data and code, line by line: the same
training launched again finds its checkpoint and its MLflow run, another one begins anew. It is
removed when the model is registered.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lung_pipeline.home import Home
from lung_pipeline.locks import held, training_of
from lung_pipeline.writing import remove, written_whole

_RUN = "mlflow_run_id"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One training, from its first step to its registered model."""

    folder: Path
    """Where it keeps what it needs to go on."""

    run_id: str | None
    """The MLflow run it was logged in so far; None where it has not begun."""

    @property
    def checkpoint(self) -> Path:
        """Where the state of the training is kept."""
        return self.folder / "state"

    @property
    def events(self) -> Path:
        """Where its event files are, which TensorBoard reads while it lasts."""
        return self.folder / "tensorboard"

    def remember(self, run_id: str) -> None:
        """Write down in which run it is logged."""
        with written_whole(self.folder / _RUN) as temporary:
            temporary.write_text(run_id)

    def forget(self) -> None:
        """The training is done: remove what was kept."""
        with contextlib.suppress(OSError):
            remove(self.folder)


@contextlib.contextmanager
def alone_at(
    home: Home, step: str, parameters: Mapping[str, Any], tell: Callable[[str], None]
) -> Iterator[Attempt]:
    """Lend the attempt at a training; a second run of the same one waits until the first is done.

    Both would write one checkpoint and one MLflow run.
    """
    key = _key(parameters)  # once: to wait may take hours, and the code may change meanwhile
    with held(home, write=[training_of(step, key)], tell=tell):
        yield _attempt(home.training(step, key))


def attempt_at(home: Home, step: str, parameters: Mapping[str, Any]) -> Attempt:
    """The attempt at a training by all that it depends on, begun already or not."""
    return _attempt(home.training(step, _key(parameters)))


def _attempt(folder: Path) -> Attempt:
    kept = folder / _RUN
    return Attempt(folder, kept.read_text() if kept.is_file() else None)


def _key(parameters: Mapping[str, Any]) -> str:
    from lung_pipeline.tracking.provenance import modules_sha256

    made_of = json.dumps({**parameters, "code": modules_sha256()}, sort_keys=True, default=str)
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]
