# SPDX-License-Identifier: Apache-2.0
"""Kills at random moments over ingest, crops, training and findings, and what becomes of each.

    .venv/bin/python benchmarks/kills.py [--kills 40] [--seed 1] [--stages ingest crops]
        [--limit-minutes 60] [--out kills.md]

A home of three phantoms is kept as it is before each stage. In each round one stage is run, with a
worker and a process for each step, and after a random share of its undisturbed time there is a
SIGKILL: of everything at once (as when the power goes), of the run's worker alone, or of a step
alone. Then, in this order: every artefact under a final name must be the one from before or the
whole new one; the doctor is called; the stage is run again and must end with artefacts, and
registered models, equal byte for byte to the undisturbed run's; nothing may be left over, held or
RUNNING. A line tells each round, and a round that is not clean does not end the campaign. Ends with
code 1 where one was not clean, or time was up before all were seen. How long: the kills' own wall
times are the last column; they mean something on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lung_pipeline_tests" / "pipeline"))

from kill_campaign import KILLED_STAGES, Campaign, Outcome, draw

_HEADINGS = ("no", "stage", "killed", "after s", "took s", "log ended at", "doctor found", "clean")


def main() -> int:
    """Run the campaign; how many rounds were not clean decides the exit code."""
    asked = _asked()
    ends = time.monotonic() + 60 * asked.limit_minutes
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder))
        campaign.prepare(tuple(asked.stages))
        for stage, seconds in campaign.seconds.items():
            print(f"{stage}: {seconds:.0f} s undisturbed", flush=True)
        for outcome in _rounds(campaign, asked, ends):
            outcomes.append(outcome)
            print(_line(len(outcomes), outcome), flush=True)
            # After each, so that what was seen is there whatever comes.
            _write(asked.out, campaign.seconds, outcomes, asked)
    print(_summary(outcomes, asked.kills))
    return int(sum(not outcome.faults for outcome in outcomes) < asked.kills)


def _rounds(campaign: Campaign, asked: argparse.Namespace, ends: float) -> Iterator[Outcome]:
    for stage, kind, share in draw(asked.kills, asked.seed, tuple(asked.stages)):
        if time.monotonic() >= ends:
            return
        yield campaign.kill_at_share(stage, kind, share)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stages", nargs="+", choices=KILLED_STAGES, default=list(KILLED_STAGES))
    parser.add_argument("--limit-minutes", type=float, default=120.0, help="begin none after this")
    parser.add_argument("--out", type=Path, help="a file for the table: .json or .md")
    asked = parser.parse_args()
    if asked.out is not None and asked.out.suffix not in (".json", ".md"):
        parser.error(f"--out {asked.out}: must end in .json or .md")
    return asked


def _cells(number: int, outcome: Outcome) -> tuple[str, ...]:
    return (
        str(number),
        outcome.stage,
        outcome.kind,
        f"{outcome.after_s:.1f}",
        f"{outcome.took_s:.0f}",
        outcome.at,
        outcome.found,
        "; ".join(outcome.faults) or "yes",
    )


def _line(number: int, outcome: Outcome) -> str:
    cells = dict(zip(_HEADINGS, _cells(number, outcome), strict=True))
    told = "  FAULT ".join(["", *outcome.faults]) if outcome.faults else "  clean"
    return (
        f"{cells['no']:>3}  {outcome.stage:<9} {outcome.kind:<7} after {cells['after s']:>5} s"
        f"  took {cells['took s']:>3} s  {outcome.at}; doctor: {outcome.found}{told}"
    )


def _summary(outcomes: list[Outcome], wanted: int) -> str:
    clean = sum(not outcome.faults for outcome in outcomes)
    short = "" if len(outcomes) == wanted else f" (time was up: {wanted} were asked for)"
    return f"{len(outcomes)} kills, {clean} clean recoveries{short}"


def _write(
    out: Path | None, seconds: dict[str, float], outcomes: list[Outcome], asked: argparse.Namespace
) -> None:
    if out is None:
        return
    summary = _summary(outcomes, asked.kills)
    if out.suffix == ".json":
        rows = [asdict(outcome) for outcome in outcomes]
        told = {"summary": summary, "seed": asked.seed, "undisturbed_s": seconds, "kills": rows}
        text = json.dumps(told, indent=1)
    else:
        rows_ = [_HEADINGS, ("---",) * len(_HEADINGS)]
        rows_ += [_cells(number, outcome) for number, outcome in enumerate(outcomes, 1)]
        table = "\n".join("| " + " | ".join(row) + " |" for row in rows_)
        text = f"{summary}, seed {asked.seed}\n\n{table}"
    out.write_text(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
