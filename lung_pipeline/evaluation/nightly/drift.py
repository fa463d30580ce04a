# SPDX-License-Identifier: Apache-2.0
"""What is other tonight than on the day of promotion, one plain sentence each.

Weights, tables, inputs, findings and figures fail a night; libraries and device alone warn, but
loosen the figures' tolerance (``Tolerances`` says why).

Belongs here: what is compared and the sentences. Does not belong here: how either side is gathered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lung_pipeline.evaluation.nightly.input_profile import QUANTILES, InputProfile, total_variation
from lung_pipeline.evaluation.nightly.revalidation import Baseline, TableState
from lung_pipeline.evaluation.nightly.tolerances import Tolerances

WEIGHTS, TABLE, INPUT, FINDINGS, FIGURE = "weights", "table", "input", "findings", "figure"
CODE = "code"
LIBRARY, DEVICE = "library", "device"
"""The kinds of drift; the last two only warn."""

PACKAGE = "lung_pipeline"
"""This package among the libraries: its version, or its commit."""

_NO_TOLERANCE = "none"
_NOTHING = "nothing"
_UNJUDGED = ("readers/", "waterfall/", "false_positives/", "split/models_of_another_split")
"""Figures that are not those of the models on the frozen part. The readers are held against the
diagnoses of all parts; what models learned from is the other parts, which may change. Where nodules
were lost and what false positives lie on is recorded by ``diagnose`` beside its findings; a night
makes findings alone."""

_THRESHOLD = "threshold"
"""How the names of figures end that are probabilities, and judged as shares of themselves."""

_QUANTILE_NAMES = dict(
    zip(QUANTILES, ("least", "lower quartile", "median", "upper quartile", "greatest"), strict=True)
)


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that changed."""

    kind: str
    """What sort of thing: weights, table, input, code, findings, figure, library or device."""

    what: str
    """Which one."""

    was: str
    """At promotion."""

    now: str
    """Tonight."""

    tolerance: str
    """How far it may differ."""

    sentence: str
    """All of it in words."""

    @property
    def is_failure(self) -> bool:
        """Whether it fails the night; else it only warns."""
        return self.kind not in (LIBRARY, DEVICE)

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def drift(
    baseline: Baseline, tonight: Baseline, tolerances: Tolerances | None = None
) -> tuple[Drift, ...]:
    """What changed beyond its tolerance, causes before effects; empty where all is as it was.

    Figures that only one side has: one of the baseline that is gone is a drift, a new one is not
    (a later version of this package may measure more).
    """
    limits = tolerances or Tolerances()
    effects = (*_findings(baseline, tonight, limits), *_figures(baseline, tonight, limits))
    return (
        *_files(baseline, tonight),
        *_tables(baseline, tonight),
        *_inputs(baseline.inputs, tonight.inputs, limits),
        *(_package(baseline, tonight) if effects else ()),
        *effects,
        *_words(LIBRARY, baseline.libraries, tonight.libraries),
        *_words(DEVICE, baseline.computed_on, tonight.computed_on),
    )


def is_computed_alike(baseline: Baseline, tonight: Baseline) -> bool:
    """Whether both were computed with the same libraries on the same CPU, so to the last digits.

    Another version of this package is no excuse: a night is there to find what it changed.
    """
    was, now = (_other_libraries(one) for one in (baseline, tonight))
    same = (was, baseline.computed_on) == (now, tonight.computed_on)
    return same and tonight.computed_on.get("device") == "cpu"


def _other_libraries(of: Baseline) -> dict[str, str]:
    return {name: version for name, version in of.libraries.items() if name != PACKAGE}


def _package(baseline: Baseline, tonight: Baseline) -> Iterator[Drift]:
    """That this package is another, where findings or figures moved: it may be the cause."""
    was, now = (one.libraries.get(PACKAGE, _NOTHING) for one in (baseline, tonight))
    if was != now:
        sentence = (
            f"This package is {now} instead of {was}: where it was meant to change what follows, "
            "run `revalidate` with a reason in `renew_baseline`."
        )
        yield Drift(CODE, PACKAGE, was, now, _NO_TOLERANCE, sentence)


def _files(baseline: Baseline, tonight: Baseline) -> Iterator[Drift]:
    for step, files in baseline.files.items():
        found = tonight.files.get(step, {})
        model = baseline.models[step]
        for name in sorted({*files, *found}):
            was, now = files.get(name, _NOTHING), found.get(name, _NOTHING)
            if was == now:
                continue
            sentence = (
                f"The {step} model {model} changed on disk: the file {name} has the SHA-256 "
                f"{now[:12]} instead of {was[:12]}."
            )
            if now == _NOTHING:
                sentence = f"The {step} model {model} lacks its file {name}."
            if was == _NOTHING:
                sentence = f"The {step} model {model} has a file it did not have: {name}."
            yield Drift(WEIGHTS, f"{step}/{name}", was, now, _NO_TOLERANCE, sentence)


def _tables(baseline: Baseline, tonight: Baseline) -> Iterator[Drift]:
    for name in sorted({*baseline.tables, *tonight.tables}):
        was, now = baseline.tables.get(name), tonight.tables.get(name)
        if was == now:
            continue
        said = f"The validation table {name} {_change_of_table(was, now)}."
        yield Drift(TABLE, name, _state(was), _state(now), _NO_TOLERANCE, said)


def _change_of_table(was: TableState | None, now: TableState | None) -> str:
    if now is None:
        return "is gone"
    if was is None:
        return "was not there"
    difference = now.num_rows - was.num_rows
    if not difference:
        return f"has other values in its {now.num_rows} rows"
    more = "more" if difference > 0 else "less"
    rows = "one row" if abs(difference) == 1 else f"{abs(difference)} rows"
    return f"has {rows} {more}: {now.num_rows} instead of {was.num_rows}"


def _state(table: TableState | None) -> str:
    return _NOTHING if table is None else f"{table.num_rows} rows, {table.fingerprint}"


def _inputs(was: InputProfile, now: InputProfile, limits: Tolerances) -> Iterator[Drift]:
    moved = total_variation(was.hu_shares, now.hu_shares)
    if moved > limits.hu_histogram:
        sentence = (
            f"{moved:.3%} of the voxels of the validation scans lie in another bin of the HU "
            f"histogram; {limits.hu_histogram:.3%} may."
        )
        yield _drift(INPUT, "HU histogram", 0.0, moved, limits.hu_histogram, sentence)
    if abs(now.lung_share - was.lung_share) > limits.lung_share:
        sentence = (
            f"{now.lung_share:.3%} of the voxels of the validation scans look like lung instead of "
            f"{was.lung_share:.3%}; they may differ by {limits.lung_share:.3%}."
        )
        yield _drift(
            INPUT, "share of lung", was.lung_share, now.lung_share, limits.lung_share, sentence
        )
    for field in ("num_slices", "slice_spacing_mm", "pixel_spacing_mm"):
        yield from _quantiles(field, getattr(was, field), getattr(now, field), limits.geometry)


def _quantiles(
    field: str, was: tuple[float, ...], now: tuple[float, ...], tolerance: float
) -> Iterator[Drift]:
    for name, before, after in zip(_QUANTILE_NAMES.values(), was, now, strict=True):
        if abs(after - before) > tolerance * abs(before):
            what = f"{name} {field}"
            sentence = (
                f"The {what} of the validation scans is {after:g} instead of {before:g}; they may "
                f"differ by {tolerance:.1%}."
            )
            yield _drift(INPUT, what, before, after, tolerance, sentence)


def _findings(baseline: Baseline, tonight: Baseline, limits: Tolerances) -> Iterator[Drift]:
    was, now = baseline.findings_per_scan, tonight.findings_per_scan
    if was is None or now is None or abs(now - was) <= limits.findings * was:
        return
    sentence = (
        f"There are {now:.2f} findings a scan instead of {was:.2f}; they may differ by "
        f"{limits.findings:.1%}."
    )
    yield _drift(FINDINGS, "findings a scan", was, now, limits.findings, sentence)


def _figures(baseline: Baseline, tonight: Baseline, limits: Tolerances) -> Iterator[Drift]:
    if not tonight.figures:
        return
    is_alike = is_computed_alike(baseline, tonight)
    for name, was in baseline.figures.items():
        if name.startswith(_UNJUDGED):
            continue
        now = tonight.figures.get(name)
        tolerance, scale = _tolerance(name, limits, is_alike), _scale(name, was)
        if now is None:
            said = f"{name} cannot be measured any more; it was {was:.6g}."
            yield Drift(FIGURE, name, f"{was:.9g}", _NOTHING, f"{tolerance:g}", said)
        elif now != was and not abs(now - was) <= tolerance * scale:
            said = f"{name} is {now:.6g} instead of {was:.6g}; it may differ by {tolerance:g}."
            yield _drift(FIGURE, name, was, now, tolerance, said)


def _tolerance(name: str, limits: Tolerances, is_alike: bool) -> float:
    if is_alike:
        return limits.figures
    is_threshold = name.endswith(_THRESHOLD)
    return limits.thresholds_elsewhere if is_threshold else limits.figures_elsewhere


def _scale(name: str, was: float) -> float:
    """What a tolerance is a share of: 1, or a count, or a threshold, which may be .0004."""
    return abs(was) if name.endswith(_THRESHOLD) else max(1.0, abs(was))


def _words(kind: str, was: dict[str, str], now: dict[str, str]) -> Iterator[Drift]:
    for name in sorted({*was, *now}):
        before, after = was.get(name, _NOTHING), now.get(name, _NOTHING)
        if before != after:
            sentence = f"The {kind} is another: {name} is {after} instead of {before}."
            yield Drift(kind, name, before, after, _NO_TOLERANCE, sentence)


def _drift(kind: str, what: str, was: float, now: float, tolerance: float, sentence: str) -> Drift:
    return Drift(kind, what, f"{was:.9g}", f"{now:.9g}", f"{tolerance:g}", sentence)
