# SPDX-License-Identifier: Apache-2.0
"""What Dagster costs beside the work: loading our code location, and a step that does nothing.

Both beside plain ones, in one run: the bare `import dagster`, and a code location with one empty
asset. Each time is the median of fresh processes, and the processor's time stands beside the
clock's, since a busy machine stretches only the clock. `--where` lists what loading imports.

    python benchmarks/dagster_costs.py [--times 5] [--where] [--check]
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

LOADING_S, STEP_S = 2.5, 4.0
"""What loading and a step that does nothing may cost, on two quiet cores."""

STEPS = 4
"""Empty steps of a run, one behind the other; the time between their ends is a step's."""

OURS = "from lung_pipeline.definitions import defs; defs()"
BARE = "import dagster"

_EMPTY = """
import dagster as dg

def _asset(number):
    deps = [f"empty_{number - 1}"] if number else []
    return dg.asset(name=f"empty_{number}", deps=deps)(lambda: None)

EMPTY = [_asset(number) for number in range(STEPS)]
"""

_PLAIN = "defs = dg.Definitions(EMPTY, executor=dg.multiprocess_executor)"

_WITHIN_OURS = """
from lung_pipeline.orchestration.build import build_defs
defs = dg.Definitions.merge(build_defs(), dg.Definitions(EMPTY))
"""
"""All of ours and the empty ones: a step of it loads what a step of ours loads."""

_ENDS = """
import dagster as dg

with dg.DagsterInstance.get() as instance:
    (run,) = instance.get_runs()
    asked = dg.DagsterEventType.STEP_SUCCESS
    records = instance.get_records_for_run(run.run_id, of_type=asked).records
    print(*(record.event_log_entry.timestamp for record in records))
"""
"""Prints when each step of the one run of an instance ended."""


def main() -> int:
    """Measure, print, and with ``--check`` fail where a bar is passed."""
    asked = _arguments()
    if asked.where:
        _print_where()
        return 0
    load = os.getloadavg()
    print(f"load of the machine {load[0]:.1f} on {os.cpu_count()} cores; medians of {asked.times}")
    print(f"{'':34}{'clock s':>9}{'processor s':>13}")
    environment = {**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"}
    # What is installed keeps its bytecode; without it each process would compile ours anew.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    _told("import dagster", _median(asked.times, lambda: _python(BARE, environment)))
    loading = _told(
        f"code location (at most {LOADING_S})",
        _median(asked.times, lambda: _python(OURS, environment)),
    )
    _told("a server of it, loaded and checked", _median(asked.times, lambda: _served(environment)))
    _told("empty step, plain", _step(_PLAIN, asked.times, environment))
    step = _told(
        f"empty step, ours (at most {STEP_S})", _step(_WITHIN_OURS, asked.times, environment)
    )
    if asked.check and (loading > LOADING_S or step > STEP_S):
        print("a bar is passed")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=5, help="fresh processes a figure")
    parser.add_argument("--where", action="store_true", help="list what loading imports")
    parser.add_argument("--check", action="store_true", help="fail where a bar is passed")
    return parser.parse_args()


def _told(name: str, seconds: tuple[float, float]) -> float:
    print(f"{name:34}{seconds[0]:9.2f}{seconds[1]:13.2f}", flush=True)
    return seconds[0]


def _median(times: int, measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    measure()  # the files come from the disk into memory
    clock, processor = zip(*(measure() for _ in range(times)), strict=True)
    return statistics.median(clock), statistics.median(processor)


def _timed(command: list[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds of the clock and of the processor that a program takes, with its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _python(code: str, environment: Mapping[str, str]) -> tuple[float, float]:
    return _timed([sys.executable, "-c", code], environment)


def _served(environment: Mapping[str, str]) -> tuple[float, float]:
    """As the daemon and the web server load it: a server in a process of its own, asked by gRPC."""
    program = str(Path(sys.executable).parent / "dagster")
    command = [program, "definitions", "validate", "-m", "lung_pipeline.definitions"]
    return _timed(command, environment)


def _step(definitions: str, times: int, environment: Mapping[str, str]) -> tuple[float, float]:
    """What each empty step after the first adds to a run of our executor."""
    runs = [_run_of_steps(definitions, environment) for _ in range(max(1, times // 2))]
    clock = [seconds for gaps, _ in runs for seconds in gaps]
    return statistics.median(clock), statistics.median(processor for _, processor in runs)


def _run_of_steps(definitions: str, environment: Mapping[str, str]) -> tuple[list[float], float]:
    """Seconds from the end of a step to that of the next; processor's seconds a process."""
    with tempfile.TemporaryDirectory() as folder:
        code = f"STEPS = {STEPS}\n{_EMPTY}\n{definitions}\n"
        (Path(folder) / "empty_steps.py").write_text(code)
        (Path(folder) / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        inside = {**environment, "DAGSTER_HOME": folder, "PYTHONPATH": folder}
        command = [str(Path(sys.executable).parent / "dagster"), "asset", "materialize"]
        _, processor = _timed([*command, "-m", "empty_steps", "--select", "key:empty_*"], inside)
        told = subprocess.run(
            [sys.executable, "-c", _ENDS], env=inside, check=True, capture_output=True, text=True
        )
    ends = sorted(float(word) for word in told.stdout.split())
    if len(ends) != STEPS:
        msg = f"{len(ends)} of {STEPS} steps ended well"
        raise RuntimeError(msg)
    gaps = [later - earlier for earlier, later in itertools.pairwise(ends)]
    # One process begins the steps, and each step has its own.
    return gaps, processor / (STEPS + 1)


def _print_where() -> None:
    """The twenty modules of ours, or that ours brings in, with the longest own time."""
    lines = {}
    for code in (BARE, OURS):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-c", code],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines()]
        lines[code] = {row[2].strip(): row[0].strip() for row in rows if len(row) == 3}
    added = {name: int(us) for name, us in lines[OURS].items() if name not in lines[BARE]}
    print(f"{len(added)} modules beside Dagster's, {sum(added.values()) / 1e6:.2f} s of their own")
    for name, microseconds in sorted(added.items(), key=lambda each: -each[1])[:20]:
        print(f"{microseconds / 1e3:9.1f} ms  {name}")


if __name__ == "__main__":
    sys.exit(main())
