# SPDX-License-Identifier: Apache-2.0
"""How far a backfill is: its runs, and what of its assets is made.

Belongs here: asking again until it ended. Does not belong here: how that is shown.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lung_pipeline.errors import ServiceError
from lung_pipeline.orchestration.backfill.webserver import Webserver

LOOKS_EVERY_S = 2.0
"""Between two questions."""

PATIENCE_S = 120.0
"""How long a web server may be silent, as while it is started again; the daemon goes on."""

ENDED = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
"""States of a backfill (``BulkActionStatus``) after which nothing changes."""

_WELL = ("COMPLETED", "COMPLETED_SUCCESS")
_FAILED = ("FAILURE", "CANCELED")
_AT_WORK = ("STARTED", "STARTING", "CANCELING")

_STATE = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename
  ... on PartitionBackfill {
    status error { message } runs { runId status }
    assetBackfillData { assetBackfillStatuses {
      ... on AssetPartitionsStatusCounts {
        numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed
      }
      ... on UnpartitionedAssetStatus { materialized failed }
    } }
  }
  ... on Error { message }
} }"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is."""

    status: str
    """Dagster's word for its state."""

    runs: dict[str, str]
    """The state of each of its runs so far; more may follow."""

    made: int
    """Partitions of assets that are made; an asset without partitions counts once."""

    failed: int
    """Those that failed."""

    wanted: int
    """Those it was asked for."""

    error: str = ""
    """Why the backfill itself failed; empty where it did not."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens."""
        return self.status in ENDED

    @property
    def is_well(self) -> bool:
        """Whether it ended and made all that it was asked for."""
        return self.status in _WELL and not self.failed_runs and self.made == self.wanted

    @property
    def failed_runs(self) -> list[str]:
        """The runs that failed or were stopped."""
        return [run for run, state in self.runs.items() if state in _FAILED]

    def in_words(self) -> str:
        """One line for a person who waits."""
        states = list(self.runs.values())
        at_work = sum(state in _AT_WORK for state in states)
        done, failed = states.count("SUCCESS"), len(self.failed_runs)
        waiting = len(states) - done - failed - at_work
        runs = f"{done} done, {failed} failed, {at_work} at work, {waiting} waiting"
        lost = f", {self.failed} failed" if self.failed else ""
        return f"runs: {runs}; made {self.made} of {self.wanted} asset partitions{lost}"


def follow(webserver: Webserver, backfill: str) -> Iterator[Progress]:
    """How far a backfill is, each time that something changed, until it ended."""
    former, heard_s = progress_of(webserver, backfill), time.monotonic()
    yield former
    while not former.has_ended:
        time.sleep(LOOKS_EVERY_S)
        try:
            now, heard_s = progress_of(webserver, backfill), time.monotonic()
        except ServiceError:
            if time.monotonic() - heard_s > PATIENCE_S:
                raise
            continue
        if now != former:
            yield now
        former = now


def progress_of(webserver: Webserver, backfill: str) -> Progress:
    """How far a backfill is now; ``ServiceError`` where there is none of that id."""
    state = webserver.ask(_STATE, id=backfill)["partitionBackfillOrError"]
    if state["__typename"] != "PartitionBackfill":
        raise ServiceError(
            value=state.get("message", state["__typename"]),
            place=f"the backfill {backfill} at {webserver.url}",
            rule="Dagster must know a backfill that it started",
            cure="Look for it in the UI, below Runs, Backfills.",
        )
    made, failed, wanted = _counts((state["assetBackfillData"] or {}).get("assetBackfillStatuses"))
    return Progress(
        status=str(state["status"]),
        runs={run["runId"]: str(run["status"]) for run in state["runs"]},
        made=made,
        failed=failed,
        wanted=wanted,
        error=str((state["error"] or {}).get("message", "")).strip().split("\n")[0],
    )


def _counts(statuses: Sequence[Mapping[str, Any]] | None) -> tuple[int, int, int]:
    """Made, failed and wanted partitions over all assets."""
    made = failed = wanted = 0
    for one in statuses or ():
        made += one.get("numPartitionsMaterialized", int(one.get("materialized", False)))
        failed += one.get("numPartitionsFailed", int(one.get("failed", False)))
        wanted += one.get("numPartitionsTargeted", 1)
    return made, failed, wanted
