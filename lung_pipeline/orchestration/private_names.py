# SPDX-License-Identifier: Apache-2.0
"""Whom a text could name, and what stands there instead.

Dagster's and MLflow's databases are seen by more people than the home and are kept for ever. Names
that a hospital gave are therefore replaced before anything is recorded: patients, and files and
folders of raw scans, which are often called after them. What stands for a name is made with a key
of the home, so that nobody without the home can try numbers until one fits (HMAC, RFC 2104).

Names that are public or made by a machine stay: LIDC's patients and DICOM's UIDs.

Belongs here: which names, and replacing them in a text. Does not belong here: what Dagster records
(``discretion.py``), and the key (``names_key.py``).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lung_pipeline.errors import LungPipelineError, in_one_line
from lung_pipeline.home import Home, folder_name
from lung_pipeline.orchestration.names_key import names_key

_PUBLIC = re.compile(
    r"(LIDC-IDRI|PHANTOM)-\d{4}"
    r"|[0-2](\.(0|[1-9]\d*)){3,}(\.(mhd|mha|raw|zraw|nii|nii\.gz|nrrd|dcm|zarr|npz))?"
)
"""LIDC's patients, whose names TCIA made up, ours, and UIDs (DICOM PS3.5, 9.1), also as the name of
a file, which is how LUNA16 names its scans."""

_PLAIN = frozenset(
    [
        "data",
        "raw",
        "scan",
        "scans",
        "ct",
        "cts",
        "image",
        "images",
        "img",
        "dicom",
        "series",
        "study",
        "chest",
        "thorax",
        "lung",
        "lungs",
        "files",
        "axial",
        "subset",
        "patient",
        "patients",
        "volume",
        "volumes",
        "table",
        "tables",
        "report",
        "reports",
        "test",
        "train",
    ]
)
"""Words of our own sentences, which name nobody when a folder is called so."""

_PLAIN_NUMBER = 4
"""A number with fewer digits is a name only where a name must stand: 512 may be a size."""


def is_public(name: str) -> bool:
    """Whether a name may be told: it was made up by others for all, or by a machine."""
    return _PUBLIC.fullmatch(name) is not None


@dataclass(frozen=True)
class PrivateNames:
    """The names that must not be told, and the key that makes others of them."""

    names: frozenset[str]
    """As they stand in tables and paths."""

    key: bytes
    """The home's own."""

    root: str = ""
    """The home's folder, which is told as it is, whatever the folders above it are called."""

    def stand_in(self, name: str) -> str:
        """What is told instead of a name; the same for the same name in one home."""
        if not name or is_public(name):
            return name
        digest = hmac.new(self.key, name.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"name-{digest.hexdigest()[:10]}"

    def without(self, text: str) -> str:
        """A text with every private name replaced, those in paths too."""
        if text in self._names_by_form:
            return self.stand_in(self._names_by_form[text])
        parts = text.split(self.root) if self.root else [text]
        return self.root.join("".join(self._pieces(part)) for part in parts)

    def _pieces(self, text: str) -> Iterator[str]:
        place = 0
        while place < len(text):
            found = self._name_at(text, place)
            yield self.stand_in(self._names_by_form[found]) if found else text[place]
            place += len(found) or 1

    def _name_at(self, text: str, place: int) -> str:
        """The longest form of a private name that begins here as a word of its own; else empty."""
        if place and text[place - 1].isalnum() and text[place].isalnum():
            return ""
        for length in self._lengths:
            end = place + length
            form = text[place:end]
            name = self._names_by_form.get(form)
            if name and not (form[-1].isalnum() and text[end : end + 1].isalnum()):
                before = text[:place]
                if _names_somebody(name) or before.endswith(("/", "patient ")):
                    return form
        return ""

    @cached_property
    def _names_by_form(self) -> dict[str, str]:
        """Each name by itself and as errors show it, where a blank of another kind is an escape."""
        shown = {in_one_line(name): name for name in self.names}
        return shown | {name: name for name in self.names}

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(form) for form in self._names_by_form}, reverse=True)


def _names_somebody(name: str) -> bool:
    """Whether a word means a person wherever it stands: no size, no letter, no word of ours."""
    if name.isdigit():
        return len(name) >= _PLAIN_NUMBER
    return len(name) > 1 and name.lower() not in _PLAIN


def private_names(home: Home, subset: str | None) -> PrivateNames:
    """What is private in a home.

    Args:
        home: whose.
        subset: the one that is worked on, whose raw files are looked through; None: the tables of
            all.
    """
    found = set(_patients_in_tables(home)) | set(_scans_in_tables(home))
    if subset is not None:
        found |= set(_parts_of_paths(home.raw / subset))
    told = {name for name in found if name and not is_public(name)}
    return PrivateNames(frozenset(told), names_key(home), str(home.root))


def _patients_in_tables(home: Home) -> Iterator[str]:
    """Of the tables of series; and of the table of patients, which is there before them."""
    from lung_pipeline.annotations.luna import PATIENTS_FILE, read_patients
    from lung_pipeline.annotations.subset import SERIES

    yield from _with_folder(_column(home, SERIES, "patient_id"))
    listed = home.raw / PATIENTS_FILE
    if listed.is_file():
        try:
            yield from _with_folder(read_patients(listed)["patient_id"].astype(str))
        except LungPipelineError:
            # Whoever needs the table refuses it; its cells may stand in that refusal.
            yield from re.findall(r'[^,"\r\n]+', listed.read_text(errors="replace"))


def _with_folder(patients: Iterable[str]) -> Iterator[str]:
    """Each patient, and what the folder of his report is called."""
    for patient in patients:
        yield from (patient, folder_name(patient))


def _scans_in_tables(home: Home) -> Iterator[str]:
    from lung_pipeline.ct.subset import RAW

    for scan in _column(home, RAW, "scan"):
        for part in scan.split("/"):
            yield from _with_stem(part)
        yield scan


def _column(home: Home, stage: str, column: str) -> Iterator[str]:
    from lung_pipeline.tables import read_table

    folder = home.manifest(stage, "any").parent
    for path in sorted(folder.glob("[!.]*.parquet")) if folder.is_dir() else []:
        yield from read_table(path, [column])[column].astype(str)


def _parts_of_paths(folder: Path) -> Iterator[str]:
    """Of all that ``scans_in`` looks at: it enters the links in the subset's folder, none below."""
    if folder.is_dir():
        links = (path for path in folder.glob("[!._~]*") if path.is_symlink())
        for start in (folder, *links):
            for path in start.rglob("*"):
                yield from _with_stem(path.name)


def _with_stem(name: str) -> Iterable[str]:
    """A file's name, and what it is without its ending: a series may be called so."""
    stem = re.sub(r"(\.nii\.gz|\.[A-Za-z]{1,5})$", "", name)
    return (name, stem)


def names_behind(home: Home, stand_ins: Iterable[str]) -> dict[str, list[str]]:
    """For each stand-in the names of this home that it stands for; none where it is of another."""
    wanted: dict[str, list[str]] = {one: [] for one in stand_ins}
    for subset in [None, *home.subsets_on_disk()]:
        known = private_names(home, subset)
        for name in sorted(known.names):
            of_one = wanted.get(known.stand_in(name))
            if of_one is not None and name not in of_one:
                of_one.append(name)
    return wanted
