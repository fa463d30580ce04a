# SPDX-License-Identifier: Apache-2.0
"""A scorecard's pictures and tables beside its materialization.

Belongs here: which of them Dagster shows. Does not belong here: the page, which has them all.
"""

from typing import TYPE_CHECKING

import dagster as dg

from lung_pipeline.orchestration.metadata import picture_metadata, table_metadata

if TYPE_CHECKING:
    from lung_pipeline.evaluation.details import Details
    from lung_pipeline.orchestration.scoring import Scored


def scorecard_metadata(scored: "Scored") -> dict[str, dg.MetadataValue]:
    """The FROC curve, the waterfall, what became of everything, and how models rank."""
    from lung_pipeline.reporting.scores.plots import froc_png

    detection, details = scored.card.detection, scored.card.details
    point = (detection.fp_per_scan, detection.sensitivity)
    curve = picture_metadata(froc_png(scored.curve, point), "FROC curve")
    return {"froc": curve, **({} if details is None else _of_details(details))}


def _of_details(details: "Details") -> dict[str, dg.MetadataValue]:
    import pandas as pd

    from lung_pipeline.reporting.scores.waterfall_plot import waterfall_png

    headings, *rows = details.confusion.as_rows()
    shown: dict[str, dg.MetadataValue] = {
        "confusion": table_metadata(pd.DataFrame(rows, columns=["kind", *headings[1:]])),
        "findings_lie_on": table_metadata(pd.DataFrame(details.false_positives.as_rows())),
    }
    if details.waterfall is not None:
        shown["waterfall"] = picture_metadata(waterfall_png(details.waterfall), "nodules left")
        shown["nodules_lost"] = table_metadata(pd.DataFrame(details.waterfall.as_rows()))
    return shown
