# SPDX-License-Identifier: Apache-2.0
"""What watches the runs: a failed one is told of.

A failed check that blocks fails its run, so it is told of too. What a sensor cannot tell is that
the daemon itself is dead: have something outside look for `revalidation/last_night.json`.
https://docs.dagster.io/guides/automate/run-status-sensors
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from lung_pipeline.errors import LungPipelineError
from lung_pipeline.orchestration.alerts import (
    WEBHOOK_VARIABLE,
    Alert,
    post_alert,
    webhook_address,
    write_alert,
)
from lung_pipeline.orchestration.checks import FAULTS, TELLABLE_CHECKS
from lung_pipeline.orchestration.resources import HomeResource

_CHECK_FAILED = "DagsterAssetCheckFailedError"
"""What Dagster says of a step whose check failed; the check itself says more."""


@dg.run_failure_sensor(
    name="alert_of_failed_run",
    description="Writes an alert for each failed run, and posts it where a webhook is set.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def alert_of_failed_run(context: dg.RunFailureSensorContext, home: HomeResource) -> None:
    """Tell of a failed run; what cannot be told of in one way is told of in the others."""
    alert = alert_of(context)
    context.log.error(alert.in_words)
    try:
        write_alert(home.open(), alert)
    except (OSError, LungPipelineError):
        # A full disk, or a store that is away, must not silence the webhook too.
        context.log.exception("The alert could not be written.")
    address = webhook_address()
    if address and (problem := post_alert(alert, address)):
        context.log.warning(f"{WEBHOOK_VARIABLE}: {problem}")


def alert_of(context: dg.RunFailureSensorContext) -> Alert:
    """What is known of a failed run."""
    run = context.dagster_run
    checks = list(_failed_checks(context))
    steps = [event for event in context.get_step_failure_events() if not _is_of_check(event)]
    said = [f"{name}: {sentence}" for name, sentences in checks for sentence in sentences]
    said += [f"{event.step_key}: {_cause(event)}" for event in steps]
    tellable = [
        sentence for name, sentences in checks if name in TELLABLE_CHECKS for sentence in sentences
    ]
    names = [name for name, _ in checks] + [str(event.step_key) for event in steps]
    record = context.instance.get_run_record_by_id(run.run_id)
    ended = record.end_time if record and record.end_time else datetime.now(UTC).timestamp()
    return Alert(
        job=run.job_name,
        run_id=run.run_id,
        at=datetime.fromtimestamp(ended, UTC).strftime("%Y%m%dT%H%M%SZ"),
        failed=tuple(names),
        # A run whose process was killed has no failed step, only this.
        reasons=tuple(said) or (str(context.failure_event.message),),
        tellable=tuple(tellable),
    )


def _failed_checks(context: dg.RunFailureSensorContext) -> Iterator[tuple[str, list[str]]]:
    """For each check that failed with an error its name and its sentences."""
    records = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation: Any = event.event_specific_data if event else None
        if evaluation.passed or evaluation.severity != dg.AssetCheckSeverity.ERROR:
            continue
        told = evaluation.metadata.get(FAULTS)
        yield evaluation.check_name, str(told.value).splitlines() if told else []


def _is_of_check(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == _CHECK_FAILED


def _cause(event: dg.DagsterEvent) -> str:
    """The first line of the innermost error: ours say all in one; nobody reads a traceback here."""
    error = event.step_failure_data.error
    if error is None:
        return "no error was recorded"
    while error.cause is not None and str(error.cls_name).startswith("Dagster"):
        error = error.cause
    line = error.message.strip().splitlines()[0]
    return line.removeprefix("lung_pipeline.errors.")
