# SPDX-License-Identifier: Apache-2.0
"""A subset put below ``raw`` becomes a partition and is ingested; one that changed is again.

On from the beginning: whoever puts a subset there wants it, and a subset that is ingested as it
stands is left alone. When it is whole is said by ``ct.arrivals``; here it only becomes Dagster's.
"""

import dagster as dg

from lung_pipeline.ct.arrivals import as_text, from_text, look_below_raw
from lung_pipeline.orchestration.jobs import INGEST
from lung_pipeline.orchestration.partitions import LUNA_SUBSETS
from lung_pipeline.orchestration.resources import HomeResource

LOOKS_EVERY_S = 30
"""Between two looks a copy must have made a step, or it is taken for done."""


@dg.sensor(
    job=INGEST,
    description="Ingests a complete new subset below raw/, and one that changed.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=LOOKS_EVERY_S,
)
def new_luna_subset(context: dg.SensorEvaluationContext, home: HomeResource) -> dg.SensorResult:
    """Ask for one run for each subset that stands whole and not ingested below ``raw``."""
    look = look_below_raw(home.open(), from_text(context.cursor))
    for name, why in look.waiting.items():
        context.log.info(f"{name}: {why}")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=key, partition_key=subset) for subset, key in look.asks.items()
        ],
        dynamic_partitions_requests=(
            [LUNA_SUBSETS.build_add_request(list(look.asks))] if look.asks else []
        ),
        skip_reason=None if look.asks else dg.SkipReason(look.in_words()),
        cursor=as_text(look.remembered),
    )
