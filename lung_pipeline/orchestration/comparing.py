# SPDX-License-Identifier: Apache-2.0
"""Two scorecards by their names, compared and written down.

Belongs here: which folder a name means. Does not belong here: figures
(``evaluation/comparison/paired.py``), and comparing in order to promote (``promotion.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.annotations.splits import VALIDATION
from lung_pipeline.errors import ModelError
from lung_pipeline.home import Home, checked_name
from lung_pipeline.orchestration.scoring import card_name
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION, REFERENCE

if TYPE_CHECKING:
    from lung_pipeline.evaluation.comparison.comparison import Comparison

ALIASES = (CHAMPION, CHALLENGER, REFERENCE)
"""Names that mean the models which have that alias now."""


def compare_scorecards(
    home: Home, a: str, b: str, part: str = VALIDATION, out: Path | None = None
) -> tuple[Comparison, Path]:
    """Compare two scorecards; returns the record and the page.

    Args:
        home: where scorecards, tables and crops lie.
        a: what there was: an alias, the name of a scorecard, or its folder.
        b: what is new, in the same words.
        part: of which part the scorecard of an alias is.
        out: where record and page go; by default beside the scorecards.

    Raises:
        StoreError: no such scorecard, or two that were not scored on the same patients and tables.
        ModelError: an alias that no model has.
    """
    from lung_pipeline.evaluation.comparison.paired import compare
    from lung_pipeline.evaluation.comparison.systems import read_system
    from lung_pipeline.reporting.scores.comparison_page import write_comparison

    first, second = (read_system(home, scorecard_folder(home, name, part)) for name in (a, b))
    comparison = compare(first, second, datetime.now(UTC).isoformat(timespec="seconds"))
    folder = out or home.scorecards / comparison.name
    return comparison, write_comparison(home, comparison, folder)


def scorecard_folder(home: Home, name: str, part: str = VALIDATION) -> Path:
    """The folder of a scorecard, by an alias, its name below the home, or a path."""
    if name in ALIASES:
        return home.scorecards / card_name(part, _labels(home, name))
    if Path(name).is_dir():
        return Path(name)
    return home.scorecards / checked_name(name)


def _labels(home: Home, alias: str) -> dict[str, str]:
    from lung_pipeline.tracking.sets import set_of

    models = set_of(home, alias)
    if not models:
        raise ModelError(
            value="none",
            place=f"models with the alias {alias}",
            rule="an alias can be compared when models have it",
            cure="See `lung-pipeline models list`, or name a scorecard.",
        )
    return {step: model.label for step, model in models.items()}
