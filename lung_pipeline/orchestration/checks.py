# SPDX-License-Identifier: Apache-2.0
"""What must hold of an artefact, asked of the artefact itself.

Belongs here: checks. Does not belong here: how to find out, which pure code knows.
A check fails the run it stands in and stops what comes after; partitioned checks are a preview of
Dagster 1.13, so ``_subset_check`` is the one place that knows of them.
https://docs.dagster.io/guides/test/asset-checks
"""

import math
import warnings
from collections.abc import Callable

import dagster as dg

from lung_pipeline.orchestration.assets.data import candidates, crops, hu_volumes, lidc_reads
from lung_pipeline.orchestration.assets.evaluation import nightly_revalidation
from lung_pipeline.orchestration.assets.models import (
    leakage_certificate,
    malignancy_model,
    nodule_model,
    segmentation_model,
)
from lung_pipeline.orchestration.assets.patients import findings
from lung_pipeline.orchestration.discretion import discreet
from lung_pipeline.orchestration.partitions import LUNA_SUBSETS
from lung_pipeline.orchestration.resources import HomeResource
from lung_pipeline.orchestration.turns import reads_all
from lung_pipeline.tracking.names import MALIGNANCY, NODULE, SEGMENTATION

SubsetCheck = Callable[[dg.AssetCheckExecutionContext, HomeResource], dg.AssetCheckResult]

MOST_SENTENCES = 20
"""Faults that are listed; their number is always told."""

FAULTS = "faults"
"""The metadata entry that lists them, a line each."""


def _subset_check(
    asset: dg.AssetsDefinition, *, blocking: bool = True
) -> Callable[[SubsetCheck], dg.AssetChecksDefinition]:
    def decorate(check: SubsetCheck) -> dg.AssetChecksDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)
            made = dg.asset_check(asset=asset, blocking=blocking, partitions_def=LUNA_SUBSETS)
            return made(discreet(reads_all(check)))

    return decorate


def _verdict(
    faults: list[str], severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not faults,
        severity=severity,
        metadata={
            "num_faults": len(faults),
            FAULTS: "\n".join(faults[:MOST_SENTENCES]) or "none",
        },
    )


@_subset_check(hu_volumes)
def hu_range_and_geometry(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """Every volume is int16 HU in [-1000, 1000] on a canonical grid."""
    from lung_pipeline.ct.store import open_volume
    from lung_pipeline.ct.stored_quality import problems
    from lung_pipeline.ct.subset import series_with_volume

    opened, subset = home.open(), context.partition_key
    faults = []
    for series_uid in series_with_volume(opened, subset):
        volume = open_volume(opened.volume(subset, series_uid))
        faults += [f"{series_uid}: {fault}" for fault in problems(volume.read_all(), volume.grid)]
    return _verdict(faults)


@_subset_check(hu_volumes, blocking=False)
def every_scan_was_read(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """No scan was refused. A warning: the others are as good as ever."""
    from lung_pipeline.ct.subset import VOLUMES
    from lung_pipeline.tables import read_table

    manifest = read_table(home.open().manifest(VOLUMES, context.partition_key))
    refused = manifest.loc[manifest["problem"] != "", "problem"].tolist()
    return _verdict(refused, dg.AssetCheckSeverity.WARN)


@_subset_check(lidc_reads)
def no_nodule_has_two_marks_of_one_reader(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """Each of the readers' nodules has at most one mark of each reader."""
    from lung_pipeline.annotations.lidc_subset import READS
    from lung_pipeline.annotations.reads import marked_twice
    from lung_pipeline.tables import read_table

    return _verdict(marked_twice(read_table(home.open().manifest(READS, context.partition_key))))


@_subset_check(lidc_reads, blocking=False)
def every_mark_was_read(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """Nothing of the readers' XML was lost. A warning: LIDC's own set has some such files."""
    from lung_pipeline.annotations.lidc_subset import LOSSES
    from lung_pipeline.tables import read_table

    losses = read_table(home.open().manifest(LOSSES, context.partition_key))
    lines = [f"{place}: {reason}" for place, reason in losses.itertuples(index=False)]
    return _verdict(lines, dg.AssetCheckSeverity.WARN)


@_subset_check(candidates, blocking=False)
def annotated_nodules_have_marks(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """Where the readers' XML is there, each annotated nodule has its readers' marks. A warning."""
    from lung_pipeline.annotations.subset import nodules_without_marks

    lost = nodules_without_marks(home.open(), context.partition_key)
    return _verdict(lost, dg.AssetCheckSeverity.WARN)


@_subset_check(candidates)
def no_patient_in_two_parts(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """No patient stands in two parts, over all subsets that have candidates."""
    from lung_pipeline.annotations.splits import patients_in_two_parts
    from lung_pipeline.annotations.subset import SERIES, read_series_of
    from lung_pipeline.orchestration.partitions import known_subsets

    opened = home.open()
    subsets = [
        subset
        for subset in known_subsets(context.instance)
        if opened.manifest(SERIES, subset).is_file()
    ]
    return _verdict(patients_in_two_parts(read_series_of(opened, subsets)))


@_subset_check(crops)
def crops_equal_their_windows(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """Every crop equals the window of its volume around its candidate."""
    from lung_pipeline.crops.subset import crops_that_differ

    return _verdict(crops_that_differ(home.open(), context.partition_key))


@_subset_check(findings, blocking=False)
def every_series_looked_at(
    context: dg.AssetCheckExecutionContext, home: HomeResource
) -> dg.AssetCheckResult:
    """The models looked at every series. A warning while they did at some; else an error."""
    from lung_pipeline.diagnosis.subset import series_seen

    seen = series_seen(home.open(), context.partition_key)
    faults = [f"{series_uid}: {reason}" for series_uid, reason in seen.problems.items()]
    some = dg.AssetCheckSeverity.WARN if seen.looked_at else dg.AssetCheckSeverity.ERROR
    return _verdict(faults, some)


@dg.asset_check(asset=leakage_certificate, blocking=True)
@discreet
def nothing_leaks(home: HomeResource) -> dg.AssetCheckResult:
    """Every check of the certificate holds; else nothing is trained."""
    from lung_pipeline.crops.certify import read_certificate

    return _verdict(read_certificate(home.open()).faults)


@dg.asset_check(asset=leakage_certificate, blocking=False)
@discreet
def parts_are_alike(home: HomeResource) -> dg.AssetCheckResult:
    """No part has more or fewer malignant, large or small nodules than chance brings. A warning."""
    from lung_pipeline.crops.certify import read_certificate

    return _verdict(read_certificate(home.open()).warnings, dg.AssetCheckSeverity.WARN)


def _losses_check(asset: dg.AssetsDefinition, step: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, blocking=True, name=f"{step}_losses_are_finite")
    @discreet
    def losses_are_finite(home: HomeResource) -> dg.AssetCheckResult:
        """The training loss of every epoch is a number."""
        from lung_pipeline.orchestration.training import challenger_losses

        losses = challenger_losses(home.open(), step)
        faults = [
            f"epoch {number}: {loss}"
            for number, loss in enumerate(losses, start=1)
            if not math.isfinite(loss)
        ]
        return _verdict(faults if losses else ["the model card names no loss"])

    return losses_are_finite


@dg.asset_check(asset=nightly_revalidation, blocking=True)
@discreet
def revalidation_holds(home: HomeResource) -> dg.AssetCheckResult:
    """The champions, what they are scored on and their figures are as on the day of promotion."""
    from lung_pipeline.orchestration.revalidation import read_last_night

    return _verdict(read_last_night(home.open()).failures)


@dg.asset_check(asset=nightly_revalidation, blocking=False)
@discreet
def computed_as_at_promotion(home: HomeResource) -> dg.AssetCheckResult:
    """Libraries and device are those of the promotion. A warning, while the figures hold."""
    from lung_pipeline.orchestration.revalidation import read_last_night

    return _verdict(read_last_night(home.open()).warnings, dg.AssetCheckSeverity.WARN)


TELLABLE_CHECKS = frozenset({"revalidation_holds"})
"""Checks whose sentences name models, tables and figures, and nothing of a patient: they may stand
in an alert that leaves the house."""

CHECKS = [
    hu_range_and_geometry,
    every_scan_was_read,
    no_nodule_has_two_marks_of_one_reader,
    every_mark_was_read,
    annotated_nodules_have_marks,
    no_patient_in_two_parts,
    crops_equal_their_windows,
    every_series_looked_at,
    nothing_leaks,
    parts_are_alike,
    _losses_check(segmentation_model, SEGMENTATION),
    _losses_check(nodule_model, NODULE),
    _losses_check(malignancy_model, MALIGNANCY),
    revalidation_holds,
    computed_as_at_promotion,
]
