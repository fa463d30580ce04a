# SPDX-License-Identifier: Apache-2.0
"""One partition a LUNA subset; a new subset needs no deployment.

https://docs.dagster.io/guides/build/partitions-and-backfills
"""

import dagster as dg

from lung_pipeline.ct.subset_names import checked_subset_name

LUNA_SUBSETS = dg.DynamicPartitionsDefinition(name="luna_subset")
"""The subsets that are known; ``lung-pipeline subsets sync`` adds those on disk."""


def known_subsets(instance: dg.DagsterInstance) -> list[str]:
    """The registered subsets, sorted."""
    return sorted(instance.get_dynamic_partitions(str(LUNA_SUBSETS.name)))


def add_subsets(instance: dg.DagsterInstance, subsets: list[str]) -> list[str]:
    """Register subsets; returns those that are new.

    Raises:
        SettingError: a name that no subset may have; then none is registered.
    """
    known = set(known_subsets(instance))
    new = [checked_subset_name(subset) for subset in sorted(set(subsets) - known)]
    if new:
        instance.add_dynamic_partitions(str(LUNA_SUBSETS.name), new)
    return new
