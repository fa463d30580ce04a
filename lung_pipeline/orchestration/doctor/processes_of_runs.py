# SPDX-License-Identifier: Apache-2.0
"""Whether a Dagster run still has a process: the rule by which a run may be given up.

A run is dead when all of this holds; else it lives, or nobody here can tell:

- its launcher has no health check of its own (Kubernetes has one, and Dagster then uses it);
- it worked on this machine: its tag says so, or its database is a SQLite file, which only one
  machine can use;
- every process that its log names, the worker and each step, is gone. A process of the same number
  that began after the log's line is another one;
- nothing was logged for a while, since a step's process is named only once it has begun. A run
  without any process in its log is given an hour to begin.

Of a run that has ended already the question is only whether a step outlived it. A number of a
process means nothing on another machine: in a pod the worker is number 1, as it is everywhere.

Belongs here: that rule. Does not belong here: what is done about a dead run (``zombie_runs.py``).
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import dagster as dg

from lung_pipeline.orchestration.machine_tag import MACHINE_TAG
from lung_pipeline.processes import lives, machine

QUIET_S = 30.0
"""How long nothing must have been logged. A step's process needs some seconds to name itself."""

ENDED_ELSEWHERE_S = 300.0
"""How long an ended run of another machine must have logged nothing. Its steps end within this
where their worker does; Kubernetes kills a pod half a minute after it asked it to end."""

UNBEGUN_S = 3600.0
"""How long a run may take to have its first process."""


class Fate(Enum):
    """What became of a run's processes."""

    LIVES = "lives"
    """One of them runs, or may be about to begin."""

    DEAD = "dead"
    """None is left, and none will come."""

    ELSEWHERE = "elsewhere"
    """They are another machine's, so nobody here can tell."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What the log of a run tells of its processes."""

    pids: dict[int, float]
    """Each process number with the time of its first line."""

    last_at: float
    """When the last line was logged; 0 where there is none."""

    def living(self) -> list[int]:
        """The processes that still run on this machine."""
        return [pid for pid, at in self.pids.items() if lives(pid, at)]


def signs_of(instance: dg.DagsterInstance, run_id: str) -> Signs:
    """Read the log of a run."""
    pids: dict[int, float] = {}
    last_at = 0.0
    for entry in instance.all_logs(run_id):
        last_at = max(last_at, entry.timestamp)
        for pid in _pids(entry.dagster_event):
            pids.setdefault(pid, entry.timestamp)
    return Signs(pids, last_at)


def fate_of(instance: dg.DagsterInstance, run_id: str, quiet_s: float = QUIET_S) -> Fate:
    """What became of the processes of a run that is known; of an ended run too.

    Args:
        instance: where the run is recorded.
        run_id: Dagster's name for it.
        quiet_s: how long nothing must have been logged, where its processes are gone.
    """
    if instance.run_launcher.supports_check_run_worker_health or not _is_here(instance, run_id):
        return Fate.ELSEWHERE
    signs = signs_of(instance, run_id)
    if signs.living():
        return Fate.LIVES
    silent_s = silent_since_s(instance, run_id)
    return Fate.DEAD if silent_s >= (quiet_s if signs.pids else UNBEGUN_S) else Fate.LIVES


def fate_of_ended(instance: dg.DagsterInstance, run_id: str) -> Fate:
    """Whether a step may have outlived a run that has ended, or was deleted."""
    if not _is_here(instance, run_id):
        return Fate.ELSEWHERE
    return Fate.LIVES if signs_of(instance, run_id).living() else Fate.DEAD


def silent_since_s(instance: dg.DagsterInstance, run_id: str) -> float:
    """For how many seconds a run has logged nothing; its making and its end count too."""
    record = instance.get_run_record_by_id(run_id)
    known = (record.create_timestamp.timestamp(), record.end_time or 0.0) if record else ()
    return time.time() - max(signs_of(instance, run_id).last_at, *known, 0.0)


def _is_here(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    noted = run.tags.get(MACHINE_TAG) if run else None
    if noted is not None:
        return noted == machine()
    # By its name, so that no class of Dagster's inside is imported for it.
    return "Sqlite" in type(instance.event_log_storage).__name__


def _pids(event: dg.DagsterEvent | None) -> Iterator[int]:
    """The process that logged a line, and one that the line names."""
    if event is None:
        return
    if event.pid is not None:
        yield event.pid
    named = getattr(event.event_specific_data, "metadata", None)
    if isinstance(named, dict) and "pid" in named:
        text = str(named["pid"].value)
        if text.isdecimal():
            yield int(text)
