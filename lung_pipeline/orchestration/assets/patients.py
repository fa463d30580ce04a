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
from lung_pipeline.orchestration.devices import on_its_device
from lung_pipeline.orchestration.discretion import discreet
from lung_pipeline.orchestration.metadata import links_metadata, result, table_metadata
from lung_pipeline.orchestration.op_tags import GPU_OP_TAGS, GPU_POOL
from lung_pipeline.orchestration.partitions import LUNA_SUBSETS
from lung_pipeline.orchestration.resources import HomeResource
from lung_pipeline.orchestration.turns import writes_findings

GROUP = "patients"


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"pytorch", "parquet"},
    code_version="3",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[hu_volumes, candidates, segmentation_model, nodule_model, malignancy_model],
)
@discreet
@on_its_device
@writes_findings
def findings(
    context: dg.AssetExecutionContext, config: FindingsConfig, home: HomeResource
) -> dg.MaterializeResult:
    """What the models find in each series; one that cannot be looked at is listed and left out."""
    import pandas as pd

    from lung_pipeline.diagnosis.subset import find_in_subset, series_seen
    from lung_pipeline.tracking.models import models_by_alias

    opened, subset = home.open(), context.partition_key
    named = models_by_alias(opened, config.alias, config.device)
    table, fingerprint = find_in_subset(opened, subset, named.models, named.names, context.log.info)
    seen = series_seen(opened, subset)
    problems = pd.DataFrame(seen.problems.items(), columns=["series_uid", "reason"])
    numbers = {
        "num_findings": len(table),
        "num_likely_nodules": int((table["nodule_probability"] >= 0.5).sum()),
        "num_series_looked_at": len(seen.looked_at),
        "num_series_not_looked_at": len(problems),
    }
    shown = {"series_not_looked_at": table_metadata(problems)}
    return result(fingerprint, numbers, table=table, texts=named.names, more=shown)


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="2",
    deps=[findings, candidates],
)
@discreet
@writes_findings
def diagnoses(
    context: dg.AssetExecutionContext, config: DiagnosesConfig, home: HomeResource
) -> dg.MaterializeResult:
    """A verdict for each patient by named rules, with a report that a browser opens."""
    from lung_pipeline.diagnosis.subset import models_of_findings
    from lung_pipeline.diagnosis.subset_patients import diagnose_subset
    from lung_pipeline.orchestration.private_names import is_public, private_names
    from lung_pipeline.reporting.patient.listing import write_listing
    from lung_pipeline.reporting.patient.subset import write_reports
    from lung_pipeline.tables import read_origin, read_table
    from lung_pipeline.tracking.frozen import frozen_of_labels

    opened, subset = home.open(), context.partition_key
    frozen = frozen_of_labels(opened, models_of_findings(opened, subset))
    made, fingerprint = diagnose_subset(opened, subset, config.judging(), frozen)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    reports = write_reports(opened, subset, made, made_at)
    told = private_names(opened, None).stand_in
    listing = write_listing(opened.reports(subset), made, reports, told, made_at)
    # A link holds its folder's name, which is the patient's.
    links = {name: path for name, path in reports.items() if is_public(name)}
    table = read_table(opened.diagnoses(subset))
    numbers = {f"num_{verdict}": int(n) for verdict, n in table["verdict"].value_counts().items()}
    origin = read_origin(opened.diagnoses(subset))
    return result(
        fingerprint,
        numbers,
        table=table,
        paths={"reports": opened.reports(subset)},
        texts={name: origin[name] for name in ("rule", "thresholds_from")},
        more={"report_of_each_patient": links_metadata({"all": listing, **links})},
    )
