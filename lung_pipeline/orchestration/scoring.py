# SPDX-License-Identifier: Apache-2.0
"""Scores of stored findings and of models run anew, kept below the home.

Belongs here: what is scored and where it is kept. Does not belong here: the figures
(``evaluation``), and what follows from comparing them (``promotion.py``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.annotations.splits import VALIDATION
from lung_pipeline.annotations.subset import candidates_fingerprint
from lung_pipeline.home import Home
from lung_pipeline.orchestration.split_of_models import split_of_models
from lung_pipeline.tables import fingerprint as table_fingerprint
from lung_pipeline.tracking.names import CHAMPION
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from lung_pipeline.diagnosis.findings import Finding
    from lung_pipeline.evaluation.comparison.systems import System
    from lung_pipeline.evaluation.detection.froc import Froc
    from lung_pipeline.evaluation.gather import Evaluation
    from lung_pipeline.evaluation.operating_point.targets import Target
    from lung_pipeline.evaluation.scorecard import Scorecard
    from lung_pipeline.orchestration.config import TargetConfig
    from lung_pipeline.tracking.runs import Run

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scored:
    """A set of models that was scored, with all that was kept of it."""

    card: Scorecard
    """The figures."""

    curve: Froc
    """The FROC curve they are of."""

    folder: Path
    """Where the scorecard lies, as page and as record, with the findings beside it."""

    system: System
    """Its findings on the scored part, to be compared with others'."""

    fingerprint: str
    """Changes with the findings and with every figure."""


def score_findings(
    home: Home, subsets: Sequence[str], part: str, target: Target, run: Run
) -> Scored:
    """Score stored findings; the scorecard is written below the home and logged to the run.

    What was chosen on the validation part is frozen with the models.
    """
    from lung_pipeline.evaluation.gather import gather
    from lung_pipeline.tracking.frozen import freeze

    scored = score_and_keep(home, gather(home, subsets), part, target)
    if scored.card.details is not None:
        freeze(home, scored.card.models, scored.card.details)
    run.log_metrics(scored.card.metrics())
    # By these MLflow's compare view tells whose figures stand side by side.
    run.set_tags({f"model.{step}": label for step, label in scored.card.models.items()})
    run.log_folder(scored.folder, "scorecard")
    return scored


def target_of(config: TargetConfig) -> Target:
    """What the thresholds are chosen for, as a person set it."""
    from lung_pipeline.evaluation.operating_point import targets

    if config.min_malignant_sensitivity:
        return targets.MinMalignantSensitivity(
            config.min_malignant_sensitivity, config.max_fp_per_scan
        )
    return targets.MaxFalsePositives(config.max_fp_per_scan)


def score_and_keep(home: Home, evaluation: Evaluation, part: str, target: Target) -> Scored:
    """Score one part; the scorecard and the findings behind it are written below the home."""
    from lung_pipeline.evaluation.comparison.systems import System, keep_system
    from lung_pipeline.reporting.scores.scorecard_page import write_scorecard_page

    card, curve = _score(home, evaluation, part, target)
    folder = home.scorecards / card.name
    write_scorecard_page(card, folder / "scorecard.html", froc=curve)
    with written_whole(folder / "scorecard.json") as temporary:
        temporary.write_text(json.dumps(card.as_json(), indent=2) + "\n")
    threshold = math.inf if card.detection.threshold is None else card.detection.threshold
    system = System(card.name, part, threshold, evaluation.of_part(part))
    keep_system(system, folder)
    return Scored(card, curve, folder, system, _fingerprint(evaluation, card))


def champion_evaluation(
    home: Home, subsets: Sequence[str], tell: Tell, alias: str = CHAMPION
) -> Evaluation:
    """What the champions find in the validation part, run anew, beside the truth of all parts.

    With another ``alias`` the models that have that one.
    """
    from lung_pipeline.annotations.subset import read_series_of
    from lung_pipeline.diagnosis.findings import findings_table
    from lung_pipeline.diagnosis.stored_series import look_at
    from lung_pipeline.evaluation.gather import evaluation_of
    from lung_pipeline.tracking.models import models_by_alias

    named = models_by_alias(home, alias)
    series = read_series_of(home, subsets)
    found: list[Finding] = []
    for row in series[series["part"] == VALIDATION].itertuples():
        tell(str(row.series_uid))
        looked = look_at(home, str(row.subset), str(row.series_uid), named.models)
        if looked.problem:
            # As the findings of a subset have it: its nodules count as missed.
            tell(f"{row.series_uid} could not be looked at: {looked.problem}")
        found += looked.findings
    return evaluation_of(home, subsets, findings_table(found), named.names)


def score_validation(home: Home, evaluation: Evaluation, max_fp_per_scan: float) -> Scorecard:
    """The scorecard of the validation part, as promotions and nights look at it."""
    from lung_pipeline.evaluation.operating_point.targets import MaxFalsePositives

    return _score(home, evaluation, VALIDATION, MaxFalsePositives(max_fp_per_scan))[0]


def _score(home: Home, evaluation: Evaluation, part: str, target: Target) -> tuple[Scorecard, Froc]:
    from lung_pipeline.evaluation.comparison.systems import truth_fingerprint
    from lung_pipeline.evaluation.scoring import score
    from lung_pipeline.evaluation.split_certificate import split_certificate
    from lung_pipeline.learning.machine import library_versions
    from lung_pipeline.tracking.provenance import code_version

    scored = evaluation.of_part(part)
    provenance: dict[str, Any] = {
        "code": code_version(),
        "libraries": library_versions(),
        "candidates": candidates_fingerprint(home, evaluation.subsets),
        "malignancy_rule": evaluation.malignancy_rule,
        "truth": truth_fingerprint(scored),
        "excluded_marks": scored.num_excluded,
        "target": target.in_words(),
    }
    return score(
        evaluation,
        split_certificate(
            home,
            evaluation.series,
            evaluation.subsets[0],
            split_of_models(home, evaluation.models, evaluation.subsets),
        ),
        name=card_name(part, evaluation.models),
        provenance=provenance,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        part=part,
        target=target,
    )


def card_name(part: str, models: dict[str, str]) -> str:
    """Such as ``test-segmentation-v1-nodule-v1-malignancy-v2``: readable, and safe as a folder."""
    versions = [f"{step}-{label.split(' ')[1]}" for step, label in models.items() if " " in label]
    return "-".join([part, *versions])


def _fingerprint(evaluation: Evaluation, card: Scorecard) -> str:
    made_of = {"part": card.data.part, "models": card.models, "metrics": card.metrics()}
    return table_fingerprint(evaluation.findings, made_of)
