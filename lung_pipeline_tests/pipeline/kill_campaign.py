# SPDX-License-Identifier: Apache-2.0
"""Kills at random moments: a home before each stage, one kill, and what became of it.

The home lies at the same place in every round, since MLflow writes down where its files are.
"""

from __future__ import annotations

import functools
import json
import operator
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kill_processes import answer_of, killed

from lung_pipeline.tracking.provenance import COMMIT_VARIABLE

_HERE = Path(__file__).resolve().parent

KILLED_STAGES = ("ingest", "crops", "training", "findings")
"""What is killed; each begins from a home in which the stages before it are done."""

KINDS = ("power", "worker", "step")
"""Everything at once; the run's worker alone; the process of a step alone."""

_ONLY_RENAMED = ("raw", "volumes", "tables", "crops", "findings")
"""Folders of the home in which a file is replaced and never changed: a link keeps the former."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One kill and what became of it."""

    stage: str
    """What ran."""

    kind: str
    """What was killed."""

    after_s: float
    """When, in seconds after the run was begun."""

    at: str
    """The last step and event in the log of the killed run."""

    found: str
    """What the doctor found."""

    faults: tuple[str, ...] = ()
    """Whatever must not be; none: a clean recovery."""

    took_s: float = 0.0
    """Kill, doctor and recovery together, in seconds."""


@dataclass(slots=True)
class Campaign:
    """A folder with a home that is killed again and again, and homes it is made of."""

    folder: Path
    """Where all of it lies."""

    seconds: dict[str, float] = field(default_factory=dict)
    """How long each stage takes undisturbed."""

    expected: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each stage leaves undisturbed."""

    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is there when each stage begins."""

    @property
    def work(self) -> Path:
        """The home and its Dagster."""
        return self.folder / "work"

    @property
    def environment(self) -> dict[str, str]:
        """What every process of the campaign is given."""
        kept = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
        return {
            **kept,
            "LUNG_PIPELINE_HOME": str(self.work / "home"),
            "DAGSTER_HOME": str(self.work / "dagster"),
            "PYTHONPATH": os.pathsep.join([str(_HERE), str(_HERE.parent)]),
            "OMP_NUM_THREADS": "1",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            # Whoever commits meanwhile must not make another model of the next training.
            COMMIT_VARIABLE: "campaign",
        }

    def prepare(self, stages: tuple[str, ...] = KILLED_STAGES) -> None:
        """Make a tiny home, run each stage undisturbed, and keep the home from before each.

        Raises:
            RuntimeError: an undisturbed run failed.
        """
        self._call("prepare")
        last = max(KILLED_STAGES.index(stage) for stage in stages)
        for stage in KILLED_STAGES[: last + 1]:
            if stage == "training":
                self._stage("certificate")
            if stage == "findings":
                # Not of the training before it: that marks half a lung after seconds.
                self.restore("training")
                self._call("models")
            self._keep(stage)
            # What a stage left is what the next one finds, but for what is made in between.
            self.before[stage] = self._aftermath("")
            started = time.monotonic()
            self._stage(stage)
            self.seconds[stage] = time.monotonic() - started
            self.expected[stage] = self._aftermath("")

    def prepare_crops(self) -> None:
        """Make a tiny home up to its candidates without Dagster, for kills of crops alone."""
        self._call("candidates")
        self._keep("crops")
        self.before["crops"] = self._aftermath("")
        self._call("crops")
        self.expected["crops"] = self._aftermath("")

    def restore(self, stage: str) -> None:
        """The home as it is before a stage."""
        shutil.rmtree(self.work)
        _copy(self.folder / f"before-{stage}", self.work)

    def kill_at_share(self, stage: str, kind: str, share: float) -> Outcome:
        """Kill a stage once after a share of its undisturbed time."""
        outcome = None
        while outcome is None:
            after_s = self.seconds[stage] * share
            outcome = self.kill(stage, kind, functools.partial(operator.le, after_s))
            # It had ended already: the machine is faster now. A little earlier then.
            share *= 0.8
        return outcome

    def kill(self, stage: str, kind: str, is_time: Callable[[float], bool]) -> Outcome | None:
        """Kill a stage once when it is time, and see that everything comes right.

        Args:
            stage: what is run.
            kind: what of it is killed.
            is_time: told the seconds since the run was begun, again and again.

        Returns:
            Nothing where the stage ended before it was time.
        """
        self.restore(stage)
        began = time.monotonic()
        program = [str(_HERE / "kill_stages.py"), stage]
        kind = killed(program, self.environment, kind, is_time)
        if not kind:
            return None
        after_s = time.monotonic() - began
        try:
            told = self._aftermath(stage)
        except RuntimeError as error:
            # A recovery that breaks off is a fault of this round; the next one is still to be seen.
            return Outcome(stage, kind, after_s, "?", "?", (str(error),), time.monotonic() - began)
        faults = tuple(faults_of(told, self.before[stage], self.expected[stage]))
        kinds = sorted({line.split(":")[0] for line in told["cured"]})
        found, took_s = ", ".join(kinds) or "nothing", time.monotonic() - began
        return Outcome(stage, kind, after_s, told["at"], found, faults, took_s)

    def _keep(self, stage: str) -> None:
        _copy(self.work, self.folder / f"before-{stage}")

    def _stage(self, stage: str) -> None:
        said = answer_of([str(_HERE / "kill_stages.py"), stage], self.environment)
        if said.splitlines()[-1] != "true":
            raise RuntimeError(f"{stage}: the undisturbed run failed")

    def _call(self, what: str) -> None:
        answer_of([str(_HERE / "kill_home.py"), what], self.environment)

    def _aftermath(self, stage: str) -> dict[str, Any]:
        said = answer_of([str(_HERE / "kill_aftermath.py"), stage], self.environment)
        return dict(json.loads(said.splitlines()[-1]))


def draw(
    kills: int, seed: int, stages: tuple[str, ...] = KILLED_STAGES
) -> list[tuple[str, str, float]]:
    """Stage, kind and moment of each kill: stages and kinds in turn, moments evenly by chance."""
    rng = random.Random(seed)
    return [
        (
            stages[number % len(stages)],
            KINDS[number // len(stages) % len(KINDS)],
            rng.uniform(0.02, 0.98),
        )
        for number in range(kills)
    ]


def _copy(source: Path, target: Path) -> None:
    """Copy a home and its Dagster; what is only ever replaced is linked."""

    def put(one: str, other: str) -> object:
        room = Path(one).relative_to(source).parts[:2]
        if room[0] == "home" and room[1] in _ONLY_RENAMED:
            return os.link(one, other)
        return shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=put)


def faults_of(told: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Everything that must not be, in words."""
    dead = told["dead"]
    for name, found in dead["artefacts"].items():
        if found not in (before["artefacts"].get(name), after["artefacts"].get(name)):
            yield f"while dead, {name} was half"
    yield from (f"while dead, {name} did not open" for name in dead["half"])
    if not told["again"]:
        yield "the next run failed"
    versions = told["after"]["models"], after["models"]
    if not dead["trainings"]:
        # It was over when the kill came, if it had begun: who asks again gets one more version.
        versions = _without_numbers(versions[0]), _without_numbers(versions[1])
    for found, wanted in ((told["after"]["artefacts"], after["artefacts"]), versions):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                yield f"in the end, {name} is not as undisturbed"
    for what in ("temporaries", "trainings", "half", "runs", "slots", "mlflow"):
        yield from (f"in the end, {what}: {name}" for name in told["after"][what])
    yield from (f"in the end, the doctor finds {line}" for line in told["left"])


def _without_numbers(versions: dict[str, str]) -> dict[str, str]:
    """All the different bytes of each model's versions, and its aliases', whatever the numbers."""
    found: dict[str, set[str]] = {}
    for name, content in versions.items():
        address, _, aliases = name.partition(" ")
        model = address.rsplit("/", 1)[0]
        for one in {model, *(f"{model}@{alias}" for alias in aliases.split(",") if alias)}:
            found.setdefault(one, set()).add(content)
    return {name: " ".join(sorted(contents)) for name, contents in found.items()}
