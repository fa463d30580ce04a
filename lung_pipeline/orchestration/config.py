# SPDX-License-Identifier: Apache-2.0
"""The knobs a person turns in Dagster's Launchpad, made from the settings of the pure code.

A setting stands once, with its default, its range and its description, below; here it only gets
Dagster's clothes. https://docs.dagster.io/guides/operate/configuration/run-configuration
"""

from typing import Any, TypeVar

import dagster as dg
from pydantic import BaseModel, Field, create_model

from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.diagnosis.verdict.operating_point import Judging
from lung_pipeline.diagnosis.verdict.rules import DEFAULT_RULE, EVEN
from lung_pipeline.evaluation.comparison.promotion import DEFAULT_HEADLINE, Headline, PromotionRule
from lung_pipeline.evaluation.defaults import (
    CPM_MARGIN,
    MALIGNANCY_AUC_MARGIN,
    MAX_FP_PER_SCAN,
)
from lung_pipeline.evaluation.nightly.tolerances import Tolerances
from lung_pipeline.learning.settings import TrainingSettings
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.tracking.names import CHALLENGER

_Settings = TypeVar("_Settings", bound=TrainingSettings)


class SubsetsConfig(dg.Config):
    """Which subsets to use."""

    subsets: list[str] = Field(
        default=[], description="Names of the subsets to use; empty: all that have what is needed."
    )


def _with_fields(name: str, base: type[SubsetsConfig], settings: type[BaseModel]) -> Any:
    """A config with the fields of some settings, their ranges and descriptions."""
    fields: dict[str, Any] = {
        field_name: (field.annotation, field) for field_name, field in settings.model_fields.items()
    }
    return create_model(name, __base__=base, **fields)


def _dressed(settings: type[TrainingSettings]) -> Any:
    name = settings.__name__.replace("Settings", "Config")
    return _with_fields(name, SubsetsConfig, settings)


SegmentationConfig = _dressed(SegmentationSettings)
ClassifierConfig = _dressed(ClassifierSettings)
MalignancyConfig = _dressed(MalignancySettings)


def settings_of(config: SubsetsConfig, settings: type[_Settings]) -> _Settings:
    """The settings a config carries."""
    return settings(**config.model_dump(include=set(settings.model_fields)))


class FindingsConfig(dg.Config):
    """Which models find nodules."""

    alias: str = Field(
        default=CHALLENGER,
        description="The models with this alias: challenger (the newest), champion or reference.",
    )
    device: str = Field(default="auto", description="Where to infer: auto, cpu or cuda.")


class DiagnosesConfig(dg.Config):
    """By which rule and thresholds a patient is judged."""

    rule: str = Field(
        default=DEFAULT_RULE,
        description="Whose verdict is the patient's: any-malignant-nodule or noisy-or. Both are "
        "written.",
    )
    nodule_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="A finding counts as a nodule from here on; empty: as it was frozen with the "
        "models, else 0.5.",
    )
    malignancy_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="A nodule counts as malignant from here on; empty: as it was frozen with the "
        "models, else 0.5.",
    )
    patient_threshold: float = Field(
        default=EVEN,
        ge=0,
        le=1,
        description="With noisy-or a patient counts as malignant from this probability on.",
    )
    leak: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="With noisy-or how likely something malignant is there that no finding shows.",
    )

    def judging(self) -> Judging:
        """The same as the pure code knows it; ``SettingError`` for a rule there is none of."""
        return Judging(
            self.rule,
            self.nodule_threshold,
            self.malignancy_threshold,
            self.patient_threshold,
            self.leak,
        )


class ScoringConfig(SubsetsConfig):
    """What is scored, and for what the threshold is chosen."""

    max_fp_per_scan: float = Field(
        default=MAX_FP_PER_SCAN,
        gt=0,
        description="The threshold finds most at no more than so many false positives a scan.",
    )


class TargetConfig(ScoringConfig):
    """For what the operating point of a scorecard is chosen."""

    min_malignant_sensitivity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Instead: at least this share of malignant nodules found and predicted "
        "malignant, such as 0.95, with the fewest false alarms; 0: as max_fp_per_scan says.",
    )


class PromotionConfig(ScoringConfig):
    """What a challenger has to show before it becomes the champion."""

    headline: Headline = Field(
        default=DEFAULT_HEADLINE,
        description="The figure it must be clearly better on, on the validation part: cpm or "
        "malignancy_auc; on the other it must not be worse.",
    )
    cpm_margin: float = Field(
        default=CPM_MARGIN,
        ge=0,
        lt=1,
        description="Where malignancy_auc is the headline: how much lower the CPM may be at worst.",
    )
    malignancy_auc_margin: float = Field(
        default=MALIGNANCY_AUC_MARGIN,
        ge=0,
        lt=1,
        description="Where cpm is the headline: how much lower the malignancy AUC may be at worst.",
    )
    force: bool = Field(
        default=False,
        description="Promote the newest models whatever the comparison says; needs a reason.",
    )
    reason: str = Field(default="", description="Why it is forced; kept with the models.")

    def rule(self) -> PromotionRule:
        """The rule as the pure code knows it."""
        return PromotionRule(self.headline, self.cpm_margin, self.malignancy_auc_margin)


class _NightConfig(ScoringConfig):
    """What a night is asked for."""

    renew_baseline: str = Field(
        default="",
        description="A reason makes tonight's state the baseline, whatever changed before.",
    )


NightConfig = _with_fields("NightConfig", _NightConfig, Tolerances)
"""The same with the tolerances, their ranges and descriptions."""


def tolerances_of(config: ScoringConfig) -> Tolerances:
    """The tolerances a night's config carries."""
    return Tolerances(**config.model_dump(include=set(Tolerances.model_fields)))
