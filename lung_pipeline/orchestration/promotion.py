# SPDX-License-Identifier: Apache-2.0
"""The newest models against the champions: run, scored, compared, decided, recorded.

Where there is a champion both sets are run anew over the validation part by this very process, so
that nothing differs but the models. All three models of a set are promoted, or none.

Belongs here: the steps of a decision and its records. Does not belong here: the rule
(``evaluation/comparison/promotion.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.annotations.splits import VALIDATION
from lung_pipeline.errors import ModelError, StoreError
from lung_pipeline.evaluation.split_certificate import ANOTHER_SPLIT
from lung_pipeline.orchestration.promotion_records import (
    Case,
    Trial,
    keep_baseline_of,
    log_decision,
    write_pages,
)
from lung_pipeline.orchestration.scoring import Scored, Tell, champion_evaluation, score_and_keep
from lung_pipeline.orchestration.split_of_models import split_of_models
from lung_pipeline.tracking.names import CHALLENGER, CHAMPION

if TYPE_CHECKING:
    from lung_pipeline.evaluation.comparison.promotion import Verdict
    from lung_pipeline.evaluation.gather import Evaluation
    from lung_pipeline.home import Home
    from lung_pipeline.tracking.runs import Run
    from lung_pipeline.tracking.sets import ModelSet


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the newest models became the champions, and why."""

    promoted: bool
    """Whether aliases moved."""

    in_words: str
    """Why."""

    reasons: tuple[str, ...]
    """The same, a clause each."""

    figures: dict[str, float]
    """The figures that were compared, or the challenger's own where there was no champion."""

    champions: dict[str, str]
    """For each step the champion after the decision."""

    fingerprint: str
    """The key of the set that is the champion after the decision."""

    paths: dict[str, Path] = field(default_factory=dict)
    """Pages to look at, by what they are."""


def decide(case: Case, run: Run, tell: Tell) -> Decision:
    """Promote the newest models, as one set, if they earn it; record why or why not.

    Raises:
        SettingError: a promotion is forced without a reason.
        ModelError: the champions are no set, or their files are not what was registered, or
            aliases moved while the two were compared.
        StoreError: the stored findings are not those of the newest models.
    """
    from lung_pipeline.evaluation.comparison.promotion import force, refuse_force_without_reason
    from lung_pipeline.tracking.sets import make_champions, record_decision, set_of

    if case.forced_because is not None:
        refuse_force_without_reason(case.forced_because)
    newest, champions = set_of(case.home, CHALLENGER), set_of(case.home, CHAMPION)
    trial = _try(case, newest, champions, tell)
    _refuse_moved(case.home, {CHALLENGER: newest, CHAMPION: champions})
    verdict = trial.verdict
    if case.forced_because is not None and not verdict.promoted:
        verdict = force(verdict, case.forced_because)
    paths = write_pages(case, trial, verdict)
    if verdict.promoted:
        keep_baseline_of(case, newest, trial.challenger)
    # Aliases move last: no champion is without its reasons. Those of the champions themselves stay.
    if verdict.promoted or _versions(newest) != _versions(champions):
        record_decision(case.home, newest, verdict.in_words, run.run_id)
    log_decision(run, case, trial, verdict, newest, paths)
    if verdict.promoted:
        make_champions(case.home, newest, _now())
        champions = newest
    tell(verdict.in_words)
    return _decision(verdict, trial.figures, champions, paths)


def _refuse_moved(home: Home, compared: Mapping[str, ModelSet]) -> None:
    """Refuse to move aliases that others moved meanwhile: to run two sets takes hours."""
    from lung_pipeline.tracking.sets import set_of

    for alias, models in compared.items():
        if _versions(now := set_of(home, alias)) != _versions(models):
            raise ModelError(
                value=", ".join(model.label for model in now.values()) or "none",
                place=f"alias {alias}",
                rule="it must name the models that were compared when they have been compared",
                cure="Another training or promotion ended meanwhile: materialize champion again.",
            )


def _try(case: Case, newest: ModelSet, champions: ModelSet, tell: Tell) -> Trial:
    from lung_pipeline.evaluation.comparison.promotion import (
        judge_first,
        judge_other_split,
        judge_same,
    )

    stored = _stored_findings(case, newest)
    if taught := [*_of_another_split(case, newest), *_of_another_split(case, champions)]:
        return Trial(judge_other_split(list(dict.fromkeys(taught))), _scored(case, stored))
    if not champions:
        return Trial(judge_first(), _scored(case, stored))
    if _versions(newest) == _versions(champions):
        return Trial(judge_same(), _scored(case, stored))
    tell("the newest models over the validation part")
    challenger = _scored(case, champion_evaluation(case.home, case.subsets, tell, CHALLENGER))
    try:
        return _against_champions(case, challenger, tell)
    except ModelError as problem:
        # Who forces a promotion may do it because the champions cannot be run any more.
        if case.forced_because is None:
            raise
        return Trial(_not_comparable(problem), challenger)


def _against_champions(case: Case, challenger: Scored, tell: Tell) -> Trial:
    from lung_pipeline.evaluation.comparison.paired import compare
    from lung_pipeline.evaluation.comparison.promotion import judge

    tell("the champions over the validation part")
    champion = _scored(case, champion_evaluation(case.home, case.subsets, tell))
    comparison = compare(champion.system, challenger.system, _now())
    return Trial(judge(comparison, case.rule), challenger, champion, comparison)


def _of_another_split(case: Case, models: ModelSet) -> list[str]:
    """The models that may have learned from who decides: they would look better than they are."""
    labels = {step: model.label for step, model in models.items()}
    splits = split_of_models(case.home, labels, case.subsets)
    return [labels[step] for step, split in splits.items() if split == ANOTHER_SPLIT]


def _stored_findings(case: Case, newest: ModelSet) -> Evaluation:
    """What ``diagnose`` stored; models trained since are not judged by what others found."""
    from lung_pipeline.evaluation.gather import gather

    evaluation = gather(case.home, case.subsets)
    labels = {step: model.label for step, model in newest.items()}
    if evaluation.models != labels:
        raise StoreError(
            value=", ".join(evaluation.models.values()),
            place=f"findings of {', '.join(evaluation.subsets)}",
            rule=f"findings must come from the newest models ({', '.join(labels.values())})",
            cure="Materialize the findings again (job `diagnose`), then the champion.",
        )
    return evaluation


def _decision(
    verdict: Verdict, figures: dict[str, float], champions: ModelSet, paths: dict[str, Path]
) -> Decision:
    from lung_pipeline.tracking.sets import key_of

    labels = {step: model.label for step, model in champions.items()}
    return Decision(
        verdict.promoted,
        verdict.in_words,
        verdict.reasons,
        figures,
        labels,
        key_of(champions),
        paths,
    )


def _not_comparable(problem: ModelError) -> Verdict:
    from lung_pipeline.evaluation.comparison.promotion import Verdict

    why = f"the champions could not be run to be compared with: {problem}"
    return Verdict(promoted=False, reasons=(why,))


def _scored(case: Case, evaluation: Evaluation) -> Scored:
    from lung_pipeline.evaluation.operating_point.targets import MaxFalsePositives

    target = MaxFalsePositives(case.max_fp_per_scan)
    return score_and_keep(case.home, evaluation, VALIDATION, target)


def _versions(models: ModelSet) -> dict[str, int]:
    return {step: model.version for step, model in models.items()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
