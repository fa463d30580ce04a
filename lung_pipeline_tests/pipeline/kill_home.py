# SPDX-License-Identifier: Apache-2.0
"""The tiny home that the kill campaign begins with, made in a process of its own.

python kill_home.py prepare      phantoms, and a Dagster that knows their subset
python kill_home.py candidates   that, and the stages up to candidates, without Dagster
python kill_home.py crops        the crops, without Dagster
python kill_home.py models       registered models whose findings are few
"""

from __future__ import annotations

import sys

from kill_stages import SUBSET

from lung_pipeline.home import Home

NUM_SCANS, SEED = 3, 29
"""The fewest and shortest with nodules in both the training and the validation part."""


def prepare(home: Home) -> None:
    from lung_pipeline.orchestration.launch import open_instance, sync_subsets
    from lung_pipeline.phantom.folder import write_luna_folder

    write_luna_folder(home.raw, num_subsets=1, scans_per_subset=NUM_SCANS, seed=SEED)
    with open_instance(home) as instance:
        sync_subsets(home, instance)
        # A slot that is held would block the next run for ever; without a limit nothing would.
        instance.event_log_storage.set_concurrency_slots("gpu", 1)


def candidates(home: Home) -> None:
    from lung_pipeline.annotations.lidc_subset import make_lidc_reads
    from lung_pipeline.annotations.splits import SplitRule
    from lung_pipeline.annotations.subset import make_candidates
    from lung_pipeline.ct.subset import convert_volumes, list_raw

    prepare(home)
    list_raw(home, SUBSET)
    convert_volumes(home, SUBSET)
    make_lidc_reads(home, SUBSET)
    make_candidates(home, SUBSET, SplitRule())


def crops(home: Home) -> None:
    from lung_pipeline.crops.subset import make_crops

    make_crops(home, SUBSET)


def models(home: Home) -> None:
    from bright_models import register_bright_models

    register_bright_models(home)


if __name__ == "__main__":
    {"prepare": prepare, "candidates": candidates, "crops": crops, "models": models}[sys.argv[1]](
        Home.from_environment()
    )
