# SPDX-License-Identifier: Apache-2.0
"""Scores of stored findings and of the champion, and what follows from comparing them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.splits import VALIDATION
from lung_pipeline.annotations.subset import candidates_fingerprint
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home, written_whole
from lung_pipeline.tables import fingerprint as table_fingerprint
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION, STEPS

if TYPE_CHECKING:
    from lung_pipeline.evaluation.froc import Froc
    from lung_pipeline.evaluation.gather import Evaluation
    from lung_pipeline.evaluation.scorecard import Scorecard
    from lung_pipeline.tracking.registry import ModelVersion
    from lung_pipeline.tracking.runs import Run

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the newest models became the champions, and why."""

    promoted: bool
    """Whether aliases moved."""

    in_words: str
    """Why."""

    figures: dict[str, float]
    """The figures that were compared."""

    champions: dict[str, str]
    """For each step the champion after the decision."""

    fingerprint: str
    """Changes when a champion changes."""


def score_findings(
    home: Home, subsets: Sequence[str], part: str, max_fp_per_scan: float, run: Run
) -> tuple[Scorecard, Path, str]:
    """Score stored findings; the scorecard is written below the home and logged to the run."""
    from lung_pipeline.evaluation.gather import gather
    from lung_pipeline.reporting.scorecard_page import write_scorecard_page

    evaluation = gather(home, subsets)
    card, curve = _score(home, evaluation, part, max_fp_per_scan)
    folder = home.scorecards / card.name
    write_scorecard_page(card, folder / "scorecard.html", froc=curve)
    with written_whole(folder / "scorecard.json") as temporary:
        temporary.write_text(json.dumps(card.as_json(), indent=2) + "\n")
    run.log_metrics(card.metrics())
    run.log_folder(folder, "scorecard")
    return card, folder, _fingerprint(evaluation, card)


def score_champion(
    home: Home, subsets: Sequence[str], max_fp_per_scan: float, tell: Tell
) -> tuple[Scorecard, str]:
    """Run the champions over the validation part and score what they find."""
    from lung_pipeline.annotations.subset import read_series_of
    from lung_pipeline.diagnosis.findings import findings_table
    from lung_pipeline.diagnosis.subset import find_in_series
    from lung_pipeline.evaluation.gather import evaluation_of
    from lung_pipeline.tracking.models import models_by_alias

    named = models_by_alias(home, CHAMPION)
    series = read_series_of(home, subsets)
    found = []
    for row in series[series["part"] == VALIDATION].itertuples():
        tell(str(row.series_uid))
        found += find_in_series(home, str(row.subset), str(row.series_uid), named.models)
    evaluation = evaluation_of(home, subsets, findings_table(found), named.names)
    card, _ = _score(home, evaluation, VALIDATION, max_fp_per_scan)
    return card, _fingerprint(evaluation, card)


def promote_if_as_good(
    home: Home, subsets: Sequence[str], max_fp_per_scan: float, tell: Tell
) -> Decision:
    """Make the newest models champions unless, on the same patients, the champions do better.

    The figure is the CPM on the validation part. Without a champion the newest become it.

    Raises:
        StoreError: the stored findings are not those of the newest models.
    """
    from lung_pipeline.evaluation.gather import gather
    from lung_pipeline.tracking.registry import find, set_alias

    newest = {step: model for step in STEPS if (model := find(home, step, CHALLENGER))}
    champions = {step: model for step in STEPS if (model := find(home, step, CHAMPION))}
    evaluation = gather(home, subsets)
    _refuse_others_findings(evaluation, newest)
    card, _ = _score(home, evaluation, VALIDATION, max_fp_per_scan)
    figures = {"challenger_cpm": card.detection.cpm or 0.0}
    if newest == champions:
        why = "the newest are the champions"
        return _decision(promoted=False, why=why, figures=figures, of=champions)
    why = "there was no champion"
    if champions:
        of_champion, _ = score_champion(home, subsets, max_fp_per_scan, tell)
        figures["champion_cpm"] = of_champion.detection.cpm or 0.0
        why = ", ".join(f"{name} {figure:.3f}" for name, figure in figures.items())
        if figures["challenger_cpm"] < figures["champion_cpm"]:
            return _decision(promoted=False, why=why, figures=figures, of=champions)
    for model in newest.values():
        set_alias(home, model, CHAMPION)
    return _decision(promoted=True, why=why, figures=figures, of=newest)


def _refuse_others_findings(evaluation: Evaluation, newest: dict[str, ModelVersion]) -> None:
    """A model trained since must not be promoted by what its forerunner found."""
    labels = {step: model.label for step, model in newest.items()}
    if evaluation.models != labels:
        raise StoreError(
            value=", ".join(evaluation.models.values()),
            place=f"findings of {', '.join(evaluation.subsets)}",
            rule=f"findings must come from the newest models ({', '.join(labels.values())})",
            cure="Materialize the findings again (job `diagnose`), then the champion.",
        )


def _decision(
    *, promoted: bool, why: str, figures: dict[str, float], of: dict[str, ModelVersion]
) -> Decision:
    champions = {step: model.label for step, model in of.items()}
    verb = "promoted" if promoted else "not promoted"
    hashes = "".join(model.weights_sha256[:5] for model in of.values())
    return Decision(promoted, f"{verb}: {why}", figures, champions, hashes)


def _score(
    home: Home, evaluation: Evaluation, part: str, max_fp_per_scan: float
) -> tuple[Scorecard, Froc]:
    from lung_pipeline.evaluation.gather import split_certificate
    from lung_pipeline.evaluation.scoring import score
    from lung_pipeline.tracking.provenance import code_version

    provenance: dict[str, Any] = {
        "code": code_version(),
        "candidates": candidates_fingerprint(home, evaluation.subsets),
        "max_fp_per_scan": max_fp_per_scan,
    }
    return score(
        evaluation,
        split_certificate(home, evaluation.series, evaluation.subsets[0]),
        name=_name(part, evaluation.models),
        provenance=provenance,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        part=part,
        max_fp_per_scan=max_fp_per_scan,
    )


def _name(part: str, models: dict[str, str]) -> str:
    """Such as ``test-segmentation-v1-nodule-v1-malignancy-v2``: readable, and safe as a folder."""
    versions = [f"{step}-{label.split(' ')[1]}" for step, label in models.items() if " " in label]
    return "-".join([part, *versions])


def _fingerprint(evaluation: Evaluation, card: Scorecard) -> str:
    made_of = {"part": card.data.part, "models": card.models, "metrics": card.metrics()}
    return table_fingerprint(evaluation.findings, made_of)
