# SPDX-License-Identifier: Apache-2.0
"""From findings to a scorecard: the threshold comes from one part, the figures from another.

Belongs here: which part decides and which is scored. Does not belong here: the figures themselves.
"""

from __future__ import annotations

from typing import Any

from lung_pipeline.annotations.splits import TEST, VALIDATION
from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.details import details_of
from lung_pipeline.evaluation.detection.froc import Froc, at_threshold, froc
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.operating_point.confusion import things_seen
from lung_pipeline.evaluation.operating_point.targets import DEFAULT_TARGET, Target
from lung_pipeline.evaluation.operating_point.thresholds import Thresholds, solve
from lung_pipeline.evaluation.ranking.malignancy import malignancy_figures
from lung_pipeline.evaluation.scorecard import Scorecard, build_scorecard
from lung_pipeline.evaluation.split_certificate import SplitCertificate
from lung_pipeline.learning.ranking import RANGE_MM


def choose_thresholds(deciding: Evaluation, target: Target) -> Thresholds:
    """The operating point for a target, by a part that is not scored."""
    matches, num_series = deciding.matched(), len(deciding.series)
    things = things_seen(deciding.nodules, deciding.findings, matches, num_series)
    return solve(things, target)


def score(
    evaluation: Evaluation,
    split: SplitCertificate,
    *,
    name: str,
    provenance: dict[str, Any],
    made_at: str,
    part: str = TEST,
    target: Target = DEFAULT_TARGET,
) -> tuple[Scorecard, Froc]:
    """Score one part of the patients at a threshold chosen on the validation part.

    The readers' rule is held against the diagnoses of all parts: it is not learnt.

    Args:
        evaluation: findings beside the truth, of all parts.
        split: the certificate that the parts share no patient.
        name: what the scorecard is called.
        provenance: what made it.
        made_at: when, in ISO 8601.
        part: the part to score.
        target: what the thresholds are chosen for.

    Raises:
        SettingError: the part has no patient.
        AnnotationError: a rated nodule without a diameter, or a finding on it without the
            probability that its models should give.
    """
    deciding = evaluation.of_part(VALIDATION)
    thresholds = choose_thresholds(deciding, target)
    scored = evaluation.of_part(part)
    num_series = len(scored.series)
    _refuse_empty(scored, part)
    matches = scored.matched()
    curve = froc(matches, num_series)
    ranked = scored.ranked_hits(matches, thresholds.nodule)
    card = build_scorecard(
        name=name,
        part=part,
        subsets=scored.subsets,
        num_patients=scored.num_patients,
        models=scored.models,
        matches=matches,
        curve=curve,
        point=at_threshold(matches, num_series, thresholds.nodule),
        how_chosen=thresholds.how,
        malignancy=malignancy_figures(ranked),
        malignancy_6_to_20_mm=malignancy_figures(ranked.within(*RANGE_MM)),
        split=split,
        provenance=provenance,
        made_at=made_at,
        readers=evaluation.readers(),
        details=details_of(scored, matches, deciding, thresholds),
    )
    return card, curve


def _refuse_empty(scored: Evaluation, part: str) -> None:
    if not len(scored.series):
        raise SettingError(
            value="none",
            place=f"part '{part}' of {', '.join(scored.subsets)}",
            rule="the part that is scored must have patients",
            cure="Add subsets, or choose other shares for the split.",
        )
