# SPDX-License-Identifier: Apache-2.0
"""A hospital's DICOM goes through ingest, findings and diagnoses: who can be read of afterwards.

Names stand in headers, in the names of files and folders and in the table of patients; one scan is
cut, so that sentences about it are recorded, and one table is broken, so that a step fails. Then
every byte that Dagster and MLflow keep, and all that was printed, is looked through.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import whole_scans
from bright_models import register_bright_models
from pydicom.dataset import Dataset

from lung_pipeline.annotations.luna import PATIENTS_FILE
from lung_pipeline.home import Home
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.launch import open_instance, sync_subsets
from lung_pipeline.orchestration.private_names import private_names
from lung_pipeline.tables import read_table
from lung_pipeline.tracking.names import CHAMPION

pytestmark = pytest.mark.slow

PATIENT = "H-4711-55"
PLANTED = (PATIENT, "Muster", "Erika", "19640812", "A-0815-77", "Geheim", "Weiser")
SUBSET = "ward_3"


def _as_in_a_hospital(one: Dataset, number: int) -> None:
    one.PatientName, one.PatientID = "Muster^Erika", PATIENT
    one.PatientBirthDate, one.AccessionNumber = "19640812", "A-0815-77"
    one.ReferringPhysicianName = "Ueber^Weiser"


@pytest.fixture
def home(mlflow_home: Home) -> Home:
    folder = mlflow_home.raw / SUBSET
    whole_scans.write_dicom(folder / "Muster^Erika 19640812" / "CT A-0815-77", _as_in_a_hospital)
    cut = whole_scans.write_file(folder, "Geheim_Hans.nii.gz")
    cut.write_bytes(cut.read_bytes()[:5000])
    uid = whole_scans.SERIES_UID
    tables = {
        "annotations.csv": f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{uid},-65,0,-250,8\n",
        "candidates.csv": f"seriesuid,coordX,coordY,coordZ,class\n{uid},65,0,-250,0\n",
        PATIENTS_FILE: f"Patient Id,Modality,Series UID\n{PATIENT},CT,{uid}\n",
    }
    for name, text in tables.items():
        (mlflow_home.raw / name).write_text(text)
    register_bright_models(mlflow_home)
    return mlflow_home


@pytest.fixture
def instance(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance(home) as opened:
        sync_subsets(home, opened)
        yield opened


def _run(home: Home, instance: dg.DagsterInstance, job: str, *assets: str) -> bool:
    definition = build_defs(root=str(home.root)).resolve_job_def(job)
    chosen = {dg.AssetKey(name) for name in assets}
    done = definition.get_subset(asset_selection=chosen).execute_in_process(
        instance=instance,
        partition_key=SUBSET,
        raise_on_error=False,
        run_config=_config() if "findings" in assets else {},
    )
    return done.success


def _config() -> dict[str, object]:
    return {"ops": {"findings": {"config": {"alias": CHAMPION, "device": "cpu"}}}}


INGEST = ("raw_subset", "hu_volumes", "lidc_reads", "candidates", "crops")


def test_neither_databases_nor_logs_name_a_patient(
    home: Home,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert _run(home, instance, "ingest", *INGEST)
    assert _run(home, instance, "diagnose", "findings", "diagnoses")
    table = home.raw / PATIENTS_FILE
    table.write_text(f"Patient Id,Modality,Series UID\n{PATIENT},CT\n{PATIENT}\n")
    (home.raw / SUBSET / "Geheim_Hans.nii.gz").unlink()
    assert not _run(home, instance, "ingest", "raw_subset", "candidates")
    # The home itself knows them: what follows would otherwise pass for want of names.
    assert list(read_table(home.diagnoses(SUBSET))["patient_id"]) == [PATIENT]
    assert (home.report(SUBSET, PATIENT) / "report.html").is_file()

    kept = {
        path: path.read_bytes()
        for folder in (tmp_path / "dagster", home.root / "mlflow")
        for path in folder.rglob("*")
        if path.is_file()
    }
    said = "".join(capfd.readouterr()).encode()
    places = {**kept, Path("the terminal"): said}
    found = [
        (name, str(path.name), content[max(0, at - 200) : at + 100])
        for path, content in places.items()
        for name in PLANTED
        if (at := content.find(name.encode())) >= 0
    ]
    assert found == []
    told = private_names(home, SUBSET).stand_in(PATIENT).encode()
    assert any(told in content for path, content in kept.items() if path.suffix == ".db")
    assert any("compute_logs" in str(path) or path.suffix == ".err" for path in kept)
