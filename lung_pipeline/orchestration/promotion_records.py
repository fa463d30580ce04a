# SPDX-License-Identifier: Apache-2.0
"""What is written down of a promotion: pages, tags of the run, the baseline of the nights to come.

Belongs here: records. Does not belong here: when each is written (``promotion.py``).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.home import Home

if TYPE_CHECKING:
    from lung_pipeline.evaluation.comparison.comparison import Comparison
    from lung_pipeline.evaluation.comparison.promotion import PromotionRule, Verdict
    from lung_pipeline.orchestration.scoring import Scored
    from lung_pipeline.tracking.runs import Run
    from lung_pipeline.tracking.sets import ModelSet

COMPARISON = "comparison"
"""What the page of the two sets beside each other is called."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a decision is about, and how it is taken."""

    home: Home
    """Where everything lies."""

    subsets: tuple[str, ...]
    """Whose validation part decides."""

    max_fp_per_scan: float
    """What each set's operating point is chosen for."""

    rule: PromotionRule
    """What a challenger has to show."""

    forced_because: str | None = None
    """Promote whatever the rule says, and why; None leaves it to the rule."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came out before anybody forces anything."""

    verdict: Verdict
    """What the rule says."""

    challenger: Scored
    """The newest models on the validation part."""

    champion: Scored | None = None
    """The champions on the same; None where they were not run."""

    comparison: Comparison | None = None
    """The two beside each other; None where they were not compared."""

    @property
    def figures(self) -> dict[str, float]:
        """Those of the comparison, else the challenger's own."""
        return self.comparison.metrics() if self.comparison else self.challenger.card.metrics()


def write_pages(case: Case, trial: Trial, verdict: Verdict) -> dict[str, Path]:
    """Write the comparison with its verdict; returns all pages, by what they are."""
    from lung_pipeline.reporting.scores.comparison_page import write_comparison

    paths = {"challenger": trial.challenger.folder / "scorecard.html"}
    if trial.champion is not None:
        paths["champion"] = trial.champion.folder / "scorecard.html"
    if trial.comparison is not None:
        folder = case.home.scorecards / trial.comparison.name
        paths[COMPARISON] = write_comparison(case.home, trial.comparison, folder, verdict.in_words)
    return paths


def keep_baseline_of(case: Case, newest: ModelSet, challenger: Scored) -> None:
    """Keep what every night is held against; refuses weights that were changed on disk."""
    from lung_pipeline.orchestration.baselines import keep_baseline

    evaluation = challenger.system.evaluation
    keep_baseline(
        case.home,
        newest,
        case.subsets,
        case.max_fp_per_scan,
        challenger.card.metrics(),
        len(evaluation.findings) / len(evaluation.series),
    )


def log_decision(
    run: Run, case: Case, trial: Trial, verdict: Verdict, newest: ModelSet, paths: dict[str, Path]
) -> None:
    """Hang the verdict and its reasons on the MLflow run, with figures and pages.

    MLflow is seen by more people than the home: the comparison there names no patient.
    """
    from lung_pipeline.tracking.sets import key_of

    tags = {f"reason_{number}": why for number, why in enumerate(verdict.reasons, start=1)}
    promoted = {"promoted": str(verdict.promoted).lower(), "set": key_of(newest)}
    models = {f"model.{step}": model.label for step, model in newest.items()}
    run.set_tags({"decision": verdict.in_words, **promoted, **tags, **models})
    run.log_metrics(trial.figures)
    for name in paths.keys() - {COMPARISON}:
        run.log_folder(paths[name].parent, name)
    if trial.comparison is not None:
        _log_without_names(run, case.home, trial.comparison, verdict)


def _log_without_names(run: Run, home: Home, comparison: Comparison, verdict: Verdict) -> None:
    from lung_pipeline.orchestration.private_names import private_names
    from lung_pipeline.reporting.scores.comparison_page import write_comparison

    told = private_names(home, None).stand_in
    with tempfile.TemporaryDirectory() as scratch:
        write_comparison(home, comparison, Path(scratch), verdict.in_words, told)
        run.log_folder(Path(scratch), COMPARISON)
