# SPDX-License-Identifier: Apache-2.0
"""The rules by which readers' ratings become a label; each has a name, a version and settings.

LIDC's readers rated each nodule's malignancy: 1 highly unlikely, 2 moderately unlikely,
3 indeterminate, 4 moderately suspicious, 5 highly suspicious (S. G. Armato et al., Med. Phys. 38,
2011). A label made of them is a rule as much as a fact: diameter alone reaches an AUC of 0.82 to
0.97 on LUNA16, and only the rule differs. So no label stands anywhere without its rule.

Belongs here: ratings to malignant, benign or left out. Does not belong here: whose ratings they
are (``malignancy.py``). A new rule is a class below and an entry in ``RULES``; one that comes to
label the same ratings otherwise gets the next version.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal

from lung_pipeline.errors import SettingError

SUSPICIOUS = 4
"""The lowest rating that takes a nodule for malignant."""

INDETERMINATE = 3
"""The rating that says neither."""

Tie = Literal["left out", "malignant", "benign"]
"""What becomes of a nodule that stands exactly between the two."""

Threes = Literal["counted", "ignored"]
"""Whether a rating of 3 counts as a rating or as none."""

_TIE_LABELS: dict[str, bool | None] = {"left out": None, "malignant": True, "benign": False}
_CHOICES = {"ties": tuple(_TIE_LABELS), "threes": ("counted", "ignored")}


@dataclass(frozen=True, slots=True)
class MalignancyRule:
    """What all rules have in common."""

    name: ClassVar[str]
    """The rule's name, as it stands in tables and settings."""

    version: ClassVar[int]
    """Raised when the rule comes to label the same ratings otherwise."""

    def __post_init__(self) -> None:
        for setting, choices in _CHOICES.items():
            value = getattr(self, setting, choices[0])
            if value not in choices:
                raise _unfit(self.name, repr(value), f"{setting} must be one of", choices)
        threshold = getattr(self, "threshold", float(INDETERMINATE))
        if not 1 <= threshold <= 5:
            raise _unfit(self.name, repr(threshold), "the threshold must lie", ("from 1 to 5",))

    def label(self, ratings: Sequence[int]) -> bool | None:
        """True malignant, False benign, None left out; no ratings are always left out."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        """Name, version and settings, for the origin of an artefact."""
        return {"name": self.name, "version": self.version, **asdict(self)}

    def in_words(self) -> str:
        """The same on one line: "mean v1 (threshold 3.0, ties left out, threes counted)"."""
        settings = ", ".join(f"{setting} {value}" for setting, value in asdict(self).items())
        return f"{self.name} v{self.version}" + (f" ({settings})" if settings else "")


@dataclass(frozen=True, slots=True)
class TwoOfReaders(MalignancyRule):
    """Malignant if at least two readers gave 4 or 5, however many they were; else benign."""

    name: ClassVar[str] = "two-of-readers"
    version: ClassVar[int] = 1

    def label(self, ratings: Sequence[int]) -> bool | None:
        """See the class."""
        return sum(rating >= SUSPICIOUS for rating in ratings) >= 2 if ratings else None


@dataclass(frozen=True, slots=True)
class MeanRating(MalignancyRule):
    """Malignant if the mean rating is above the threshold, benign if below."""

    name: ClassVar[str] = "mean"
    version: ClassVar[int] = 1

    threshold: float = 3.0
    """Between benign and malignant."""

    ties: Tie = "left out"
    """What becomes of a mean at the threshold."""

    threes: Threes = "counted"
    """Whether ratings of 3 enter the mean."""

    def label(self, ratings: Sequence[int]) -> bool | None:
        """See the class."""
        return _beside(statistics.fmean, ratings, self)


@dataclass(frozen=True, slots=True)
class MedianRating(MalignancyRule):
    """Malignant if the median rating is above the threshold, benign if below."""

    name: ClassVar[str] = "median"
    version: ClassVar[int] = 1

    threshold: float = 3.0
    """Between benign and malignant."""

    ties: Tie = "left out"
    """What becomes of a median at the threshold."""

    threes: Threes = "counted"
    """Whether ratings of 3 enter the median."""

    def label(self, ratings: Sequence[int]) -> bool | None:
        """See the class."""
        return _beside(statistics.median, ratings, self)


@dataclass(frozen=True, slots=True)
class Majority(MalignancyRule):
    """Malignant if more of the readers who count gave 4 or 5 than did not, benign if fewer."""

    name: ClassVar[str] = "majority"
    version: ClassVar[int] = 1

    ties: Tie = "left out"
    """What becomes of as many for as against."""

    threes: Threes = "ignored"
    """Whether a 3 is a vote against ("counted") or no vote at all."""

    def label(self, ratings: Sequence[int]) -> bool | None:
        """See the class."""
        votes = _that_count(ratings, self.threes)
        if not votes:
            return None
        lead = sum(1 if vote >= SUSPICIOUS else -1 for vote in votes)
        return lead > 0 if lead else _TIE_LABELS[self.ties]


RULES: dict[str, type[MalignancyRule]] = {
    rule.name: rule for rule in (TwoOfReaders, MeanRating, MedianRating, Majority)
}
"""Every rule by its name; the first is the default."""


def rule_named(name: str, **settings: object) -> MalignancyRule:
    """A rule by its name; settings that are None keep their default.

    Raises:
        SettingError: no such rule, a setting the rule does not have, or a value it cannot take.
    """
    if name not in RULES:
        raise _unfit("malignancy rule", repr(name), "the rule must be one of", tuple(RULES))
    given = {key: value for key, value in settings.items() if value is not None}
    known = tuple(field.name for field in fields(RULES[name]))
    for key in given:
        if key not in known:
            rule = "its settings must be among" if known else "the rule must be given"
            raise _unfit(name, repr(key), rule, known or ("no settings",))
    return RULES[name](**given)


def _beside(statistic: Any, ratings: Sequence[int], rule: MeanRating | MedianRating) -> bool | None:
    """On which side of the threshold a statistic of the ratings lies."""
    votes = _that_count(ratings, rule.threes)
    if not votes:
        return None
    value = statistic(votes)
    return bool(value > rule.threshold) if value != rule.threshold else _TIE_LABELS[rule.ties]


def _that_count(ratings: Sequence[int], threes: Threes) -> list[int]:
    return [rating for rating in ratings if threes == "counted" or rating != INDETERMINATE]


def _unfit(place: str, value: str, rule: str, choices: Sequence[str]) -> SettingError:
    return SettingError(
        value=value,
        place=place,
        rule=f"{rule} {', '.join(choices)}",
        cure="docs/how-to/lidc.md says what each rule does.",
    )
