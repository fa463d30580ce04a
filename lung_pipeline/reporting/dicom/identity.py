# SPDX-License-Identifier: Apache-2.0
"""Whose the written DICOM files are: what they say of the patient and the study, and what not.

Belongs here: the list of attributes that are taken over from a source, and nothing else is; so no
private tag, institution or device of the source can slip through. Does not belong here: UIDs,
which are no secret of the patient's but are made anew where a file is to be de-identified
(``dicom_derived``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lung_pipeline.diagnosis.patient import Diagnosis
from lung_pipeline.errors import in_one_line
from lung_pipeline.reporting.dicom.uids import made_uid

if TYPE_CHECKING:
    from pydicom import Dataset

REQUIRED_KEYWORDS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Attributes of patient and study of type 2: written also where empty (PS3.3, C.7.1 and C.7.2)."""

OPTIONAL_KEYWORDS = (
    "IssuerOfPatientID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
)
"""The same of type 3: an archive wants them alike in all files of a patient and a study."""

_UTF_8 = "ISO_IR 192"
"""The character set of all that is written: it holds every name, however the source was coded."""

LONGEST_LO = 64
"""Most characters of an identifier or a name (value representation LO, PS3.5, 6.2)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is written of patient and study."""

    values: Mapping[str, Any]
    """Keyword to value; what is absent is left empty or away."""

    def put_into(self, dataset: Dataset) -> None:
        """Write it into a dataset, replacing what stood there, as UTF-8."""
        from pydicom import config

        values = {"SpecificCharacterSet": _UTF_8, **dict.fromkeys(REQUIRED_KEYWORDS), **self.values}
        # What a hospital wrote is taken over as it is, also where it breaks a rule of DICOM.
        with config.disable_value_validation():
            for keyword, value in values.items():
                # The library shares elements between datasets: a new one, or both would change.
                if keyword in dataset:
                    del dataset[keyword]
                setattr(dataset, keyword, value)


def identity_of(header: Dataset) -> Identity:
    """The identity in a source's header; call it where values are not validated."""
    present = (word for word in (*REQUIRED_KEYWORDS, *OPTIONAL_KEYWORDS) if word in header)
    return Identity({word: header[word].value for word in present})


def identity_named(patient_id: str) -> Identity:
    """The identity where the source is no DICOM and only an identifier is known."""
    # A backslash would part the identifier in two.
    return Identity({"PatientID": patient_id.replace("\\", "_")[:LONGEST_LO]})


def no_identity(source_sha256: str) -> Identity:
    """Nobody's: a pseudonym from a hash of the source keeps two patients apart in an archive."""
    pseudonym = made_uid("pseudonym", source_sha256).removeprefix("2.25.")[:16]
    method = "Written anew without patient, study and device of the source"
    return Identity(
        {
            "PatientID": f"ANON-{pseudonym}",
            "PatientIdentityRemoved": "YES",
            "DeidentificationMethod": method,
            "LongitudinalTemporalInformationModified": "REMOVED",
        }
    )


def unnamed(diagnosis: Diagnosis) -> Diagnosis:
    """A diagnosis without what names patient and series; cautions keep the rest of their words."""
    names = {diagnosis.patient_id, *diagnosis.series_uids} - {""}
    forms = {form for name in names for form in (name, in_one_line(name))}
    return replace(
        diagnosis,
        patient_id="",
        series_uids=(),
        inputs_sha256={},
        cautions=tuple(_without(forms, caution) for caution in diagnosis.cautions),
        not_looked_at={},
    )


def _without(forms: Iterable[str], words: str) -> str:
    """A name is left out where it stands by itself: of "3.1 mm" nothing goes with a series "1"."""
    for form in sorted(forms, key=len, reverse=True):
        alone = rf"(?<![\w.]){re.escape(form)}(?![\w]|\.\d)"
        words = re.sub(alone, "(left out)", words)
    return words
