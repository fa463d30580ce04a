# SPDX-License-Identifier: Apache-2.0
"""A subset whose ingest is whole and whose findings are of other data is diagnosed.

Off until somebody switches it on: a person says from when on the newest models may speak unasked.
What it goes by are the data versions that Dagster keeps with each materialization; no file is read.
New models alone ask for nothing: they would have every subset diagnosed anew after each training.
"""

import hashlib
from collections.abc import Mapping

import dagster as dg

from lung_pipeline.orchestration.assets.data import candidates, crops, hu_volumes
from lung_pipeline.orchestration.assets.models import (
    malignancy_model,
    nodule_model,
    segmentation_model,
)
from lung_pipeline.orchestration.assets.patients import findings
from lung_pipeline.orchestration.jobs import DIAGNOSE
from lung_pipeline.orchestration.partitions import known_subsets

VERSION = "dagster/data_version"
"""The tag of a materialization with what came out (dagster's ``data_version.DATA_VERSION_TAG``)."""

OF_INPUT = "dagster/input_data_version/"
"""What the tag with the version of an input begins with; the input's key follows."""

_SEEN = (hu_volumes, candidates)
"""What the findings of a subset are made of, besides models."""


@dg.sensor(
    job=DIAGNOSE,
    description="Diagnoses a subset once it is ingested, with the newest models; off at first.",
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=30,
)
def diagnose_new_subset(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Ask for a run for each subset whose findings are not of its present data."""
    due = subsets_to_diagnose(context.instance)
    missing = _models_missing(context.instance)
    if missing or not due:
        why = f"no {', '.join(missing)} yet" if missing else "every ingested subset is diagnosed"
        return dg.SensorResult(skip_reason=f"{why}; waiting: {', '.join(due) or 'none'}")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{subset}:{state}", partition_key=subset)
            for subset, state in due.items()
        ]
    )


def subsets_to_diagnose(instance: dg.DagsterInstance) -> dict[str, str]:
    """The subsets that are ingested and not diagnosed so, each with what its data are known by."""
    due: dict[str, str] = {}
    for subset in known_subsets(instance):
        versions = {
            one.key.to_user_string(): _tags(instance, one, subset).get(VERSION, "") for one in _SEEN
        }
        is_whole = all(versions.values()) and _is_of(_tags(instance, crops, subset), versions)
        if is_whole and not _is_of(_tags(instance, findings, subset), versions):
            due[subset] = ":".join([*versions.values(), *_events(instance, subset)])
    return due


def _events(instance: dg.DagsterInstance, subset: str) -> list[str]:
    """Which crops and findings a subset has now: data that come back are asked for again.

    Their versions say what they are and not when they came, and Dagster asks once for a key.
    """
    newest = (_newest(instance, one, subset) for one in (crops, findings))
    return [str(record.storage_id) if record else "none" for record in newest]


def _is_of(tags: Mapping[str, str], versions: Mapping[str, str]) -> bool:
    """Whether something was made of inputs of these versions."""
    return all(
        tags.get(f"{OF_INPUT}{name}") == as_input(version) for name, version in versions.items()
    )


def as_input(version: str) -> str:
    """How Dagster 1.13 tags the version of one partition of an input: by its hash.

    Source: ``_get_partitions_data_version_from_keys`` of its ``data_version_cache``; a test runs
    the real thing, and so tells when that changes.
    """
    return hashlib.sha256(version.encode()).hexdigest()


def _tags(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, subset: str) -> dict[str, str]:
    """What the newest materialization of a subset's asset is tagged with; nothing without one."""
    record = _newest(instance, asset, subset)
    made = record.asset_materialization if record else None
    return dict(made.tags or {}) if made else {}


def _newest(
    instance: dg.DagsterInstance, asset: dg.AssetsDefinition, subset: str
) -> dg.EventLogRecord | None:
    wanted = dg.AssetRecordsFilter(asset_key=asset.key, asset_partitions=[subset])
    return next(iter(instance.fetch_materializations(wanted, limit=1).records), None)


def _models_missing(instance: dg.DagsterInstance) -> list[str]:
    models = (segmentation_model, nodule_model, malignancy_model)
    return [
        one.key.to_user_string()
        for one in models
        if instance.get_latest_materialization_event(one.key) is None
    ]
