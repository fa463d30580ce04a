# SPDX-License-Identifier: Apache-2.0
"""The figures of two systems on the same patients, in pairs, and the nodules won and lost.

Both are held against the same nodules and drawn with the same patients, so what they share drops
out of the difference and its interval is far narrower than two intervals side by side.

- The seven sensitivities and the CPM: ``froc_bootstrap.py``.
- Nodules found and false positives a scan at each system's own operating point, which is how it
  would be used.
- Malignancy over all rated nodules: one that a system misses is never called malignant, so it ranks
  lowest. It is detection and malignancy in one, so a system that finds more benign nodules may rank
  worse by it.
- Malignancy over the rated nodules that both find: the malignancy models alone.

Two systems worked by hand, four scans of four patients with a nodule each, no false positive:

    nodule      score of A   of B    A counts from 0.5, B from 0.4
    1           0.9          0.8     found by both
    2           0.6          0.3     lost: B has a finding there, but does not count it
    3           missed       0.7     won
    4           0.2          0.4     won: a finding at exactly the threshold counts

Sensitivity at the operating points: A 2/4, B 3/4, difference +1/4.

Belongs here: figures in pairs. Does not belong here: the record (``comparison.py``), and whether
the two may be compared at all (``systems.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lung_pipeline.evaluation.comparison.changed_nodules import changed_nodules
from lung_pipeline.evaluation.comparison.comparison import (
    CPM,
    MALIGNANCY_AUC,
    MALIGNANCY_AUC_OF_FOUND,
    Comparison,
    Pair,
    Side,
    sensitivity_at,
)
from lung_pipeline.evaluation.comparison.paired_counts import operating_pairs
from lung_pipeline.evaluation.comparison.systems import (
    System,
    refuse_other_truth,
    truth_fingerprint,
)
from lung_pipeline.evaluation.detection.froc import FP_RATES, froc
from lung_pipeline.evaluation.detection.froc_bootstrap import froc_difference
from lung_pipeline.evaluation.detection.froc_draws import NUM_FROC_RESAMPLES
from lung_pipeline.evaluation.detection.matching import Matches
from lung_pipeline.evaluation.intervals import RESAMPLING_SEED
from lung_pipeline.learning.ranking import auc_difference, roc_auc
from lung_pipeline.learning.resampling import NOT_MEASURED

_MISSED = -1.0
"""The malignancy of a nodule that a system misses: below every probability."""

_Floats = npt.NDArray[np.float64]
_Judged = tuple[Matches, npt.NDArray[np.bool_], System]
"""What became of the nodules, which count as found, and by whom."""


def compare(
    a: System, b: System, made_at: str, num_resamples: int = NUM_FROC_RESAMPLES
) -> Comparison:
    """Compare two systems; every difference is B less A.

    Args:
        a: what there was, such as the champion.
        b: what is new, such as the challenger.
        made_at: when, in ISO 8601.
        num_resamples: bootstrap samples of patients.

    Raises:
        StoreError: they were not scored on the same series, nodules and marks.
        AnnotationError: a finding on a rated nodule without the probability its models should give.
    """
    refuse_other_truth(a, b)
    # The rows of one table of nodules for both, so that they are compared row by row.
    nodules = a.evaluation.nodules
    of_a, of_b = (_match(system, a) for system in (a, b))
    found_a, found_b = (_found(m, s) for m, s in ((of_a, a), (of_b, b)))
    patients = a.evaluation.series.set_index("series_uid")["patient_id"]
    of_series = {str(uid): str(patient) for uid, patient in patients.items()}
    scores = (of_a.nodule_score, of_b.nodule_score)
    return Comparison(
        a=Side(a.name, a.models, _known(a.threshold), int(found_a.sum())),
        b=Side(b.name, b.models, _known(b.threshold), int(found_b.sum())),
        part=a.part,
        subsets=a.evaluation.subsets,
        num_series=len(of_a.series_uids),
        num_patients=a.evaluation.num_patients,
        num_nodules=len(nodules),
        truth=truth_fingerprint(a.evaluation),
        figures={
            **_froc_pairs(of_a, of_b, of_series, num_resamples),
            **operating_pairs(
                (of_a, found_a, a.threshold), (of_b, found_b, b.threshold), of_series, num_resamples
            ),
            **_malignancy_pairs((of_a, found_a, a), (of_b, found_b, b)),
        },
        won=changed_nodules(nodules, *scores, found_b & ~found_a),
        lost=changed_nodules(nodules, *scores, found_a & ~found_b),
        made_at=made_at,
    )


def _match(system: System, first: System) -> Matches:
    """A system's findings against the rows of the first system's table of nodules."""
    return replace(system.evaluation, nodules=first.evaluation.nodules).matched()


def _found(matches: Matches, system: System) -> npt.NDArray[np.bool_]:
    """Which nodules count as found at the operating point; NaN is not."""
    return np.asarray(matches.nodule_score >= system.threshold)


def _froc_pairs(
    of_a: Matches, of_b: Matches, of_series: Mapping[str, str], num_resamples: int
) -> dict[str, Pair]:
    difference = froc_difference(of_b, of_a, of_series, num_resamples=num_resamples)
    curve_a, curve_b = (froc(matches, len(matches.series_uids)) for matches in (of_a, of_b))
    cpm = Pair(_known(curve_a.cpm), _known(curve_b.cpm), difference.cpm)
    estimates = dict(difference.sensitivity)
    at_rates = {
        sensitivity_at(rate): Pair(
            _known(curve_a.sensitivity_at(rate)),
            _known(curve_b.sensitivity_at(rate)),
            estimates[rate],
        )
        for rate in FP_RATES
    }
    return {CPM: cpm, **at_rates}


def _malignancy_pairs(a: _Judged, b: _Judged) -> dict[str, Pair]:
    """Both rankings of malignancy; without two models there is nothing to compare."""
    nodules = a[2].evaluation.nodules
    is_rated = nodules["is_malignant"].notna().to_numpy(dtype=bool)
    is_malignant = nodules["is_malignant"].fillna(value=False).to_numpy(dtype=bool)
    patient_ids = nodules["patient_id"].to_numpy(dtype=object)
    by_a, by_b = (_malignancy(*judged) for judged in (a, b))

    def pair(rows: npt.NDArray[np.bool_]) -> Pair:
        truth, whose = is_malignant[rows], patient_ids[rows]
        of_a, of_b = (None if by is None else by[rows] for by in (by_a, by_b))
        if of_a is None or of_b is None:
            auc_a, auc_b = (None if of is None else roc_auc(truth, of) for of in (of_a, of_b))
            return Pair(auc_a, auc_b, NOT_MEASURED)
        rng = np.random.default_rng(RESAMPLING_SEED)
        difference = auc_difference(truth, of_b, of_a, whose, rng)
        return Pair(roc_auc(truth, of_a), roc_auc(truth, of_b), difference)

    return {
        MALIGNANCY_AUC: pair(is_rated),
        MALIGNANCY_AUC_OF_FOUND: pair(is_rated & a[1] & b[1]),
    }


def _malignancy(
    matches: Matches, is_found: npt.NDArray[np.bool_], system: System
) -> _Floats | None:
    """For each nodule the probability of its finding to be malignant; None without a model."""
    if "malignancy" not in system.models:
        return None
    of_finding = system.evaluation.findings["malignancy_probability"].to_numpy(dtype=np.float64)
    of_nodule = np.append(of_finding, _MISSED)[matches.nodule_finding]
    return np.where(is_found, of_nodule, _MISSED)


def _known(figure: float) -> float | None:
    """None for NaN and infinity, which JSON has no word for."""
    return float(figure) if np.isfinite(figure) else None
