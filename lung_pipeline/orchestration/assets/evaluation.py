# SPDX-License-Identifier: Apache-2.0
"""How good the models are: a scorecard, the champion, and the nightly look at it."""

import dagster as dg

from lung_pipeline.annotations.splits import TEST, VALIDATION
from lung_pipeline.orchestration.assets.data import candidates, hu_volumes
from lung_pipeline.orchestration.assets.patients import findings
from lung_pipeline.orchestration.config import ScoringConfig
from lung_pipeline.orchestration.metadata import result
from lung_pipeline.orchestration.op_tags import GPU_OP_TAGS, GPU_POOL
from lung_pipeline.orchestration.resources import HomeResource, TrackingResource
from lung_pipeline.orchestration.scoring import (
    promote_if_as_good,
    score_champion,
    score_findings,
)
from lung_pipeline.orchestration.training import subsets_to_use
from lung_pipeline.tracking.names import SCORING

GROUP = "evaluation"


@dg.asset(group_name=GROUP, kinds={"mlflow"}, code_version="1", deps=[findings, candidates])
def scorecard(
    context: dg.AssetExecutionContext,
    config: ScoringConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """How the newest models do on patients that were neither learned from nor chosen by."""
    opened = home.open()
    subsets = subsets_to_use(context, config, opened.findings)
    with tracking.run(context, SCORING, {"part": TEST, "subsets": subsets}) as run:
        card, folder, fingerprint = score_findings(
            opened, subsets, TEST, config.max_fp_per_scan, run
        )
    return result(
        fingerprint,
        card.metrics(),
        paths={"page": folder / "scorecard.html", "record": folder / "scorecard.json"},
        texts={"operating_point": card.detection.how_chosen, **card.models},
    )


@dg.asset(
    group_name=GROUP,
    kinds={"mlflow"},
    code_version="1",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[scorecard, findings],
)
def champion(
    context: dg.AssetExecutionContext, config: ScoringConfig, home: HomeResource
) -> dg.MaterializeResult:
    """The models in use: the newest, if on the validation part they are at least as good."""
    opened = home.open()
    subsets = subsets_to_use(context, config, opened.findings)
    decision = promote_if_as_good(opened, subsets, config.max_fp_per_scan, context.log.info)
    return result(
        decision.fingerprint,
        {"promoted": int(decision.promoted), **decision.figures},
        texts={"decision": decision.in_words, **decision.champions},
    )


@dg.asset(
    group_name=GROUP,
    kinds={"mlflow"},
    code_version="1",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[hu_volumes, candidates, champion],
)
def nightly_revalidation(
    context: dg.AssetExecutionContext,
    config: ScoringConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """The champion, loaded from MLflow and run anew over the validation part."""
    opened = home.open()
    subsets = subsets_to_use(context, config, opened.crops)
    with tracking.run(context, SCORING, {"part": VALIDATION, "subsets": subsets}) as run:
        card, fingerprint = score_champion(
            opened, subsets, config.max_fp_per_scan, context.log.info
        )
        run.log_metrics(card.metrics())
    return result(fingerprint, card.metrics(), texts=card.models)
