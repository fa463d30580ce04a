# SPDX-License-Identifier: Apache-2.0
"""How good the models are: a scorecard, the champion, and the nightly look at it."""

import dagster as dg

from lung_pipeline.annotations.splits import TEST, VALIDATION
from lung_pipeline.orchestration.assets.data import candidates, hu_volumes
from lung_pipeline.orchestration.assets.patients import findings
from lung_pipeline.orchestration.config import NightConfig, PromotionConfig, TargetConfig
from lung_pipeline.orchestration.discretion import discreet
from lung_pipeline.orchestration.metadata import result
from lung_pipeline.orchestration.op_tags import GPU_OP_TAGS, GPU_POOL
from lung_pipeline.orchestration.promotion import decide
from lung_pipeline.orchestration.promotion_records import Case
from lung_pipeline.orchestration.resources import HomeResource, TrackingResource
from lung_pipeline.orchestration.revalidation import night_settings, revalidate
from lung_pipeline.orchestration.scorecard_metadata import scorecard_metadata
from lung_pipeline.orchestration.scoring import score_findings, target_of
from lung_pipeline.orchestration.training import subsets_to_use
from lung_pipeline.orchestration.turns import reads_all
from lung_pipeline.tracking.names import SCORING

GROUP = "evaluation"


@dg.asset(group_name=GROUP, kinds={"mlflow"}, code_version="4", deps=[findings, candidates])
@discreet
@reads_all
def scorecard(
    context: dg.AssetExecutionContext,
    config: TargetConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """How the newest models do on patients that were neither learned from nor chosen by."""
    opened = home.open()
    subsets = subsets_to_use(context, config, opened.findings)
    with tracking.run(context, SCORING, {"part": TEST, "subsets": subsets}) as run:
        scored = score_findings(opened, subsets, TEST, target_of(config), run)
    card, folder = scored.card, scored.folder
    return result(
        scored.fingerprint,
        card.metrics(),
        paths={"page": folder / "scorecard.html", "record": folder / "scorecard.json"},
        texts={
            "operating_point": card.detection.how_chosen,
            **{f"split_of_{step}": split for step, split in card.split.split_of_models.items()},
            **card.models,
        },
        more=scorecard_metadata(scored),
    )


@dg.asset(
    group_name=GROUP,
    kinds={"mlflow"},
    code_version="2",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[scorecard, findings],
)
@discreet
@reads_all
def champion(
    context: dg.AssetExecutionContext,
    config: PromotionConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """The set of models in use: the newest, where the validation part shows that it is better."""
    opened = home.open()
    subsets = subsets_to_use(context, config, opened.findings)
    with tracking.run(context, SCORING, {"part": VALIDATION, **config.model_dump()}) as run:
        case = Case(
            opened,
            tuple(subsets),
            config.max_fp_per_scan,
            config.rule(),
            config.reason if config.force else None,
        )
        decision = decide(case, run, context.log.info)
    reasons = {f"reason_{number}": why for number, why in enumerate(decision.reasons, start=1)}
    return result(
        decision.fingerprint,
        {"promoted": int(decision.promoted), **decision.figures},
        paths=decision.paths,
        texts={"decision": decision.in_words, **reasons, **decision.champions},
    )


@dg.asset(
    group_name=GROUP,
    kinds={"mlflow"},
    code_version="2",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[hu_volumes, candidates, champion],
)
@discreet
@reads_all
def nightly_revalidation(
    context: dg.AssetExecutionContext,
    config: NightConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """The champion run anew over the frozen validation part, beside what it was promoted with."""
    opened = home.open()
    with tracking.run(context, SCORING, {"part": VALIDATION}) as run:
        night = revalidate(
            opened,
            night_settings(config),
            lambda: subsets_to_use(context, config, opened.crops),
            context.log.info,
        )
        run.log_metrics(night.figures)
        run.set_tags({"revalidation": night.in_words})
        run.log_file(opened.last_night)
    context.log.info(night.in_words)
    return result(
        night.fingerprint,
        {**night.figures, "failures": len(night.failures), "warnings": len(night.warnings)},
        paths={"record": opened.last_night},
        texts={"in_words": night.in_words, "subsets": ", ".join(night.subsets), **night.models},
    )
