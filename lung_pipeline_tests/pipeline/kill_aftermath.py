# SPDX-License-Identifier: Apache-2.0
"""After a kill, in a process of its own: look, call the doctor, run the stage again, look again.

    python kill_aftermath.py STAGE     its answer is the last line, as JSON

A process of its own, since MLflow keeps its database open and the next round puts another there.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import dagster as dg
from kill_stages import run_stage
from kill_state import artefacts, half_checkpoints, models, temporaries, trainings

from lung_pipeline.home import Home
from lung_pipeline.orchestration.doctor.examination import examine

UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]


def look(home: Home) -> dict[str, Any]:
    """Everything a reader could meet now."""
    return {
        "artefacts": artefacts(home),
        "half": half_checkpoints(home),
        "temporaries": temporaries(home),
        "trainings": trainings(home),
    }


def standing(home: Home) -> dict[str, Any]:
    """What stands as running or held in Dagster and MLflow."""
    from lung_pipeline.tracking.open_runs import open_runs

    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        storage = instance.event_log_storage
        held = [
            pool
            for pool in storage.get_concurrency_keys()
            if storage.get_concurrency_info(pool).active_run_ids
        ]
    return {
        "runs": [run.run_id for run in runs],
        "slots": held,
        "mlflow": [run.run_id for run in open_runs(home)],
    }


def last_step() -> str:
    """What the newest run was at when its log ended."""
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(limit=1)
        if not runs:
            return "before a run"
        events = [entry.dagster_event for entry in instance.all_logs(runs[0].run_id)]
        steps = [event for event in events if event is not None and event.step_key]
        return f"{steps[-1].step_key} {steps[-1].event_type_value}" if steps else "beginning"


def main(stage: str) -> dict[str, Any]:
    """The answer; without a stage only a look, for the undisturbed run."""
    home = Home.from_environment()
    if not stage:
        return {**look(home), "models": models(home), **standing(home)}
    told: dict[str, Any] = {"dead": look(home), "at": last_step(), "standing": standing(home)}
    told["cured"] = [
        found.ailment.in_words for found in examine(home, is_to_cure=True, quiet_s=0.0)
    ]
    told["again"] = run_stage(stage)
    told["after"] = {**look(home), "models": models(home), **standing(home)}
    told["left"] = [
        found.ailment.in_words for found in examine(home, is_to_cure=False, quiet_s=0.0)
    ]
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1] if len(sys.argv) > 1 else "")), flush=True)
