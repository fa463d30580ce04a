# SPDX-License-Identifier: Apache-2.0
"""What the kill campaign kills: four stages of a tiny home, each as a run with a worker and steps.

Checks are left out: each would be one more process that writes nothing.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from lung_pipeline.orchestration.build import build_defs

SUBSET = "subset0"

_TRAINING = {"epochs": 4, "steps_per_epoch": 2, "batch_size": 2, "device": "cpu"}


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage."""

    assets: tuple[str, ...]
    """What it makes."""

    config: dict[str, Any] = field(default_factory=dict)
    """Its run config."""

    is_partitioned: bool = True
    """Whether it is of one subset."""

    @property
    def tags(self) -> dict[str, str]:
        """What its run is launched with."""
        return {"dagster/partition": SUBSET} if self.is_partitioned else {}


def _of(asset: str, **knobs: object) -> dict[str, Any]:
    return {"ops": {asset: {"config": knobs}}}


STAGES = {
    "ingest": Stage(("raw_subset", "hu_volumes", "lidc_reads", "candidates")),
    "crops": Stage(("crops",)),
    "certificate": Stage(("leakage_certificate",), is_partitioned=False),
    "training": Stage(("nodule_model",), _of("nodule_model", **_TRAINING), is_partitioned=False),
    "findings": Stage(("findings",), _of("findings", alias="champion", device="cpu")),
}
"""In the order of the journey; the certificate is made beforehand and not killed."""


def job(name: str) -> dg.JobDefinition:
    """The job of one stage."""
    stage = STAGES[name]
    whole = {"training": "train", "certificate": "train", "findings": "diagnose"}
    chosen = {dg.AssetKey(asset) for asset in stage.assets}
    found = build_defs().resolve_job_def(whole.get(name, "ingest"))
    return found.get_subset(asset_selection=chosen, asset_check_selection=set())


def ingest() -> dg.JobDefinition:
    return job("ingest")


def crops() -> dg.JobDefinition:
    return job("crops")


def certificate() -> dg.JobDefinition:
    return job("certificate")


def training() -> dg.JobDefinition:
    return job("training")


def findings() -> dg.JobDefinition:
    return job("findings")


def run_stage(name: str) -> bool:
    """Run a stage with a process for each step; whether it ended well."""
    target = dg.reconstructable(getattr(sys.modules[__name__], name))
    stage = STAGES[name]
    with dg.DagsterInstance.get() as instance:
        return dg.execute_job(
            target, instance, run_config=stage.config, tags=stage.tags, raise_on_error=False
        ).success


if __name__ == "__main__":
    # By its name, so that the processes of steps find it.
    import kill_stages

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(json.dumps(kill_stages.run_stage(sys.argv[1])), flush=True)
