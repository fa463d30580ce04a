# SPDX-License-Identifier: Apache-2.0
"""One neuron, in a group of its own: the smallest check that learning and tracking work."""

import tempfile
from pathlib import Path

import dagster as dg

from lung_pipeline.orchestration.discretion import discreet
from lung_pipeline.orchestration.metadata import result
from lung_pipeline.orchestration.resources import TrackingResource
from lung_pipeline.tracking.names import PRIMER


@dg.asset(group_name="primer", kinds={"mlflow"}, code_version="1")
@discreet
def fahrenheit_from_celsius(
    context: dg.AssetExecutionContext, tracking: TrackingResource
) -> dg.MaterializeResult:
    """One neuron learns Fahrenheit from Celsius by gradient descent on eight points."""
    from lung_pipeline.primer.neuron import learn, predict
    from lung_pipeline.primer.plot import write_plot

    with tracking.run(context, PRIMER) as run:
        steps = learn()
        for step in steps:
            run.log_metrics({"cost": step.cost, "w": step.w, "b": step.b}, step.iteration)
        with tempfile.TemporaryDirectory() as scratch:
            picture = Path(scratch) / "primer.png"
            write_plot(steps, picture)
            run.log_file(picture)
    last = steps[-1]
    numbers = {"cost": last.cost, "w": last.w, "b": last.b, "at_50_c": predict(last.w, last.b, 50)}
    return result(f"{last.w:.9f},{last.b:.9f}", numbers, texts={"mlflow_run_id": run.run_id})
