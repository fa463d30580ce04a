# SPDX-License-Identifier: Apache-2.0
"""Steps 2 and 4, learning: three models, each a version in MLflow.

Unpartitioned: a model learns from all subsets, or from those its config names, and records which.
None learns before the split is certified, for the tables as they are.
"""

import dagster as dg

from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.orchestration.assets.data import candidates, crops, hu_volumes, lidc_reads
from lung_pipeline.orchestration.config import (
    ClassifierConfig,
    MalignancyConfig,
    SegmentationConfig,
    SubsetsConfig,
    settings_of,
)
from lung_pipeline.orchestration.devices import on_its_device
from lung_pipeline.orchestration.discretion import discreet
from lung_pipeline.orchestration.metadata import result
from lung_pipeline.orchestration.op_tags import GPU_OP_TAGS, GPU_POOL
from lung_pipeline.orchestration.resources import HomeResource, TrackingResource
from lung_pipeline.orchestration.training import (
    certified_subsets,
    former_model,
    record_training,
    refuse_other_split,
    subsets_to_use,
)
from lung_pipeline.orchestration.turns import reads_data
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.tracking.names import MALIGNANCY, NODULE, SEGMENTATION

GROUP = "models"


@dg.asset(group_name=GROUP, kinds={"file"}, code_version="2", deps=[candidates, crops])
@discreet
@reads_data
def leakage_certificate(
    context: dg.AssetExecutionContext, config: SubsetsConfig, home: HomeResource
) -> dg.MaterializeResult:
    """That nothing of one part of the patients can be met in another; models ask for it."""
    from lung_pipeline.crops.certify import make_certificate, write_certificate

    opened = home.open()
    subsets = subsets_to_use(context, config, opened.crops)
    certificate = make_certificate(opened, subsets)
    write_certificate(opened, certificate)
    return result(
        certificate.sha256[:16],
        certificate.numbers(),
        paths={"certificate": opened.certificate},
        texts={"split_sha256": certificate.split_sha256, "in_words": certificate.in_words()},
    )


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "mlflow"},
    code_version="3",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[hu_volumes, lidc_reads, candidates, leakage_certificate],
)
@discreet
@on_its_device
@reads_data
def segmentation_model(
    context: dg.AssetExecutionContext,
    config: SegmentationConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """The network that marks voxels of nodules, trained on patches around nodules and others."""
    from lung_pipeline.segmentation.regions import count_masks
    from lung_pipeline.segmentation.subset import gather_regions
    from lung_pipeline.segmentation.training import train_segmentation_model

    opened = home.open()
    settings = settings_of(config, SegmentationSettings)
    subsets, certificate = certified_subsets(context, config, opened)
    train, validation = (
        gather_regions(
            opened,
            subsets,
            part,
            background_per_series=settings.background_per_series,
            seed=settings.seed,
            consensus_level=settings.consensus_level,
            slices_per_series=per_series,
        )
        for part, per_series in (("train", None), ("validation", settings.slices_per_series))
    )
    return record_training(
        context,
        tracking,
        SEGMENTATION,
        "Seven slices in HU to the logit that a pixel of the middle one is nodule.",
        settings,
        subsets,
        certificate,
        lambda watcher, checkpoint: train_segmentation_model(
            train, validation, settings, watcher, checkpoint
        ),
        learned_from=count_masks(train, validation),
    )


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "mlflow"},
    code_version="3",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[crops, leakage_certificate],
)
@discreet
@on_its_device
@reads_data
def nodule_model(
    context: dg.AssetExecutionContext,
    config: ClassifierConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """The 3D CNN that tells nodules from other things, trained on crops in balanced batches."""
    from lung_pipeline.classification.training import train_nodule_model
    from lung_pipeline.crops.store import open_crops

    opened = home.open()
    settings = settings_of(config, ClassifierSettings)
    subsets, certificate = certified_subsets(context, config, opened)
    crop_set = open_crops([opened.crops(subset) for subset in subsets])
    former, hashes = former_model(opened, settings.hard_negatives_from)
    return record_training(
        context,
        tracking,
        NODULE,
        "A crop of 32 x 48 x 48 voxels in HU to two logits: no nodule, nodule.",
        settings,
        subsets,
        certificate,
        lambda watcher, checkpoint: train_nodule_model(
            crop_set, settings, watcher, checkpoint, former
        ),
        builds_on=hashes,
    )


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "mlflow"},
    code_version="6",
    pool=GPU_POOL,
    op_tags=GPU_OP_TAGS,
    deps=[crops, lidc_reads, nodule_model, leakage_certificate],
)
@discreet
@on_its_device
@reads_data
def malignancy_model(
    context: dg.AssetExecutionContext,
    config: MalignancyConfig,
    home: HomeResource,
    tracking: TrackingResource,
) -> dg.MaterializeResult:
    """The nodule model with its judgement trained anew: malignant or not."""
    from lung_pipeline.annotations.characteristics import described
    from lung_pipeline.annotations.lidc_subset import read_reads_of
    from lung_pipeline.classification.malignancy import train_malignancy_model
    from lung_pipeline.classification.networks import OF_NODULE
    from lung_pipeline.crops.store import open_crops
    from lung_pipeline.ct.spacings import read_spacings_of
    from lung_pipeline.learning.model_folder import read_model
    from lung_pipeline.tracking.names import CHALLENGER, model_uri
    from lung_pipeline.tracking.registry import fetched

    opened = home.open()
    settings = settings_of(config, MalignancySettings)
    subsets, certificate = certified_subsets(context, config, opened)
    crop_set = open_crops([opened.crops(subset) for subset in subsets])
    address = model_uri(NODULE, CHALLENGER)
    with fetched(opened, address) as folder:
        pretrained, card = read_model(folder, *OF_NODULE)
    refuse_other_split(card, certificate, address)
    said = described(crop_set.index, read_reads_of(opened, subsets))
    spacings = read_spacings_of(opened, subsets, crop_set.index["series_uid"].tolist())
    return record_training(
        context,
        tracking,
        MALIGNANCY,
        "A crop of 32 x 48 x 48 voxels in HU to two logits: not malignant, malignant.",
        settings,
        subsets,
        certificate,
        lambda watcher, checkpoint: train_malignancy_model(
            pretrained, crop_set, settings, watcher, checkpoint, said, spacings
        ),
        builds_on={"starts_from": card.weights_sha256},
    )
