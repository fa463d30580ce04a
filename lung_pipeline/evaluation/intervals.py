# SPDX-License-Identifier: Apache-2.0
"""Intervals of shares, and the seed of those that are drawn.

Belongs here: how sure a figure is. Does not belong here: what is counted (``readers.py``), and the
bootstrap (``learning/resampling.py``), which training needs too.
"""

from __future__ import annotations

from lung_pipeline.learning.resampling import CONFIDENCE, NOT_MEASURED, Estimate

RESAMPLING_SEED = 20
"""Seeds the bootstrap where nothing else does, so that a scorecard can be made again."""


def share_by_wilson(num: int, of: int) -> Estimate:
    """A share with E. B. Wilson's interval, which stays in [0, 1] and is none too narrow at 1."""
    if not of:
        return NOT_MEASURED
    from scipy.stats import binomtest

    interval = binomtest(num, of).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(num / of, float(interval.low), float(interval.high))
