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

from lung_pipeline.annotations.splits import SplitRule
from lung_pipeline.home import Home

if TYPE_CHECKING:
    from lung_pipeline.tracking.runs import Run


class HomeResource(dg.ConfigurableResource):
    """Where everything lies."""

    root: str = ""
    """The root folder; empty: what LUNG_PIPELINE_HOME names when a run starts, else ./data."""

    def open(self) -> Home:
        """The home as the pure code knows it."""
        return Home.at(self.root) if self.root else Home.from_environment()


class SplitResource(dg.ConfigurableResource):
    """How patients are divided; every subset must be divided by the same rule."""

    seed: int = SplitRule().seed
    """Another seed draws other parts."""

    train: float = SplitRule().train
    """Share of patients to learn from."""

    validation: float = SplitRule().validation
    """Share of patients to choose by; the rest is for testing."""

    def rule(self) -> SplitRule:
        """The rule as the pure code knows it."""
        return SplitRule(self.seed, self.train, self.validation)


class TrackingResource(dg.ConfigurableResource):
    """MLflow runs that name the Dagster run they belong to."""

    home: HomeResource

    @contextlib.contextmanager
    def run(
        self,
        context: dg.AssetExecutionContext,
        experiment: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> Iterator["Run"]:
        """Open an MLflow run for the asset that is being made."""
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
        with run(home, experiment, name, parameters=parameters, tags=tags) as opened:
            yield opened
