# SPDX-License-Identifier: Apache-2.0
"""The networks of each step beside each other on one home, under two equal budgets.

    .venv/bin/python benchmarks/architectures.py HOME [--minutes M] [--seeds 1 2 3] [--steps STEP]

HOME holds crops and volumes, of phantoms for example. Each network of a step learns for the same
time, and from as many samples as the step's first network sees in that time (equal samples cost
the others more or less time); loading and augmentation count, validation does not. Settings are
those of the laptop profile, and the epoch is chosen on the validation part as in every training.
Figures are of the test part, which no training saw:

- nodule: areas under the ROC and the precision-recall curve over all its candidates;
- segmentation: nodules found, by LUNA16's rule, and candidates a scan, over its whole volumes; Dice
  of the voxels on whole slices of the validation part, those without a nodule included.

Prints one markdown table a step: means over the seeds, with the lowest and highest in brackets.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from lung_pipeline.annotations.subset import read_candidates_of
from lung_pipeline.classification import networks as of_crops
from lung_pipeline.classification.inference import classify_rows
from lung_pipeline.classification.network import fast_layout
from lung_pipeline.classification.samples import CropSamples
from lung_pipeline.classification.settings import ClassifierSettings
from lung_pipeline.classification.tasks import nodule_task
from lung_pipeline.classification.training import crop_loss, train_nodule_model
from lung_pipeline.crops.store import open_crops
from lung_pipeline.ct.store import open_volume
from lung_pipeline.diagnosis.pipeline import MASK_THRESHOLD
from lung_pipeline.evaluation.detection.matching import match
from lung_pipeline.grouping.components import group
from lung_pipeline.home import Home
from lung_pipeline.learning.device import pick_device
from lung_pipeline.learning.epoch import VALIDATION_LOSS, Epoch, Validation, best_epoch
from lung_pipeline.learning.loop import fit
from lung_pipeline.orchestration.profiles import LAPTOP
from lung_pipeline.segmentation import networks as of_slices
from lung_pipeline.segmentation.inference import segment
from lung_pipeline.segmentation.losses import LossWeights, segmentation_loss
from lung_pipeline.segmentation.samples import patch_samples
from lung_pipeline.segmentation.settings import SegmentationSettings
from lung_pipeline.segmentation.subset import gather_regions
from lung_pipeline.segmentation.training import train_segmentation_model

EPOCHS = 4
"""Of each training; its last epoch need not be its best."""

TIMED_STEPS = 10
"""Steps by which a network's time is told, after as many that are not counted."""

Figures = dict[str, float]


class Step(Protocol):
    """A step whose networks are compared."""

    networks: Mapping[Any, type[nn.Module]]
    """By name; the first is the one whose samples are counted."""

    def step_seconds(self, name: str) -> float:
        """A step of learning, with loading and augmentation."""

    def learn(self, name: str, seed: int, num_steps: int) -> tuple[nn.Module, list[Epoch]]:
        """A whole training of so many steps, in epochs."""

    def figures(self, model: nn.Module, best: Epoch) -> Figures:
        """How good a model is, as columns of the table."""

    def batch_size(self) -> int:
        """Samples of a step."""


class Nodules:
    """The nodule model."""

    networks = of_crops.NETWORKS

    def __init__(self, home: Home, subsets: list[str]) -> None:
        self.crops = open_crops([home.crops(subset) for subset in subsets])

    def _settings(self, name: str, seed: int, epochs: int, steps: int) -> ClassifierSettings:
        chosen = {"network": name, "seed": seed, "epochs": epochs, "steps_per_epoch": steps}
        return ClassifierSettings(**{**LAPTOP["nodule_model"], **chosen})

    def batch_size(self) -> int:
        """Crops of a step."""
        return self._settings("book", 1, 1, 1).batch_size

    def step_seconds(self, name: str) -> float:
        """The second of two epochs of a training that nobody judges."""
        settings = self._settings(name, 1, 2, TIMED_STEPS)
        device = pick_device()
        model = of_crops.network_named(name).to(device)
        fast_layout(model)
        task = nodule_task(self.crops, settings)
        with CropSamples(task, settings, device, model) as samples:
            return unjudged_seconds(model, settings, samples.epoch, crop_loss)

    def learn(self, name: str, seed: int, num_steps: int) -> tuple[nn.Module, list[Epoch]]:
        """As the asset does."""
        return train_nodule_model(self.crops, self._settings(name, seed, EPOCHS, num_steps))

    def figures(self, model: nn.Module, best: Epoch) -> Figures:
        """On all candidates of the test part."""
        rows = np.flatnonzero((self.crops.index["part"] == "test").to_numpy())
        labels = self.crops.index["is_nodule"].to_numpy(dtype=bool)[rows]
        probability = classify_rows(model, self.crops, rows)
        return {
            "ROC-AUC": float(roc_auc_score(labels, probability)),
            "PR-AUC": float(average_precision_score(labels, probability)),
        }


class Segmentation:
    """The segmentation model."""

    networks = of_slices.NETWORKS

    def __init__(self, home: Home, subsets: list[str]) -> None:
        self.home = home
        self.table = read_candidates_of(home, subsets)
        settings = self._settings("unet", 1, 1, 1)
        self.train, self.validation = (
            gather_regions(
                home,
                subsets,
                part,
                background_per_series=settings.background_per_series,
                seed=1,
                slices_per_series=slices,
            )
            for part, slices in (("train", None), ("validation", settings.slices_per_series))
        )

    def _settings(self, name: str, seed: int, epochs: int, steps: int) -> SegmentationSettings:
        chosen = {"network": name, "seed": seed, "epochs": epochs, "steps_per_epoch": steps}
        return SegmentationSettings(**{**LAPTOP["segmentation_model"], **chosen})

    def batch_size(self) -> int:
        """Patches of a step."""
        return self._settings("unet", 1, 1, 1).batch_size

    def step_seconds(self, name: str) -> float:
        """The second of two epochs of a training that nobody judges."""
        settings = self._settings(name, 1, 2, TIMED_STEPS)
        device = pick_device()
        weights = LossWeights(
            recall=settings.recall_weight, cross_entropy=settings.cross_entropy_weight
        )
        model = of_slices.network_named(name)
        model = model.to(device, memory_format=torch.channels_last)
        return unjudged_seconds(
            model,
            settings,
            lambda epoch: patch_samples(self.train, settings, device, epoch),
            lambda net, batch: segmentation_loss(net(batch[0]), batch[1], weights),
        )

    def learn(self, name: str, seed: int, num_steps: int) -> tuple[nn.Module, list[Epoch]]:
        """As the asset does."""
        settings = self._settings(name, seed, EPOCHS, num_steps)
        return train_segmentation_model(self.train, self.validation, settings)

    def figures(self, model: nn.Module, best: Epoch) -> Figures:
        """Nodules found and candidates on whole scans of the test part."""
        of_test = self.table[self.table["part"] == "test"]
        found = [
            self._candidates(model, str(rows["subset"].iloc[0]), str(series_uid))
            for series_uid, rows in of_test.groupby("series_uid")
        ]
        findings = pd.concat(found, ignore_index=True)
        nodules = of_test[of_test["is_nodule"]]
        large = nodules[nodules["diameter_mm"] >= 5]
        series_uids = sorted(of_test["series_uid"].unique())
        return {
            "nodules found": self._recall(findings, nodules, series_uids),
            "of 5 mm and more": self._recall(findings, large, series_uids),
            "candidates a scan": len(findings) / len(series_uids),
            "validation Dice": best.metrics["validation/slice/voxel/dice"],
        }

    def _candidates(self, model: nn.Module, subset: str, series_uid: str) -> pd.DataFrame:
        volume = open_volume(self.home.volume(subset, series_uid))
        voxels_hu, grid = volume.read_all(), volume.grid
        mask = segment(model, voxels_hu).values >= MASK_THRESHOLD
        components = group(mask, voxels_hu, grid.spacing_irc_mm)
        centers_irc = np.asarray([c.center_irc for c in components]).reshape(-1, 3)
        table = pd.DataFrame(grid.irc_to_xyz_mm(centers_irc), columns=["x_mm", "y_mm", "z_mm"])
        return table.assign(series_uid=series_uid, score=1.0)

    def _recall(self, findings: pd.DataFrame, nodules: pd.DataFrame, uids: list[str]) -> float:
        matches = match(findings, nodules, series_uids=uids)
        return float((matches.nodule_finding >= 0).mean())


def unjudged_seconds(model: nn.Module, settings: Any, batches: Any, loss: Any) -> float:
    """A step, on average over the second epoch."""
    nothing = Validation({VALIDATION_LOSS: 0.0})
    history = fit(
        model, settings.schedule(), batches=batches, loss=loss, validate=lambda _: nothing
    )
    return history[-1].learning_s / TIMED_STEPS


@dataclass(frozen=True)
class Row:
    """A network under a budget, over all seeds."""

    name: str
    budget: str
    num_parameters: int
    step_seconds: float
    num_samples: int
    seconds: list[float]
    figures: list[Figures]

    def __str__(self) -> str:
        cells = [
            self.name,
            self.budget,
            f"{self.num_parameters:,}",
            f"{self.step_seconds * 1e3:.0f}",
            f"{self.num_samples:,}",
            spread(self.seconds, ".0f"),
            *(spread([f[name] for f in self.figures], ".3f") for name in self.figures[0]),
        ]
        return f"| {' | '.join(cells)} |"


def spread(values: list[float], form: str) -> str:
    """The mean; of several values the lowest and the highest too."""
    mean = format(statistics.mean(values), form)
    return mean if len(values) == 1 else f"{mean} ({min(values):{form}} to {max(values):{form}})"


def compare(step: Step, seconds: float, seeds: list[int]) -> None:
    """Train each network under both budgets, and print the table."""
    step_seconds = {name: step.step_seconds(name) for name in step.networks}
    in_time = {name: max(1, round(seconds / s / EPOCHS)) for name, s in step_seconds.items()}
    first = next(iter(step.networks))
    rows = []
    for name in step.networks:
        budgets = {"time": in_time[name], "samples": in_time[first]}
        if name == first:
            budgets = {"time = samples": in_time[first]}
        for budget, num_steps in budgets.items():
            told(f"{name}, equal {budget}: {EPOCHS} x {num_steps} steps, seeds {seeds}")
            rows.append(learned(step, name, budget, step_seconds[name], num_steps, seeds))
    columns = ("network", "equal", "parameters", "ms a step", "samples", "seconds learned")
    heads = [*columns, *rows[0].figures[0]]
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(row, flush=True)


def learned(
    step: Step, name: str, budget: str, step_seconds: float, num_steps: int, seeds: list[int]
) -> Row:
    """One network under one budget, once for each seed."""
    seconds, figures, num_parameters = [], [], 0
    for seed in seeds:
        model, history = step.learn(name, seed, num_steps)
        seconds.append(sum(epoch.learning_s for epoch in history))
        figures.append(step.figures(model, best_epoch(history)))
        num_parameters = sum(parameter.numel() for parameter in model.parameters())
        told(f"  seed {seed}: {figures[-1]}")
    num_samples = EPOCHS * num_steps * step.batch_size()
    return Row(name, budget, num_parameters, step_seconds, num_samples, seconds, figures)


def told(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Compare and print."""
    steps = {"segmentation": Segmentation, "nodule": Nodules}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("home", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0, help="of learning, for each network")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", nargs="+", choices=list(steps), default=list(steps))
    asked = parser.parse_args()
    home = Home.at(asked.home)
    subsets = sorted(folder.name for folder in (asked.home / "crops").iterdir())
    for name in asked.steps:
        print(f"\n{name}, {asked.minutes:g} minutes of learning, seeds {asked.seeds}")
        compare(steps[name](home, subsets), asked.minutes * 60, asked.seeds)


if __name__ == "__main__":
    main()
