# SPDX-License-Identifier: Apache-2.0
"""What assets are given: the home, the split, the tracker. Thin typed shells over plain objects.

Belongs here: environment a person may want to change without touching code. Does not belong here:
knobs of one training, which are that asset's config.
https://docs.dagster.io/guides/build/external-resources
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from lung_pipeline.annotations.rules import MalignancyRule, TwoOfReaders, rule_named
from lung_pipeline.annotations.splits import BY_PATIENTS, FoldRule, SplitRule, split_named
from lung_pipeline.home import Home
from lung_pipeline.orchestration.machine_tag import note_machine

if TYPE_CHECKING:
    from lung_pipeline.tracking.runs import Run


class HomeResource(dg.ConfigurableResource):
    """Where everything lies."""

    root: str = ""
    """The root folder; empty: what LUNG_PIPELINE_HOME names when a run starts, else ./data."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Every step has a home, so here its run is told which machine it works on."""
        note_machine(context)

    def open(self) -> Home:
        """The home as the pure code knows it."""
        return Home.at(self.root) if self.root else Home.from_environment()


class SplitResource(dg.ConfigurableResource):
    """How patients are divided; every subset must be divided by the same rule."""

    protocol: str = BY_PATIENTS
    """``patients``: shares of all patients; ``luna16-folds``: one subset is the test part."""

    test_fold: int = 0
    """With ``luna16-folds``, the k of the subset<k> that is tested on."""

    seed: int = SplitRule().seed
    """Another seed draws other parts."""

    train: float = SplitRule().train
    """With ``patients``, the share of patients to learn from."""

    validation: float = SplitRule().validation
    """Share of patients to choose by: of all, or of those outside the test fold."""

    def rule(self) -> SplitRule | FoldRule:
        """The rule as the pure code knows it; ``SettingError`` where there is none such."""
        return split_named(
            self.protocol,
            seed=self.seed,
            train=self.train,
            validation=self.validation,
            test_fold=self.test_fold,
        )


class MalignancyRuleResource(dg.ConfigurableResource):
    """By which rule readers' ratings become a label; docs/how-to/lidc.md says what each does."""

    name: str = TwoOfReaders.name
    """two-of-readers, mean, median or majority."""

    threshold: float | None = None
    """Between benign and malignant, for mean and median; empty: the rule's own."""

    ties: str | None = None
    """What becomes of a nodule between the two: left out, malignant or benign."""

    threes: str | None = None
    """Whether ratings of 3 are counted or ignored."""

    def rule(self) -> MalignancyRule:
        """The rule as the pure code knows it."""
        return rule_named(self.name, threshold=self.threshold, ties=self.ties, threes=self.threes)


class TrackingResource(dg.ConfigurableResource):
    """MLflow runs that name the Dagster run they belong to."""

    home: HomeResource

    @contextlib.contextmanager
    def run(
        self,
        context: dg.AssetExecutionContext,
        experiment: str,
        parameters: Mapping[str, Any] | None = None,
        run_id: str | None = None,
    ) -> Iterator["Run"]:
        """Open an MLflow run for the asset that is being made, or go on with one by its id."""
        from lung_pipeline.tracking.provenance import code_version
        from lung_pipeline.tracking.runs import run

        asset = context.asset_key.to_user_string()
        tags = {
            "dagster.run_id": context.run.run_id,
            "dagster.asset": asset,
            "git.commit": code_version(),
        }
        name = f"{asset}-{context.run.run_id[:8]}"
        home = self.home.open()
        with run(home, experiment, name, parameters=parameters, tags=tags, run_id=run_id) as opened:
            yield opened
