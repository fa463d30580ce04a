# SPDX-License-Identifier: Apache-2.0
"""Step 1: raw scans, HU volumes, candidates, crops; one partition a LUNA subset."""

import dagster as dg

from lung_pipeline.orchestration.discretion import discreet
from lung_pipeline.orchestration.metadata import result
from lung_pipeline.orchestration.partitions import LUNA_SUBSETS
from lung_pipeline.orchestration.resources import (
    HomeResource,
    MalignancyRuleResource,
    SplitResource,
)
from lung_pipeline.orchestration.turns import writes_data

GROUP = "data"


@dg.asset(partitions_def=LUNA_SUBSETS, group_name=GROUP, kinds={"file"}, code_version="1")
@discreet
@writes_data
def raw_subset(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The scans of a subset as handed out: their files, sizes and hashes."""
    from lung_pipeline.ct.subset import list_raw
    from lung_pipeline.ct.subset_names import checked_subset_name

    # The UI's "Add partition" takes any name.
    manifest, fingerprint = list_raw(home.open(), checked_subset_name(context.partition_key))
    numbers = {
        "num_scans": len(manifest),
        "num_refused": int((manifest["problem"] != "").sum()),
        "megabytes": float(manifest["num_bytes"].sum() / 1e6),
    }
    return result(fingerprint, numbers, table=manifest)


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"zarr"},
    code_version="2",
    deps=[raw_subset],
)
@discreet
@writes_data
def hu_volumes(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """Each scan as int16 HU in [-1000, 1000] in canonical axis order, one Zarr store a series."""
    from lung_pipeline.ct.subset import convert_volumes

    manifest, fingerprint = convert_volumes(home.open(), context.partition_key, context.log.info)
    well = manifest[manifest["problem"] == ""]
    numbers = {
        "num_volumes": len(well),
        "num_refused": len(manifest) - len(well),
        "num_turned": int(well["turned"].sum()),
        "thickest_slice_mm": float(well["slice_spacing_mm"].max()) if len(well) else None,
    }
    return result(fingerprint, numbers, table=manifest)


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="1",
    deps=[hu_volumes],
)
@discreet
@writes_data
def lidc_reads(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """What each reader marked and rated, from LIDC's XML; marks that overlap are one nodule."""
    from lung_pipeline.annotations.lidc_subset import make_lidc_reads

    reads, counts, fingerprint = make_lidc_reads(home.open(), context.partition_key)
    return result(fingerprint, counts, table=reads)


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"parquet"},
    code_version="2",
    deps=[hu_volumes, lidc_reads],
)
@discreet
@writes_data
def candidates(
    context: dg.AssetExecutionContext,
    home: HomeResource,
    split: SplitResource,
    malignancy_rule: MalignancyRuleResource,
) -> dg.MaterializeResult:
    """Annotated nodules with the readers' ratings, and negatives, each in its patient's part."""
    from lung_pipeline.annotations.subset import make_candidates

    rule = malignancy_rule.rule()
    made, fingerprint = make_candidates(home.open(), context.partition_key, split.rule(), rule)
    return result(
        fingerprint,
        made.counts,
        table=made.table,
        texts={"malignancy_rule": str(rule.as_json()), "split": str(split.rule().as_json())},
    )


@dg.asset(
    partitions_def=LUNA_SUBSETS,
    group_name=GROUP,
    kinds={"numpy"},
    code_version="3",
    deps=[hu_volumes, candidates],
)
@discreet
@writes_data
def crops(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
    """The 32 x 48 x 48 window around each candidate, as the classifiers read it."""
    from lung_pipeline.crops.subset import make_crops

    opened = home.open()
    num_crops, fingerprint = make_crops(opened, context.partition_key)
    return result(
        fingerprint,
        {"num_crops": num_crops},
        paths={"folder": opened.crops(context.partition_key)},
    )
