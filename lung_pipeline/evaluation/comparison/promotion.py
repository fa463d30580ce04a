# SPDX-License-Identifier: Apache-2.0
"""Whether a challenger becomes the champion, and why, in words.

The rule: a challenger is promoted when it is clearly better on the headline (the paired interval of
the difference lies above 0) and not worse on the other figure (the interval's lower end lies above
minus a margin). What is better, but within noise, stays a challenger: who tries twenty trainings
and keeps the luckiest would else call chance progress.

The headline is the CPM: a nodule that is not found cannot be judged, and all nodules speak for it,
rated or not. Malignancy is guarded over the rated nodules that both sets find, which is the same
question to both. Over all rated nodules, missed ones lowest, a set that finds more benign nodules
would rank them above the malignant ones that both miss, and so be punished for finding.

Belongs here: the rule and its words. Does not belong here: figures (``paired.py``), and what is
done about a verdict (``orchestration/promotion.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lung_pipeline.errors import SettingError
from lung_pipeline.evaluation.comparison.comparison import (
    CPM,
    MALIGNANCY_AUC_OF_FOUND,
    Comparison,
    Pair,
)
from lung_pipeline.evaluation.defaults import CPM_MARGIN, MALIGNANCY_AUC_MARGIN

Headline = Literal["cpm", "malignancy_auc"]
"""The figures a challenger may have to be better on."""

DEFAULT_HEADLINE: Headline = "cpm"

_FIGURES: dict[Headline, tuple[str, str]] = {
    "cpm": (CPM, "CPM"),
    "malignancy_auc": (MALIGNANCY_AUC_OF_FOUND, "malignancy AUC"),
}
"""For each its name in a comparison, and in words."""


@dataclass(frozen=True, slots=True)
class PromotionRule:
    """What a challenger has to show."""

    headline: Headline = DEFAULT_HEADLINE
    """On this figure it must be clearly better, on the other not worse."""

    cpm_margin: float = CPM_MARGIN
    """With another headline: how much lower the CPM may be, at worst."""

    malignancy_auc_margin: float = MALIGNANCY_AUC_MARGIN
    """With another headline: how much lower the malignancy AUC may be, at worst."""

    def __post_init__(self) -> None:
        """Refuse a rule that nothing could fail, or nothing could mean."""
        for name in ("cpm_margin", "malignancy_auc_margin"):
            margin = getattr(self, name)
            if not 0 <= margin < 1:
                raise SettingError(
                    value=margin,
                    place=name,
                    rule="a margin must be at least 0 and below 1",
                    cure="Give a small share, such as 0.02.",
                )

    def guards(self) -> dict[Headline, float]:
        """The figures that must not be worse, with their margins."""
        margins: dict[Headline, float] = {
            "cpm": self.cpm_margin,
            "malignancy_auc": self.malignancy_auc_margin,
        }
        return {name: margin for name, margin in margins.items() if name != self.headline}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a challenger becomes the champion."""

    promoted: bool
    """Whether it does."""

    reasons: tuple[str, ...]
    """Why, a clause each; the first that decided comes first."""

    @property
    def in_words(self) -> str:
        """The verdict and its reasons in one line."""
        return f"{'promoted' if self.promoted else 'rejected'}: {'; '.join(self.reasons)}"


def judge(comparison: Comparison, rule: PromotionRule) -> Verdict:
    """Judge a challenger (B) by a comparison with the champion (A)."""
    lacking = sorted(set(comparison.a.models) - set(comparison.b.models))
    if lacking:
        why = f"the challenger has no {' and no '.join(lacking)} model, the champion has"
        return Verdict(promoted=False, reasons=(why,))
    figure, name = _FIGURES[rule.headline]
    is_better, why = _judge_headline(name, comparison.figures[figure])
    guarded = [
        _judge_guard(_FIGURES[key][1], comparison.figures[_FIGURES[key][0]], margin, comparison)
        for key, margin in rule.guards().items()
    ]
    against = [words for holds, words in [(is_better, why), *guarded] if not holds]
    speaking_for = [words for holds, words in [(is_better, why), *guarded] if holds]
    return Verdict(promoted=not against, reasons=(*against, *speaking_for))


def judge_first() -> Verdict:
    """The verdict on a set where there is no champion."""
    return Verdict(promoted=True, reasons=("there is no champion yet to be compared with",))


def judge_same() -> Verdict:
    """The verdict on a set that is the champion already."""
    return Verdict(promoted=False, reasons=("the newest models are the champions already",))


def judge_other_split(models: Sequence[str]) -> Verdict:
    """The verdict where models, by their labels, were learned under another split than today's."""
    why = (
        f"{' and '.join(models)} learned under another split than the tables have now, so the "
        "validation part may hold patients that were learned from: train again"
    )
    return Verdict(promoted=False, reasons=(why,))


def force(by_rule: Verdict, reason: str) -> Verdict:
    """Promote whatever the rule says; what it says stays on record.

    Raises:
        SettingError: no reason.
    """
    refuse_force_without_reason(reason)
    return Verdict(
        promoted=True, reasons=(f"forced: {reason.strip()}", f"by rule {by_rule.in_words}")
    )


def refuse_force_without_reason(reason: str) -> None:
    """``SettingError`` where somebody forces a promotion and does not say why."""
    if not reason.strip():
        raise SettingError(
            value="none",
            place="reason of a forced promotion",
            rule="who forces a promotion must say why",
            cure="Give a reason; it is kept with the models.",
        )


def _judge_headline(name: str, pair: Pair) -> tuple[bool, str]:
    difference = pair.difference
    if difference.value is None:
        return False, f"{name} not measured: there is no evidence that the challenger is better"
    if difference.low is None or difference.high is None:
        return False, (
            f"{name} {_beside(pair)}, without an interval, which takes patients enough and draws "
            "of them that differ: that is no evidence"
        )
    told = f"{_beside(pair)}, {_interval(pair)}"
    if difference.low > 0:
        return True, f"{name} clearly better: {told}, which lies above 0"
    if difference.high < 0:
        return False, f"{name} clearly worse: {told}, which lies below 0"
    if difference.value > 0:
        return False, f"{name} better, but within noise: {told}, which includes 0"
    return False, f"{name} not better: {told}"


def _judge_guard(name: str, pair: Pair, margin: float, comparison: Comparison) -> tuple[bool, str]:
    """Whether a figure is not worse than a margin allows, and the words for it."""
    difference = pair.difference
    if "malignancy" not in comparison.a.models and name == "malignancy AUC":
        return True, "malignancy not compared: the champion has no malignancy model"
    if difference.value is None:
        return False, (
            f"{name} not measured, which takes nodules of both kinds that both find: "
            "nothing says that it is not worse"
        )
    if difference.value == 0 and difference.low is None:
        return True, f"{name} the same: {_beside(pair)}"
    if difference.low is None:
        return False, f"{name} {_beside(pair)}: too few patients to say that it is not worse"
    told = f"{_beside(pair)}, {_interval(pair)}"
    if difference.low > -margin:
        return True, f"{name} not worse by more than {margin:g}: {told}"
    if difference.value < -margin:
        return False, f"{name} worse by more than {margin:g}: {told}"
    return (
        False,
        f"{name} may be worse by more than {margin:g}: {told}, which reaches below {-margin:g}",
    )


def _beside(pair: Pair) -> str:
    return f"{_figure(pair.b)} beside the champion's {_figure(pair.a)}"


def _interval(pair: Pair) -> str:
    one = pair.difference
    return f"{one.value:+.3f} with a 95 % interval of {one.low:+.3f} to {one.high:+.3f}"


def _figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.3f}"
