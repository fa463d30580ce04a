# SPDX-License-Identifier: Apache-2.0
"""The knobs a person turns in Dagster's Launchpad, made from the settings of the pure code.

A setting stands once, with its default, its range and its description, below; here it only gets
Dagster's clothes. https://docs.dagster.io/guides/operate/configuration/run-configuration
"""

from typing import Any, TypeVar

import dagster as dg
from pydantic import Field, create_model

from lung_pipeline.classification.settings import ClassifierSettings, MalignancySettings
from lung_pipeline.evaluation.defaults import MAX_FP_PER_SCAN
from lung_pipeline.learning.settings import TrainingSettings
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.tracking.names import CHALLENGER

_Settings = TypeVar("_Settings", bound=TrainingSettings)


class SubsetsConfig(dg.Config):
    """Which subsets to use."""

    subsets: list[str] = Field(
        default=[], description="Names of the subsets to use; empty: all that have what is needed."
    )


def _dressed(settings: type[TrainingSettings]) -> Any:
    """A config with the fields of some settings, their ranges and descriptions."""
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in settings.model_fields.items()
    }
    return create_model(
        settings.__name__.replace("Settings", "Config"), __base__=SubsetsConfig, **fields
    )


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
    """By which thresholds a patient is judged."""

    nodule_threshold: float = Field(
        default=0.5, ge=0, le=1, description="A finding counts as a nodule from here on."
    )
    malignancy_threshold: float = Field(
        default=0.5, ge=0, le=1, description="A nodule counts as malignant from here on."
    )


class ScoringConfig(SubsetsConfig):
    """What is scored, and for what the threshold is chosen."""

    max_fp_per_scan: float = Field(
        default=MAX_FP_PER_SCAN,
        gt=0,
        description="The threshold finds most at no more than so many false positives a scan.",
    )
