# SPDX-License-Identifier: Apache-2.0
"""How far a night may lie from the day of promotion; a passed tolerance is a failed night.

Belongs here: limits and why they are what they are, free of NumPy, so that a user interface can
show them. Does not belong here: what is held against them (``drift.py``). Of files and tables not a
byte may change; they need no tolerance. The docstring under a field is the text a person reads
beside it in Dagster's Launchpad.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Tolerances(BaseModel):
    """Limits of a nightly revalidation."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    figures: float = Field(default=1e-6, ge=0)
    """Each figure, where weights, tables, libraries and processor are the same: a CPU computes the
    same sums in the same order, so only the last digits of a mean are forgiven. Another commit of
    this package changes nothing of that: what it moves is a fault, or needs `renew_baseline`."""

    figures_elsewhere: float = Field(default=0.02, ge=0)
    """Each figure on a GPU, another processor or other libraries (a share, or a share of a count):
    other kernels add in another order, bfloat16 keeps eight bits, and a voxel at the threshold may
    fall to the other side. 0.02 is two nodules of a hundred."""

    thresholds_elsewhere: float = Field(default=0.2, ge=0)
    """A threshold there, as a share of itself. Below a probability of 0.01 the network's last sums
    are known in bfloat16 alone, whose steps near 8 are .06: six percent of the probability each.
    And findings that change places move the threshold to a neighbour's score."""

    findings: float = Field(default=0.05, ge=0)
    """Findings a scan, as a share of those at promotion. Most findings are hopeless specks at the
    threshold, which come and go first when something changes."""

    hu_histogram: float = Field(default=0.001, ge=0, le=1)
    """Share of the voxels that lie in another bin of 100 HU. The scans are frozen, so it should be
    nothing at all; 0.001 is one scan of a hundred with a tenth of its voxels changed."""

    lung_share: float = Field(default=0.001, ge=0, le=1)
    """Share of the voxels that look like lung, plus or minus."""

    geometry: float = Field(default=0.001, ge=0)
    """Quantiles of spacing and number of slices, as a share: headers round to some digits."""
