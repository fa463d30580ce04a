# SPDX-License-Identifier: Apache-2.0
"""From findings to a scorecard: the threshold comes from one part, the figures from another.

Belongs here: which part decides and which is scored. Does not belong here: the figures themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lung_pipeline.annotations.splits import TEST, VALIDATION
from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.defaults import MAX_FP_PER_SCAN
from lung_pipeline.evaluation.froc import Froc, at_threshold, froc, operating_point
from lung_pipeline.evaluation.gather import Evaluation
from lung_pipeline.evaluation.malignancy import malignancy_figures
from lung_pipeline.evaluation.scorecard import Scorecard, SplitCertificate, build_scorecard
from lung_pipeline.learning.ranking import RANGE_MM

EVEN_THRESHOLD = 0.5
"""The threshold where the deciding part has no nodule to decide by."""


@dataclass(frozen=True, slots=True)
class ChosenThreshold:
    """A threshold and where it comes from."""

    value: float
    """Findings count from this probability on."""

    how: str
    """How it was chosen, in words."""


def choose_threshold(deciding: Evaluation, max_fp_per_scan: float) -> ChosenThreshold:
    """The loosest threshold with no more than so many false positives a scan."""
    num_series = len(deciding.series)
    if not len(deciding.nodules):
        return ChosenThreshold(EVEN_THRESHOLD, "0.5: no nodule in the validation part to decide by")
    point = operating_point(froc(deciding.matched(), num_series), max_fp_per_scan)
    how = (
        f"the loosest with no more than {max_fp_per_scan:g} false positives a scan "
        f"on the validation part ({num_series} series, {len(deciding.nodules)} nodules)"
    )
    if not math.isfinite(point.threshold):
        how = f"0.5: any threshold has more than {max_fp_per_scan:g} false positives a scan"
        return ChosenThreshold(EVEN_THRESHOLD, f"{how} on the validation part")
    return ChosenThreshold(point.threshold, how)


def score(
    evaluation: Evaluation,
    split: SplitCertificate,
    *,
    name: str,
    provenance: dict[str, Any],
    made_at: str,
    part: str = TEST,
    max_fp_per_scan: float = MAX_FP_PER_SCAN,
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
        max_fp_per_scan: what the threshold is chosen for.

    Raises:
        SettingError: the part has no patient.
        AnnotationError: a rated nodule without a diameter, or a finding on it without the
            probability that its models should give.
    """
    threshold = choose_threshold(evaluation.of_part(VALIDATION), max_fp_per_scan)
    scored = evaluation.of_part(part)
    num_series = len(scored.series)
    if not num_series:
        raise SettingError(
            value="none",
            place=f"part '{part}' of {', '.join(evaluation.subsets)}",
            rule="the part that is scored must have patients",
            cure="Add subsets, or choose other shares for the split.",
        )
    matches = scored.matched()
    curve = froc(matches, num_series)
    ranked = scored.ranked_hits(matches, threshold.value)
    card = build_scorecard(
        name=name,
        part=part,
        subsets=scored.subsets,
        num_patients=scored.num_patients,
        models=scored.models,
        matches=matches,
        curve=curve,
        point=at_threshold(matches, num_series, threshold.value),
        how_chosen=threshold.how,
        malignancy=malignancy_figures(ranked),
        malignancy_6_to_20_mm=malignancy_figures(ranked.within(*RANGE_MM)),
        split=split,
        provenance=provenance,
        made_at=made_at,
        readers=evaluation.readers(),
    )
    return card, curve
