# SPDX-License-Identifier: Apache-2.0
"""What the three trainings share: one MLflow run, one registered version, one materialization."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from lung_pipeline.annotations.subset import candidates_fingerprint
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.learning.settings import TrainingSettings
from lung_pipeline.orchestration.config import SubsetsConfig
from lung_pipeline.orchestration.metadata import result
from lung_pipeline.orchestration.partitions import known_subsets
from lung_pipeline.orchestration.resources import TrackingResource
from lung_pipeline.orchestration.resuming import alone_at
from lung_pipeline.orchestration.watching import watched
from lung_pipeline.tracking.names import CHALLENGER, REGISTERED

if TYPE_CHECKING:
    from torch import nn

    from lung_pipeline.crops.certificate import LeakageCertificate
    from lung_pipeline.learning.epoch import Epoch
    from lung_pipeline.learning.model_folder import ModelCard
    from lung_pipeline.learning.watching import Watcher
    from lung_pipeline.tracking.registry import ModelVersion
    from lung_pipeline.tracking.runs import Run

Train = Callable[["Watcher", Path], "tuple[nn.Module, list[Epoch]]"]
"""Given whom to tell how it goes, and in which folder to keep its state."""


def subsets_to_use(
    context: dg.AssetExecutionContext, config: SubsetsConfig, has: Callable[[str], Path]
) -> list[str]:
    """The subsets a config names, else all registered ones whose artefact ``has`` names exists."""
    if config.subsets:
        return sorted(config.subsets)
    subsets = [subset for subset in known_subsets(context.instance) if has(subset).exists()]
    if not subsets:
        raise StoreError(
            value="no subset",
            place=has("subset").parent,
            rule="at least one registered subset must have been materialized this far",
            cure="Run `lung-pipeline subsets sync`, then the job `ingest` for a subset.",
        )
    return subsets


def certified_subsets(
    context: dg.AssetExecutionContext, config: SubsetsConfig, home: Home
) -> "tuple[list[str], LeakageCertificate]":
    """The subsets to learn from, and the certificate that allows it; nothing is trained without."""
    from lung_pipeline.crops.certify import refuse_uncertified

    subsets = subsets_to_use(context, config, home.crops_index)
    return subsets, refuse_uncertified(home, subsets)


def refuse_other_split(card: "ModelCard", certificate: "LeakageCertificate", place: str) -> None:
    """Refuse to go on from a model of another split: it may have learned from who is tested now."""
    if card.data.get("split_sha256") != certificate.split_sha256:
        raise StoreError(
            value=card.data.get("split_sha256", "none"),
            place=place,
            rule=f"the model must have been trained on the split {certificate.split_sha256}",
            cure="Train the nodule model again, then the malignancy model (job `train`).",
        )


def former_model(home: Home, address: str) -> "tuple[nn.Module | None, dict[str, str]]":
    """The nodule model that tells hard negatives, and its hash for the card; none is fine too."""
    if not address:
        return None, {}
    from lung_pipeline.classification.networks import OF_NODULE
    from lung_pipeline.learning.model_folder import read_model
    from lung_pipeline.tracking.registry import fetched

    with fetched(home, address) as folder:
        model, card = read_model(folder, *OF_NODULE)
    return model, {"hard_negatives_from_sha256": card.weights_sha256}


def record_training(
    context: dg.AssetExecutionContext,
    tracking: TrackingResource,
    step: str,
    purpose: str,
    settings: TrainingSettings,
    subsets: Sequence[str],
    certificate: "LeakageCertificate",
    train: Train,
    learned_from: Mapping[str, int] | None = None,
    builds_on: Mapping[str, str] | None = None,
) -> dg.MaterializeResult:
    """Train, log each epoch, keep the model with its run and register it as the challenger.

    A training that was killed goes on where it stood, in the same MLflow run. ``learned_from`` are
    counts of the samples, which stand on the card and in the metadata; ``builds_on`` has the hashes
    of former models' weights, each by what it is to this training.
    """
    from lung_pipeline.tracking.provenance import code_version

    # Asked before it begins: hours later the checkout may be at another commit.
    home, source = tracking.home.open(), code_version()
    counts = dict(learned_from or {})
    # MLflow is seen by more people than the home.
    certificate = certificate.without_names()
    data = {
        "subsets": list(subsets),
        "candidates": candidates_fingerprint(home, subsets),
        "split_sha256": certificate.split_sha256,
        "leakage_certificate_sha256": certificate.sha256,
        **counts,
        **(builds_on or {}),
    }
    parameters = {**settings.model_dump(), **data}
    with alone_at(home, step, parameters, context.log.info) as attempt:
        with tracking.run(context, REGISTERED[step], parameters, attempt.run_id) as run:
            attempt.remember(run.run_id)
            with watched(run, settings, attempt.events, context.log.info) as watcher:
                model, history = train(watcher, attempt.checkpoint)
            card = _card(model, history, purpose, settings.model_dump(), data, source)
            version = _register(run, step, model, card, certificate)
        attempt.forget()
    best = _best(history)
    context.log.info(f"{version.label}: best epoch {best.number} of {len(history)}")
    return result(
        version.weights_sha256[:16],
        {**best.metrics, **counts, "version": version.version, "epoch": best.number},
        texts={
            "model": version.label,
            "mlflow_run_id": version.run_id,
            "subsets": ", ".join(subsets),
        },
    )


def _card(
    model: "nn.Module",
    history: "list[Epoch]",
    purpose: str,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    source: str,
) -> "ModelCard":
    from lung_pipeline.learning.model_folder import ModelCard

    return ModelCard(
        network=type(model).__name__,
        architecture=model.architecture,  # type: ignore[arg-type]  # each of our networks has it
        purpose=purpose,
        settings=settings,
        data=data,
        metrics=_best(history).metrics,
        losses=tuple(epoch.metrics["train/loss"] for epoch in history),
        source=source,
    )


def _register(
    run: "Run", step: str, model: "nn.Module", card: "ModelCard", certificate: "LeakageCertificate"
) -> "ModelVersion":
    """Register the model, its card and the certificate it was trained under, in one folder."""
    from lung_pipeline.crops.certificate import CERTIFICATE_FILE
    from lung_pipeline.learning.model_folder import write_model
    from lung_pipeline.tracking.registry import register

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / step
        card = write_model(folder, model, card, {CERTIFICATE_FILE: certificate.as_text()})
        return register(run, step, folder, card.weights_sha256, CHALLENGER)


def _best(history: "list[Epoch]") -> "Epoch":
    from lung_pipeline.learning.epoch import best_epoch

    return best_epoch(history)


def challenger_losses(home: Home, step: str) -> list[float]:
    """The training losses on the card of a step's newest model."""
    from lung_pipeline.learning.model_folder import read_card
    from lung_pipeline.tracking.names import model_uri
    from lung_pipeline.tracking.registry import fetched

    with fetched(home, model_uri(step, CHALLENGER)) as folder:
        return list(read_card(folder).losses)
