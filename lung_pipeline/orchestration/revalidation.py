# SPDX-License-Identifier: Apache-2.0
"""One night: the champions run anew over the frozen validation part, and held against the record.

Weights are hashed before they are read: a changed file is never run, and the night says which it
is. Belongs here: the order of a night, and its record on disk. Does not belong here: what is
compared (``evaluation/nightly/drift.py``), where the other record comes from (``baselines.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lung_pipeline.annotations.splits import VALIDATION
from lung_pipeline.errors import ModelError, SettingError, StoreError
from lung_pipeline.evaluation.nightly.tolerances import Tolerances
from lung_pipeline.home import Home
from lung_pipeline.orchestration.baselines import (
    FIRST_NIGHT,
    RENEWAL,
    hashes_of_files,
    observe,
    read_baseline,
    refuse_changed_weights,
    store_baseline,
)
from lung_pipeline.orchestration.config import NightConfig, tolerances_of
from lung_pipeline.orchestration.scoring import Tell, champion_evaluation, score_validation
from lung_pipeline.tracking.names import CHAMPION
from lung_pipeline.tracking.sets import ModelSet, set_of
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from lung_pipeline.evaluation.nightly.night import Night
    from lung_pipeline.evaluation.nightly.revalidation import Baseline


@dataclass(frozen=True, slots=True)
class NightSettings:
    """What a person may ask of a night."""

    max_fp_per_scan: float
    """What the operating point is chosen for, where there is no baseline yet."""

    subsets: Sequence[str] = ()
    """Whose validation part is scored, where there is no baseline yet; empty: all there are."""

    renew_baseline: str = ""
    """Why tonight's state becomes the baseline; empty: it does not."""

    tolerances: Tolerances = field(default_factory=Tolerances)
    """How far things may differ."""


def revalidate(
    home: Home, settings: NightSettings, all_subsets: Callable[[], Sequence[str]], tell: Tell
) -> Night:
    """Look at the champions, write what was found, return it.

    The subsets and the number of false positives are those of the baseline: what was frozen stays.

    Raises:
        ModelError: no champion, or weights that were changed before any baseline was kept.
        SettingError: other subsets than the baseline's are named.
        StoreError: a table, a scan or the baseline is absent or damaged.
    """
    champions = _champions(home)
    kept = None if settings.renew_baseline.strip() else read_baseline(home, champions)
    _refuse_other_subsets(settings.subsets, kept)
    files = {step: hashes_of_files(home, model) for step, model in champions.items()}
    if kept is None:
        refuse_changed_weights(champions, files)
        subsets, why = list(settings.subsets) or list(all_subsets()), _why(settings)
        tonight = _observed(home, champions, subsets, settings.max_fp_per_scan, why, tell)
        store_baseline(home, champions, tonight)
        return _written(home, tonight, tonight, settings.tolerances, kept_because=why)
    scope = (list(kept.subsets), kept.max_fp_per_scan)
    if files == kept.files:
        tonight = _observed(home, champions, *scope, "night", tell)
    else:
        tonight = observe(home, champions, *scope, {}, None, "night")
    return _written(home, kept, tonight, settings.tolerances)


def night_settings(config: NightConfig) -> NightSettings:
    """The settings that a config carries."""
    return NightSettings(
        max_fp_per_scan=config.max_fp_per_scan,
        subsets=config.subsets,
        renew_baseline=config.renew_baseline,
        tolerances=tolerances_of(config),
    )


def read_last_night(home: Home) -> Night:
    """What the last night found; ``StoreError`` where there was none."""
    from lung_pipeline.evaluation.nightly.night import Night

    path = home.last_night
    if not path.is_file():
        raise StoreError(
            value="no file",
            place=path,
            rule="there must have been a night",
            cure="Run the job `revalidate`.",
        )
    return Night.from_json(json.loads(path.read_text()), str(path))


def _champions(home: Home) -> ModelSet:
    champions = set_of(home, CHAMPION)
    if not champions:
        raise ModelError(
            value="none",
            place="nightly revalidation",
            rule="there must be a champion to look at",
            cure="Run the jobs `train`, `diagnose` and `evaluate` first.",
        )
    return champions


def _why(settings: NightSettings) -> str:
    reason = settings.renew_baseline.strip()
    return f"{RENEWAL}: {reason}" if reason else FIRST_NIGHT


def _observed(
    home: Home,
    champions: ModelSet,
    subsets: Sequence[str],
    max_fp_per_scan: float,
    made_by: str,
    tell: Tell,
) -> Baseline:
    """Run the champions and put their figures beside all that was there."""
    evaluation = champion_evaluation(home, subsets, tell)
    card = score_validation(home, evaluation, max_fp_per_scan)
    scored = evaluation.of_part(VALIDATION)
    found = len(scored.findings) / len(scored.series)
    return observe(home, champions, subsets, max_fp_per_scan, card.metrics(), found, made_by)


def _written(
    home: Home, kept: Baseline, tonight: Baseline, tolerances: Tolerances, kept_because: str = ""
) -> Night:
    from lung_pipeline.evaluation.nightly.drift import drift
    from lung_pipeline.evaluation.nightly.night import Night

    night = Night(
        at=tonight.made_at,
        models=tonight.models,
        subsets=tonight.subsets,
        baseline_made_at=kept.made_at,
        kept_because=kept_because,
        is_scored=tonight.findings_per_scan is not None,
        drifts=drift(kept, tonight, tolerances),
        figures=tonight.figures,
    )
    with written_whole(home.last_night) as temporary:
        temporary.write_text(json.dumps(night.as_json(), indent=2) + "\n")
    return night


def _refuse_other_subsets(named: Sequence[str], kept: Baseline | None) -> None:
    if kept is not None and named and sorted(named) != sorted(kept.subsets):
        raise SettingError(
            value=", ".join(named),
            place="subsets of a nightly revalidation",
            rule=f"a night scores what the baseline froze ({', '.join(kept.subsets)})",
            cure="Name none; or give a reason in `renew_baseline`, and these become the baseline.",
        )
