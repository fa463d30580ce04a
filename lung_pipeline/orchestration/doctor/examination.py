# SPDX-License-Identifier: Apache-2.0
"""Goes through all ailments in order: what is cured first makes the later ones plain.

Belongs here: the order, and whether to cure or only to tell. Does not belong here: any ailment.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dagster as dg

from lung_pipeline.home import Home
from lung_pipeline.orchestration.doctor.ailment import Ailment
from lung_pipeline.orchestration.doctor.held_slots import find_held_slots
from lung_pipeline.orchestration.doctor.mlflow_runs import find_open_mlflow_runs
from lung_pipeline.orchestration.doctor.old_schemas import (
    find_old_dagster_schema,
    find_old_mlflow_schema,
)
from lung_pipeline.orchestration.doctor.processes_of_runs import QUIET_S
from lung_pipeline.orchestration.doctor.temporary_files import find_temporary_files
from lung_pipeline.orchestration.doctor.zombie_runs import find_zombies
from lung_pipeline.orchestration.launch import dagster_folder, open_instance


@dataclass(frozen=True, slots=True)
class Finding:
    """An ailment, and whether it was cured."""

    ailment: Ailment
    """What was found."""

    is_cured: bool
    """Whether its cure was carried out."""


def examine(
    home: Home, *, is_to_cure: bool, quiet_s: float = QUIET_S, given_up: str = ""
) -> Iterator[Finding]:
    """Find all that is left over below a home and in its databases, and cure what can be.

    Nothing is made that is not there: a home without Dagster or MLflow is healthy.

    Args:
        home: the home; its Dagster instance is that of DAGSTER_HOME, else the one below the home.
        is_to_cure: False: nothing is changed.
        quiet_s: how long a run without a process must have logged nothing.
        given_up: a run of another machine that a person knows to be dead.
    """
    with _opened(home) as instance:
        for find in _questions(home, instance, quiet_s, given_up):
            # Found whole before the first cure, which may change what is looked at.
            for ailment in list(find()):
                if is_to_cure and ailment.treat is not None:
                    ailment.treat()
                yield Finding(ailment, is_to_cure and ailment.treat is not None)


def _questions(
    home: Home, instance: dg.DagsterInstance | None, quiet_s: float, given_up: str
) -> list[Callable[[], Iterator[Ailment]]]:
    of_dagster: list[Callable[[], Iterator[Ailment]]] = []
    if instance is not None:
        of_dagster = [
            lambda: find_old_dagster_schema(instance),
            lambda: find_zombies(instance, quiet_s, given_up),
            lambda: find_held_slots(instance, given_up),
        ]
    return [
        *of_dagster,
        lambda: find_old_mlflow_schema(home),
        lambda: find_open_mlflow_runs(home, instance, quiet_s),
        lambda: find_temporary_files(home),
    ]


@contextlib.contextmanager
def _opened(home: Home) -> Iterator[dg.DagsterInstance | None]:
    """The instance while a block runs; None where there is none to open."""
    if not (dagster_folder(home) / "dagster.yaml").is_file():
        yield None
        return
    with open_instance(home) as instance:
        yield instance
