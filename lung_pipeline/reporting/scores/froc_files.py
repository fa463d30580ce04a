# SPDX-License-Identifier: Apache-2.0
"""A scored system as files: froc.json, froc.csv, froc.png and nodules.csv.

Belongs here: what is written, each file whole. Does not belong here: what is measured
(``evaluation/detection/froc_scoring.py``) and what a terminal shows (``froc_words.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lung_pipeline import __version__
from lung_pipeline.annotations.csv_formulas import without_formulas
from lung_pipeline.ct.reading import sha256_of
from lung_pipeline.evaluation.detection.froc_nodules import nodule_table
from lung_pipeline.evaluation.detection.froc_scoring import ScoredDetections
from lung_pipeline.learning.resampling import CONFIDENCE
from lung_pipeline.reporting.scores.froc_plot import froc_figure
from lung_pipeline.writing import written_whole

JSON_FILE, CURVE_FILE, PLOT_FILE, NODULES_FILE = (
    "froc.json",
    "froc.csv",
    "froc.png",
    "nodules.csv",
)
"""The figures, the curve, its picture, and every nodule with what hit it."""


def write_froc(
    scored: ScoredDetections, out: Path, *, inputs: Mapping[str, Path], settings: Mapping[str, Any]
) -> None:
    """Write the four files; other files in the folder stay.

    Args:
        scored: what is written.
        out: the folder; it is made where it is not there.
        inputs: the files that were read, by what they are; their names and hashes are kept.
        settings: what was asked for, such as the cap.
    """
    nodules = nodule_table(scored.matches, scored.tables.nodules, scored.tables.findings)
    with written_whole(out / NODULES_FILE) as temporary:
        without_formulas(nodules).to_csv(temporary, index=False)
    _write_curve(scored, out / CURVE_FILE)
    with written_whole(out / PLOT_FILE) as temporary:
        # Without the version of matplotlib in it the same picture is the same file.
        froc_figure(scored).savefig(temporary, format="png", metadata={"Software": None})
    with written_whole(out / JSON_FILE) as temporary:
        text = json.dumps(_record(scored, inputs, settings), indent=2, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _write_curve(scored: ScoredDetections, path: Path) -> None:
    """One row a distinct score, from the strictest on; the first threshold is infinity."""
    import pandas as pd

    curve = scored.curve
    columns = {
        "threshold": curve.thresholds,
        "fp_per_scan": curve.fp_per_scan,
        "sensitivity": curve.sensitivity,
    }
    with written_whole(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, index=False)


def _record(
    scored: ScoredDetections, inputs: Mapping[str, Path], settings: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "protocol": "LUNA16",
        "figures": scored.figures.as_json(),
        "confidence": CONFIDENCE,
        "settings": dict(settings),
        "left_out": scored.tables.left_out,
        "silent_series": list(scored.tables.silent_series_uids),
        "series_emptied_by_the_cap": list(scored.emptied_series_uids),
        "inputs": {
            name: {"file": path.name, "sha256": sha256_of([path])} for name, path in inputs.items()
        },
        "made_by": f"lung-pipeline {__version__}",
    }
