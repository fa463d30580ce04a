# SPDX-License-Identifier: Apache-2.0
"""What a person launches as one thing.

https://docs.dagster.io/guides/build/jobs
"""

import dagster as dg

from lung_pipeline.orchestration.assets import data, evaluation, models, patients
from lung_pipeline.orchestration.profiles import PROFILES, run_config

INGEST = dg.define_asset_job(
    "ingest",
    dg.AssetSelection.groups(data.GROUP),
    description="One subset: raw scans to HU volumes, candidates and crops.",
)

TRAIN = dg.define_asset_job(
    "train",
    dg.AssetSelection.groups(models.GROUP),
    description="The three models, from all subsets that have crops; by default as for LUNA16.",
)

TRAIN_AS = [
    dg.define_asset_job(
        f"train_{name}",
        dg.AssetSelection.groups(models.GROUP),
        config=run_config(profile),
        description=f"The three models with the settings of the profile '{name}'.",
    )
    for name, profile in PROFILES.items()
]

DIAGNOSE = dg.define_asset_job(
    "diagnose",
    dg.AssetSelection.groups(patients.GROUP),
    description="One subset: findings of the newest models, diagnoses and reports.",
)

EVALUATE = dg.define_asset_job(
    "evaluate",
    dg.AssetSelection.assets(evaluation.scorecard, evaluation.champion),
    description="Scorecard of the newest models; they become the champions if clearly better.",
)

REVALIDATE = dg.define_asset_job(
    "revalidate",
    dg.AssetSelection.assets(evaluation.nightly_revalidation),
    description="The champion over the validation part.",
)

JOBS = [INGEST, TRAIN, *TRAIN_AS, DIAGNOSE, EVALUATE, REVALIDATE]
