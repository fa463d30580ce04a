# SPDX-License-Identifier: Apache-2.0
"""What Dagster is told of people: names replaced in tables, sentences, paths, lines and errors."""

import logging
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from lung_pipeline.annotations.luna import PATIENTS_FILE
from lung_pipeline.ct.subset import RAW
from lung_pipeline.errors import ReadingError, in_one_line
from lung_pipeline.home import Home
from lung_pipeline.orchestration.build import build_defs
from lung_pipeline.orchestration.discretion import DISCREET, discreet
from lung_pipeline.orchestration.names_key import KEY_FILE, names_key
from lung_pipeline.orchestration.private_names import (
    PrivateNames,
    is_public,
    names_behind,
    private_names,
)
from lung_pipeline.orchestration.resources import HomeResource
from lung_pipeline.tables import write_table

KEY = bytes(32)
NAMES = PrivateNames(
    frozenset({"H-4711", "Muster^Erika", "512", "12", "A", "scan", "471100", "Muster_H.mhd"}),
    KEY,
    "/home/A/scan",
)


def _told(name: str) -> str:
    return NAMES.stand_in(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("patient H-4711 stands in test", "H-4711"),
        ("/home/A/scan/raw/s/Muster^Erika/1.2.3.4/00.dcm: cut", "Muster^Erika"),
        ("the voxels of Muster_H.mhd must lie beside it", "Muster_H.mhd"),
        ("ID=471100, twice", "471100"),
        ("patient 12 has two", "12"),
        ("s/512/00.dcm", "512"),
        ("12", "12"),
        ("(H-4711)", "H-4711"),
    ],
)
def test_name_in_a_text_is_replaced_and_nothing_else(text: str, name: str) -> None:
    expected = text.replace(name, _told(name)) if name != "12" else text.replace("12", _told("12"))
    assert NAMES.without(text) == expected
    assert name not in NAMES.without(text).replace("/home/A/scan", "")


@pytest.mark.parametrize(
    "text",
    [
        "a slice must have 512 x 512 pixels, 12 of them",
        "AH-47110 is another word",
        "H-47112 is another number",
        "A scan must be a folder",
        "/home/A/scan/raw: no scan",
        "",
    ],
)
def test_sizes_words_and_other_names_stay(text: str) -> None:
    assert NAMES.without(text) == text


def test_stand_in_is_the_same_in_one_home_and_another_elsewhere() -> None:
    assert _told("H-4711") == NAMES.stand_in("H-4711") != _told("H-4712")
    assert PrivateNames(NAMES.names, b"another").stand_in("H-4711") != _told("H-4711")


@pytest.mark.parametrize(
    "name", ["LIDC-IDRI-0003", "PHANTOM-0101", "1.3.6.1.4.1.14519.5.2", "1.3.6.1.4.1.14519.5.2.mhd"]
)
def test_public_names_stay(name: str) -> None:
    assert is_public(name)
    assert _told(name) == name


@pytest.mark.parametrize(
    "name", ["LIDC-IDRI-0003 Muster", "471100", "1.2", "Muster 1.2.3.4.5", "1.2.3.4.Muster.mhd"]
)
def test_nearly_public_names_do_not(name: str) -> None:
    assert not is_public(name)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.at(tmp_path / "a home")
    scan = made.raw / "subset0" / "Muster^Erika" / "CT 7"
    scan.mkdir(parents=True)
    (scan / "Muster_0001.dcm").touch()
    (made.raw / "subset0" / "Geheim_Hans.nii.gz").touch()
    rows = "Patient Id,Modality,Series UID\nH-4711,CT,1.2.3.4\n"
    (made.raw / PATIENTS_FILE).write_text(rows)
    return made


def test_names_are_patients_and_parts_of_raw_paths(home: Home) -> None:
    names = private_names(home, "subset0").names
    assert {"H-4711", "Muster^Erika", "Muster_0001.dcm", "Geheim_Hans"} <= names
    assert private_names(home, None).names == {"H-4711"}


@pytest.mark.parametrize(
    "name", ["山田\u3000太郎", "Muster\u00a0Erika", "Muster\nErika", "\u3000太郎"]
)
def test_name_with_a_blank_of_its_own_is_replaced_as_an_error_shows_it_too(name: str) -> None:
    names = PrivateNames(frozenset({name}), KEY)
    for form in (name, in_one_line(name)):
        assert names.without(form) == names.stand_in(name)
        assert names.without(f"s/{form}/1.dcm: cut") == f"s/{names.stand_in(name)}/1.dcm: cut"


def test_names_below_a_link_are_private_wherever_scans_are_looked_for(
    home: Home, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "another disk" / "Karl" / "CT"
    elsewhere.mkdir(parents=True)
    (elsewhere / "Weiser_Karl_0007.dcm").touch()
    (elsewhere / "round").symlink_to(home.raw)
    (home.raw / "subset0" / "link").symlink_to(elsewhere.parent)
    (home.raw / "ward").symlink_to(home.raw / "subset0")
    for subset in ("subset0", "ward"):
        names = private_names(home, subset).names
        assert {"link", "Weiser_Karl_0007.dcm", "Weiser_Karl_0007", "Muster_0001"} <= names


def test_folder_of_a_report_names_its_patient_too(home: Home) -> None:
    write_table(pd.DataFrame({"patient_id": ["Muster^Erika"]}), home.manifest("series", "s"), {})
    folder = home.report("subset0", "Muster^Erika")
    told = private_names(home, None).without(f"{folder}/report.html: no space left")
    assert "Muster" not in told
    assert told.startswith(f"{home.root}/reports/subset0/name-")


def test_key_stays_and_is_for_its_owner_alone(home: Home) -> None:
    first = private_names(home, None).key
    assert private_names(home, None).key == first
    assert (home.root / KEY_FILE).stat().st_mode & 0o077 == 0


def test_two_that_make_the_key_at_once_work_with_one(tmp_path: Path) -> None:
    for number in range(40):
        made = Home.at(tmp_path / str(number))
        together = threading.Barrier(2)

        def ask(made: Home = made, together: threading.Barrier = together) -> bytes:
            together.wait(60)
            return names_key(made)

        with ThreadPoolExecutor(2) as pool:
            first, second = [pool.submit(ask) for _ in range(2)]
        assert first.result() == second.result()


def test_broken_table_of_patients_still_keeps_its_cells_private(home: Home) -> None:
    (home.raw / PATIENTS_FILE).write_text("Patient Id,Other\nH-4711,x\n")
    assert "H-4711" in private_names(home, None).names


def test_whoever_has_the_home_can_tell_whose_a_name_is(home: Home) -> None:
    told = private_names(home, None).stand_in("Geheim_Hans")
    assert names_behind(home, [told, "name-0000000000"]) == {
        told: ["Geheim_Hans"],
        "name-0000000000": [],
    }


def test_error_keeps_its_class_and_loses_its_names(home: Home) -> None:
    scan = home.raw / "subset0" / "Geheim_Hans.nii.gz"
    # Without a partition the names of scans are those that were listed.
    write_table(pd.DataFrame({"scan": [scan.name]}), home.manifest(RAW, "subset0"), {})

    @discreet
    def step(home: HomeResource) -> None:
        try:
            (scan / "below a file").read_bytes()
        except NotADirectoryError as error:
            raise ReadingError(
                value="H-4711", place=scan, rule="Geheim_Hans must be whole", cure="Ask H-4711."
            ) from error

    with pytest.raises(ReadingError) as caught:
        step(HomeResource(root=str(home.root)))
    said = f"{caught.value} {caught.value!r} {caught.value.__reduce__()} {caught.value.__cause__}"
    assert "must be whole" in said
    assert str(home.raw) in said
    assert not [name for name in ("H-4711", "Geheim") if name in said], said


def test_error_is_kept_back_where_nobody_can_read_whom_it_names(home: Home) -> None:
    """A broken home breaks the step, and then the reading of names: the first must not slip out."""
    home.manifest(RAW, "subset0").parent.mkdir(parents=True, exist_ok=True)
    home.manifest(RAW, "subset0").write_bytes(b"no table")
    said = _said_of_a_failure(home, lambda: None)
    assert "ReadingError, whose words are kept back" in said
    assert "4711" not in said


@pytest.mark.parametrize("written", [b"", b"00" * 31 + b"\n", b"no number", b"\xff" * 64])
def test_a_damaged_key_is_told_before_anything_else(home: Home, written: bytes) -> None:
    (home.root / KEY_FILE).write_bytes(written)
    said = _said_of_a_failure(home, lambda: None)
    assert "the key of the names must be 64 hexadecimal digits" in said
    assert "4711" not in said


def test_error_is_kept_back_where_the_key_is_damaged_meanwhile(home: Home) -> None:
    said = _said_of_a_failure(home, lambda: (home.root / KEY_FILE).write_bytes(b"no number"))
    assert "ReadingError, whose words are kept back" in said
    assert "4711" not in said


def _said_of_a_failure(home: Home, meanwhile: Callable[[], object]) -> str:
    """What Dagster records of a step that fails with a patient's number, after something else."""

    @dg.asset
    @discreet
    def step(home: HomeResource) -> None:
        del home
        meanwhile()
        raise ReadingError(value="H-4711", place="here", rule="be whole", cure="Ask H-4711.")

    done = dg.materialize(
        [step], resources={"home": HomeResource(root=str(home.root))}, raise_on_error=False
    )
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    return str(failure.event_specific_data)


class _Lines(logging.Handler):
    """Keeps what a step logs."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def test_errors_on_the_way_to_an_error_lose_their_names_too(home: Home) -> None:
    @discreet
    def step(home: HomeResource) -> None:
        del home
        try:
            os.rename("/x/H-4711/1", "/x/H-4711/2")  # noqa: PTH104 - its error has both paths
        except OSError:
            raise ReadingError(value="1", place="here", rule="be whole", cure="Look.")  # noqa: B904

    with pytest.raises(ReadingError) as caught:
        step(HomeResource(root=str(home.root)))
    before = caught.value.__context__
    assert isinstance(before, OSError)
    for path in (before.filename, before.filename2):
        assert re.fullmatch(r"/x/name-\w+/\d", path)


def test_lines_and_metadata_lose_their_names(
    home: Home,
) -> None:
    lines = _Lines()

    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["subset0"]))
    @discreet
    def step(context: dg.AssetExecutionContext, home: HomeResource) -> dg.MaterializeResult:
        context.log.addHandler(lines)
        context.log.info("reading %s", "Geheim_Hans.nii.gz")
        columns = [dg.TableColumn("patient_id"), dg.TableColumn("problem")]
        rows = [dg.TableRecord({"patient_id": "9", "problem": "H-4711: no lung"})]
        return dg.MaterializeResult(
            metadata={
                "table": dg.MetadataValue.table(rows, schema=dg.TableSchema(columns=columns)),
                "path": dg.MetadataValue.path("/x/Muster^Erika/1"),
                "text": "of H-4711",
                "md": dg.MetadataValue.md("| H-4711 |"),
                "number": 4711,
            }
        )

    done = dg.materialize(
        [step], partition_key="subset0", resources={"home": HomeResource(root=str(home.root))}
    )
    (made,) = done.asset_materializations_for_node("step")
    assert [line for line in lines.told if "reading name-" in line]
    said = f"{made.metadata} {lines.told} {[str(event) for event in done.all_events]}"
    assert not any(name in said for name in ("H-4711", "Geheim", "Muster", "'patient_id': '9'"))
    assert made.metadata["number"].value == 4711
    assert said.count("name-") >= 5


def test_every_asset_and_every_check_is_discreet() -> None:
    definitions = build_defs()
    made = [*(definitions.assets or []), *(definitions.asset_checks or [])]
    ops = [one.op for one in made if isinstance(one, dg.AssetsDefinition)]
    assert len(ops) > 25
    talkative = [op.name for op in ops if not getattr(op.compute_fn.decorated_fn, DISCREET, False)]
    assert talkative == []
