# SPDX-License-Identifier: Apache-2.0
"""Where everything lies, below one root.

Belongs here: names of folders and files. Does not belong here: what is inside them, and how they
are written (``writing.py``).
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lung_pipeline.errors import SettingError
from lung_pipeline.remote.places import is_address, is_remote, place_at

HOME_VARIABLE = "LUNG_PIPELINE_HOME"
"""The environment variable that names the root."""

DEFAULT_ROOT = "data"
"""The root when nothing names one, below the current folder."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Home:
    """One root folder and the names below it (``docs/architecture.md`` lists them)."""

    root: Path
    """The folder below which the pipeline reads and writes; in an object store a path of
    ``remote.places``, which reads, lists and removes as a ``pathlib.Path`` does."""

    @classmethod
    def from_environment(cls) -> Home:
        """The root named by ``LUNG_PIPELINE_HOME``, else ``./data``."""
        return cls.at(os.environ.get(HOME_VARIABLE) or DEFAULT_ROOT)

    @classmethod
    def at(cls, address: str | Path) -> Home:
        """A root at an address: a local folder, or ``s3://BUCKET/PREFIX``.

        Raises:
            SettingError: another scheme, or the extra ``s3`` is not installed.
        """
        text = str(address)
        if is_address(text):
            return cls(place_at(text, HOME_VARIABLE))
        return cls(Path(text).expanduser().absolute())

    @property
    def is_remote(self) -> bool:
        """Whether it lies in an object store."""
        return is_remote(self.root)

    @property
    def raw(self) -> Path:
        """The LUNA16 folder as handed out: subsets and csv tables."""
        return self.root / "raw"

    def raw_subset(self, subset: str) -> Path:
        """The scans of one subset as handed out."""
        return self.raw / checked_name(subset)

    def subsets_on_disk(self) -> list[str]:
        """The names of the folders below ``raw`` that hold scans, sorted."""
        if not self.raw.is_dir():
            return []
        return sorted(p.name for p in _visible(self.raw) if p.is_dir() and _holds_scans(p))

    def volume(self, subset: str, series_uid: str) -> Path:
        """The Zarr store of one series."""
        return self.root / "volumes" / checked_name(subset) / f"{checked_name(series_uid)}.zarr"

    def manifest(self, stage: str, subset: str) -> Path:
        """What a stage made of one subset: the contract with the next stage."""
        return self.root / "tables" / checked_name(stage) / f"{checked_name(subset)}.parquet"

    def crops(self, subset: str) -> Path:
        """The folder of one subset's windows: ``crops.npy`` and ``index.parquet``."""
        return self.root / "crops" / checked_name(subset)

    def crops_index(self, subset: str) -> Path:
        """What each of a subset's windows is; where it is, the windows are there, and whole."""
        return self.crops(subset) / "index.parquet"

    def findings(self, subset: str) -> Path:
        """The findings of one subset, one row each."""
        return self.root / "findings" / checked_name(subset) / "findings.parquet"

    def trace(self, subset: str) -> Path:
        """What each stage did with each annotated nodule of one subset, one row each."""
        return self.root / "findings" / checked_name(subset) / "trace.parquet"

    def surroundings(self, subset: str) -> Path:
        """What lies around each finding of one subset, one row each."""
        return self.root / "findings" / checked_name(subset) / "surroundings.parquet"

    def masks(self, subset: str) -> Path:
        """The folder with the voxels of the findings of one subset, a file a series."""
        return self.root / "findings" / checked_name(subset) / "masks"

    def diagnoses(self, subset: str) -> Path:
        """The verdicts of one subset, one row a patient."""
        return self.root / "findings" / checked_name(subset) / "diagnoses.parquet"

    def reports(self, subset: str) -> Path:
        """The folder of the reports of a subset's patients."""
        return self.root / "reports" / checked_name(subset)

    def report(self, subset: str, patient_id: str) -> Path:
        """The folder of one patient's report; a patient in two subsets has one in each."""
        return self.reports(subset) / folder_name(patient_id)

    @property
    def certificate(self) -> Path:
        """What was checked of the split before models may be trained on it."""
        return self.root / "tables" / "leakage_certificate.json"

    def training(self, step: str, key: str) -> Path:
        """The folder of a training that is not done yet: its checkpoint and its MLflow run."""
        return self.root / "trainings" / checked_name(step) / checked_name(key)

    @property
    def scorecards(self) -> Path:
        """Scorecards, one folder for each set of models and data."""
        return self.root / "scorecards"

    def baseline(self, set_key: str) -> Path:
        """What a set of models was promoted with, for the nights to be held against."""
        return self.root / "revalidation" / f"baseline-{checked_name(set_key)}.json"

    @property
    def last_night(self) -> Path:
        """What the last nightly revalidation found."""
        return self.root / "revalidation" / "last_night.json"

    @property
    def alerts(self) -> Path:
        """One file for each run that failed."""
        return self.root / "alerts"

    @property
    def mlflow_database(self) -> Path:
        """The SQLite file of MLflow, where no server is named."""
        return self.root / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """The artifact folder of MLflow, where no server is named."""
        return self.root / "mlflow" / "artifacts"


def checked_name(name: str) -> str:
    """The name itself, where it is safe as a file name; so a UID cannot climb out of the root."""
    if not _NAME.fullmatch(name):
        raise SettingError(
            value=repr(name),
            place="name of a subset, stage or series",
            rule="a name must consist of letters, digits, '.', '_' and '-'",
            cure="Rename the folder or file it comes from.",
        )
    return name


def folder_name(identifier: str) -> str:
    """A folder's name for an identifier we did not choose, such as a hospital's patient id.

    The identifier itself where it is safe; else its safe characters and a hash that keeps two
    identifiers apart.
    """
    if _NAME.fullmatch(identifier):
        return identifier
    kept = re.sub(r"[^A-Za-z0-9]+", "_", identifier).strip("_") or "patient"
    return f"{kept}-{hashlib.sha256(identifier.encode()).hexdigest()[:8]}"


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name[0] not in "._"]


def _holds_scans(folder: Path) -> bool:
    """Whether there is any file but XML below: the readers' XML may lie unpacked beside subsets."""
    return any(
        _holds_scans(path) if path.is_dir() else path.suffix.lower() != ".xml"
        for path in _visible(folder)
    )
