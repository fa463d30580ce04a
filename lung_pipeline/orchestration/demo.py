# SPDX-License-Identifier: Apache-2.0
"""The whole journey on phantoms, small enough for a laptop: what ``make demo`` runs.

The settings are small, nothing else is: the same assets, the same checks, the same records as on
LUNA16. What is scored are patients that no model saw.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from lung_pipeline.home import Home
from lung_pipeline.orchestration.launch import open_instance, run_job, sync_subsets
from lung_pipeline.orchestration.profiles import DEMO

NUM_SUBSETS, SCANS_PER_SUBSET, SEED = 3, 10, 4
"""The phantoms of the demo. The seed was taken for the number of nodules it gives each part under
the default split (64 to learn from, 10 to choose by, 13 to judge by), before any training."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo made, and how good it is."""

    figures: dict[str, float]
    """The scorecard's figures."""

    operating_point: str
    """How the threshold was chosen."""

    scorecard: Path
    """The scorecard as a page."""

    report: Path
    """The report of one patient of the test part."""

    mlflow_database: Path
    """MLflow's database."""

    seconds: float
    """How long it took."""

    def in_words(self) -> str:
        """What a person wants to know at the end."""
        figure = self.figures
        return "\n".join(
            [
                "",
                f"On {figure['data/num_patients']:.0f} patients that no model saw, with "
                f"{figure['data/num_nodules']:.0f} nodules in "
                f"{figure['data/num_series']:.0f} scans:",
                f"  found {figure['detection/sensitivity_at_operating_point']:.0%} at "
                f"{figure['detection/fp_per_scan_at_operating_point']:.2f} false positives a scan",
                f"  at a nodule probability of {figure['detection/threshold']:.2g}: "
                f"{self.operating_point}",
                f"  mean sensitivity over 1/8 to 8 false positives a scan (CPM) "
                f"{figure['detection/cpm']:.3f}",
                "",
                f"Scorecard  {self.scorecard}",
                f"Report     {self.report}",
                f"MLflow     {self.mlflow_database}",
                f"{self.seconds:.0f} s. Next: `make ui`, or docs/how-to/ for your own scans.",
            ]
        )


def run_demo(home: Home, tell: Callable[[str], None]) -> DemoResult:
    """Make phantoms, run every job over them and say where the results are."""
    from lung_pipeline.phantom.folder import write_luna_folder

    started = time.monotonic()

    def say(what: str) -> None:
        tell(f"[{time.monotonic() - started:5.0f} s] {what}")

    say(f"making {NUM_SUBSETS * SCANS_PER_SUBSET} phantom scans in {home.raw}")
    made = write_luna_folder(
        home.raw, num_subsets=NUM_SUBSETS, scans_per_subset=SCANS_PER_SUBSET, seed=SEED
    )
    say(f"{made.patients} patients, {made.nodules} nodules, {made.malignant_nodules} malignant")
    with open_instance(home) as instance:
        sync_subsets(home, instance)
        subsets = home.subsets_on_disk()
        for subset in subsets:
            say(f"{subset}: volumes, candidates, crops")
            run_job(home, instance, "ingest", partition=subset)
        say("training: segmentation, nodule, malignancy")
        run_job(home, instance, "train", config=DEMO)
        for subset in subsets:
            say(f"{subset}: findings, diagnoses, reports")
            run_job(home, instance, "diagnose", partition=subset)
        say("scorecard and champion")
        scored = run_job(home, instance, "evaluate")
    say("done")
    return _result(home, scored, time.monotonic() - started)


def _result(home: Home, scored: dg.ExecuteInProcessResult, seconds: float) -> DemoResult:
    (made,) = scored.asset_materializations_for_node("scorecard")
    figures = {
        name: float(value.value)
        for name, value in made.metadata.items()
        if isinstance(value, dg.FloatMetadataValue) and value.value is not None
    }
    return DemoResult(
        figures=figures,
        operating_point=str(made.metadata["operating_point"].value),
        scorecard=Path(str(made.metadata["page"].value)),
        report=_report_to_show(home),
        mlflow_database=home.mlflow_database,
        seconds=seconds,
    )


def _report_to_show(home: Home) -> Path:
    """The report of a test patient, malignant if there is one: the richest to look at."""
    import pandas as pd

    from lung_pipeline.annotations.splits import TEST
    from lung_pipeline.annotations.subset import read_series_of
    from lung_pipeline.tables import read_table

    subsets = home.subsets_on_disk()
    series = read_series_of(home, subsets)
    unseen = set(series.loc[series["part"] == TEST, "patient_id"])
    verdicts = pd.concat(
        [read_table(home.diagnoses(subset)).assign(subset=subset) for subset in subsets]
    )
    shown = verdicts[verdicts["patient_id"].isin(unseen)].sort_values(
        ["highest_malignancy_probability", "num_nodules"], ascending=False
    )
    first = shown.iloc[0]
    return home.report(str(first["subset"]), str(first["patient_id"])) / "report.html"
