# SPDX-License-Identifier: Apache-2.0
"""Steps 2 to 5, applied: findings of each series, a diagnosis of each patient."""

from datetime import UTC, datetime

import dagster as dg

from lung_pipeline.orchestration.assets.data import candidates, hu_volumes
from lung_pipeline.orchestration.assets.models import (
    malignancy_model,
    nodule_model,
    segmentation_model,
)
from lung_pipeline.orchestration.config import DiagnosesConfig, FindingsConfig
from lung_pipeline.orchestration.metadata import result
from lung_pipeline.orchestration.op_tags import GPU_OP_TAGS, GPU_POOL
from lung_pipeline.orchestration.partitions import LUNA_SUBSETS
from lung_pipeline.orchestration.resources import HomeResource

GROUP = "patients"


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"pytorch", "parquet"},
    code_version="1",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[hu_volumes, candidates, segmentation_model, nodule_model, malignancy_model],
)
def findings(
    context: dg.AssetExecutionContext, config: FindingsConfig, home: HomeResource
) -> dg.MaterializeResult:
    """What the models find in each series: segment, group, classify."""
    from lung_pipeline.diagnosis.subset import find_in_subset
    from lung_pipeline.tracking.models import models_by_alias

    opened = home.open()
    named = models_by_alias(opened, config.alias, config.device)
    table, fingerprint = find_in_subset(
        opened, context.partition_key, named.models, named.names, context.log.info
    )
    numbers = {
        "num_findings": len(table),
        "num_likely_nodules": int((table["nodule_probability"] >= 0.5).sum()),
    }
    return result(fingerprint, numbers, table=table, texts=named.names)


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="1",
    deps=[findings, candidates],
)
def diagnoses(
    context: dg.AssetExecutionContext, config: DiagnosesConfig, home: HomeResource
) -> dg.MaterializeResult:
    """A verdict for each patient by a named rule, with a report that a browser opens."""
    from lung_pipeline.diagnosis.patient import Rule
    from lung_pipeline.diagnosis.subset import diagnose_subset
    from lung_pipeline.reporting.subset import write_reports
    from lung_pipeline.tables import read_table

    opened, subset = home.open(), context.partition_key
    rule = Rule(config.nodule_threshold, config.malignancy_threshold)
    made, fingerprint = diagnose_subset(opened, subset, rule)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    write_reports(opened, subset, made, made_at)
    table = read_table(opened.diagnoses(subset))
    numbers = {f"num_{verdict}": int(n) for verdict, n in table["verdict"].value_counts().items()}
    return result(
        fingerprint,
        numbers,
        table=table,
        paths={"reports": opened.root / "reports" / subset},
        texts={"rule": rule.in_words()},
    )
