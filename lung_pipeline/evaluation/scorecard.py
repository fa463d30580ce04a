# SPDX-License-Identifier: Apache-2.0
"""The scorecard: one frozen record of how good one set of models is on one set of data.

Belongs here: the record, its JSON and its flat names for a tracking server. Does not belong here:
how the figures are made (``froc.py``, ``malignancy.py``) and how they are shown (``reporting``). It
takes no clock and no path: when and where come in as values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lung_pipeline.errors import StoreError
from lung_pipeline.evaluation.details import Details
from lung_pipeline.evaluation.detection.froc import FP_RATES, Froc, OperatingPoint
from lung_pipeline.evaluation.detection.matching import Matches
from lung_pipeline.evaluation.ranking.malignancy import MalignancyFigures
from lung_pipeline.evaluation.readers import ReadersFigures
from lung_pipeline.evaluation.split_certificate import SplitCertificate


@dataclass(frozen=True, slots=True)
class DataFigures:
    """What was scored."""

    part: str
    """The part of the split: train, validation or test."""

    subsets: tuple[str, ...]
    """The subsets it was drawn from."""

    num_series: int
    """Series that were looked at, those without a nodule included: the divisor of all rates."""

    num_patients: int
    """Patients they belong to."""

    num_nodules: int
    """Nodules to be found."""


@dataclass(frozen=True, slots=True)
class DetectionFigures:
    """How well nodules are found; a figure is None where there is nothing to measure it on."""

    froc: tuple[tuple[float, float | None], ...]
    """Pairs of false positives a scan and sensitivity, at the seven rates of LUNA16."""

    cpm: float | None
    """The mean of the seven sensitivities."""

    threshold: float | None
    """The operating point: findings count from this score on; None where none may count."""

    sensitivity: float | None
    """Share of the nodules found at the operating point."""

    fp_per_scan: float
    """False positives a scan at the operating point."""

    how_chosen: str
    """How the operating point was chosen, in words."""

    counts: dict[str, int]
    """Nodules hit and missed, findings on excluded marks, double hits, false positives, and
    series without a finding, all without any threshold."""


_OPTIONAL: dict[str, Callable[[Mapping[str, Any]], object]] = {
    "readers": ReadersFigures.from_json,
    "malignancy_6_to_20_mm": MalignancyFigures.from_json,
    "details": Details.from_json,
}
"""How the sections are read that not every record has."""


@dataclass(frozen=True, slots=True)
class Scorecard:
    """One set of models on one set of data."""

    name: str
    """What this scorecard is called."""

    data: DataFigures
    """What was scored."""

    models: dict[str, str]
    """For each step its model: name, version and hash of the weights, as one string."""

    detection: DetectionFigures
    """How well nodules are found."""

    malignancy: MalignancyFigures
    """How well malignant is told from benign, beside the diameter alone."""

    split: SplitCertificate
    """That the patients were unseen."""

    provenance: dict[str, Any]
    """What made it: code version, settings, fingerprints of the inputs."""

    made_at: str
    """When, in ISO 8601."""

    readers: ReadersFigures | None = None
    """The readers' rule beside the diagnoses; None without a table of them, as in old records."""

    malignancy_6_to_20_mm: MalignancyFigures | None = None
    """The same for nodules of 6 to 20 mm, where size does not decide; None in old records."""

    details: Details | None = None
    """All that stands behind the headline, with intervals; None in old records."""

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary for ``scorecard.json``."""
        details = None if self.details is None else self.details.as_json()
        return {**asdict(self), "details": details}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Scorecard:
        """The scorecard as it was before ``as_json``; ``StoreError`` where a field is missing."""
        try:
            data, detection = record["data"], record["detection"]
            pairs = tuple(map(tuple, detection["froc"]))
            optional = {name: record[name] for name in _OPTIONAL if record.get(name) is not None}
            return cls(
                **{
                    **record,
                    "data": DataFigures(**{**data, "subsets": tuple(data["subsets"])}),
                    "detection": DetectionFigures(**{**detection, "froc": pairs}),
                    "malignancy": MalignancyFigures.from_json(record["malignancy"]),
                    "split": SplitCertificate(**record["split"]),
                    **{name: _OPTIONAL[name](found) for name, found in optional.items()},
                }
            )
        except (KeyError, TypeError) as problem:
            raise StoreError(
                value=str(problem),
                place="scorecard",
                rule="a scorecard must have exactly the fields of this version of the package",
                cure="Make the scorecard again.",
            ) from problem

    def metrics(self) -> dict[str, float]:
        """All figures under flat names that MLflow accepts; what is not known is left out."""
        detection = self.detection
        sections = {
            "malignancy": self.malignancy,
            "malignancy_6_to_20_mm": self.malignancy_6_to_20_mm,
            "readers": self.readers,
        }
        figures: dict[str, float | None] = {
            "detection/cpm": detection.cpm,
            **{f"detection/sensitivity_at_{fp:g}_fp_per_scan": s for fp, s in detection.froc},
            "detection/threshold": detection.threshold,
            "detection/sensitivity_at_operating_point": detection.sensitivity,
            "detection/fp_per_scan_at_operating_point": detection.fp_per_scan,
            **{f"detection/num_{name}": count for name, count in detection.counts.items()},
            "data/num_series": self.data.num_series,
            "data/num_patients": self.data.num_patients,
            "data/num_nodules": self.data.num_nodules,
            "split/patients_in_two_parts": self.split.patients_in_two_parts,
            "split/models_of_another_split": self.split.num_models_of_another_split,
        }
        for section, of in sections.items():
            flat = {} if of is None else of.metrics()
            figures |= {f"{section}/{name}": figure for name, figure in flat.items()}
        figures |= {} if self.details is None else self.details.metrics()
        return {name: float(value) for name, value in figures.items() if value is not None}


def build_scorecard(
    *,
    name: str,
    part: str,
    subsets: tuple[str, ...],
    num_patients: int,
    models: dict[str, str],
    matches: Matches,
    curve: Froc,
    point: OperatingPoint,
    how_chosen: str,
    malignancy: MalignancyFigures,
    split: SplitCertificate,
    provenance: dict[str, Any],
    made_at: str,
    readers: ReadersFigures | None = None,
    malignancy_6_to_20_mm: MalignancyFigures | None = None,
    details: Details | None = None,
) -> Scorecard:
    """Put the figures of one evaluation together; counts come from the matches and the curve."""
    detection = DetectionFigures(
        froc=tuple((rate, _known(curve.sensitivity_at(rate))) for rate in FP_RATES),
        cpm=_known(curve.cpm),
        threshold=_known(point.threshold),
        sensitivity=_known(point.sensitivity),
        fp_per_scan=point.fp_per_scan,
        how_chosen=how_chosen,
        counts=matches.counts,
    )
    return Scorecard(
        name=name,
        data=DataFigures(part, subsets, curve.num_series, num_patients, curve.num_nodules),
        models=models,
        detection=detection,
        malignancy=malignancy,
        split=split,
        provenance=provenance,
        made_at=made_at,
        readers=readers,
        malignancy_6_to_20_mm=malignancy_6_to_20_mm,
        details=details,
    )


def _known(figure: float) -> float | None:
    """None for NaN and infinity, which JSON has no word for."""
    return figure if math.isfinite(figure) else None
