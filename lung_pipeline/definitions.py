# SPDX-License-Identifier: Apache-2.0
"""Dagster's entry point; how it is put together stands in ``orchestration.build``."""

import dagster as dg

from lung_pipeline.orchestration.build import build_defs


@dg.definitions
def defs() -> dg.Definitions:
    """The code location ``lung_pipeline``."""
    return build_defs()
