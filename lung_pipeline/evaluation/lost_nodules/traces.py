# SPDX-License-Identifier: Apache-2.0
"""What was written down while findings were made, gathered for an evaluation.

Belongs here: reading, and the density beside each nodule. Does not belong here: what follows from
it (``waterfall.py``, ``false_positives.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.annotations.lidc_subset import READS
from lung_pipeline.annotations.reads import READ_COLUMNS
from lung_pipeline.evaluation.lost_nodules.density import densities
from lung_pipeline.home import Home
from lung_pipeline.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

_FINDING = ["series_uid", "x_mm", "y_mm", "z_mm"]


def read_trace(home: Home, subsets: Sequence[str], nodules: pd.DataFrame) -> pd.DataFrame | None:
    """The traces of some subsets with each nodule's density; None where a subset has none.

    Args:
        home: where the tables are.
        subsets: which.
        nodules: the nodules of these subsets: candidate_id, series_uid, lidc_nodule.
    """
    import pandas as pd

    trace = _of_all([home.trace(subset) for subset in subsets])
    if trace is None:
        return None
    reads = _of_all([home.manifest(READS, subset) for subset in subsets])
    if reads is None:
        reads = pd.DataFrame(columns=list(READ_COLUMNS)).astype(READ_COLUMNS)
    named = nodules[["candidate_id"]].assign(density=densities(nodules, reads))
    return trace.merge(named, on="candidate_id", how="left")


def with_surroundings(home: Home, subsets: Sequence[str], findings: pd.DataFrame) -> pd.DataFrame:
    """The findings, each with its tissue_share where that was written for all subsets."""
    around = _of_all([home.surroundings(subset) for subset in subsets])
    if around is None:
        return findings
    return findings.merge(around.drop_duplicates(_FINDING), on=_FINDING, how="left")


def _of_all(paths: Sequence[Path]) -> pd.DataFrame | None:
    """The tables one after the other; None where one is not there."""
    import pandas as pd

    if not all(path.is_file() for path in paths):
        return None
    return pd.concat([read_table(path) for path in paths], ignore_index=True)
