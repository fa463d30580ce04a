# SPDX-License-Identifier: Apache-2.0
"""Makes the leakage certificate of a home, keeps it, and refuses to train without it.

Belongs here: which tables are read and which must match. Does not belong here: the checks
themselves (``leakage.py``) and the form of the certificate (``certificate.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lung_pipeline.annotations.balance import shares_of_parts
from lung_pipeline.annotations.splits import (
    PARTS,
    patients_in_two_parts,
    patients_in_two_subsets,
    split_from_json,
)
from lung_pipeline.annotations.subset import (
    CANDIDATES,
    SERIES,
    malignancy_rules_of,
    read_series_of,
)
from lung_pipeline.crops.certificate import LeakageCertificate, PartCounts, SubsetPrint
from lung_pipeline.crops.duplicates import DuplicateSearch, find_duplicates
from lung_pipeline.crops.leakage import leak_checks, rule_checks
from lung_pipeline.crops.same_scans import LOOKS, with_voxels
from lung_pipeline.crops.store import INDEX, CropSet, open_crops, read_signatures
from lung_pipeline.ct.subset import VOLUMES
from lung_pipeline.errors import StoreError
from lung_pipeline.home import Home
from lung_pipeline.tables import fingerprint, read_origin, read_table
from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    import pandas as pd

_CURE_MISSING = "Materialize `leakage_certificate`, or run `lung-pipeline splits check`."

_CURE_FAILED = (
    "Correct the table of patients, take a doubled scan out, or divide and label all subsets by "
    "one rule; then ingest again."
)


def subsets_with_crops(home: Home) -> list[str]:
    """The subsets of a home that have candidates and crops, sorted: what can be certified."""
    tables = home.manifest(CANDIDATES, "any").parent.glob("[!.]*.parquet")
    return sorted(path.stem for path in tables if home.crops_index(path.stem).is_file())


def make_certificate(home: Home, subsets: Sequence[str]) -> LeakageCertificate:
    """Check the split of some subsets, all together.

    Raises:
        StoreError: no subset, a table that has not been made, or crops of other candidates.
    """
    if not subsets:
        raise StoreError(
            value="no subset",
            place=home.certificate,
            rule="a certificate must cover at least one subset with candidates and crops",
            cure="Materialize the crops of a subset first (job `ingest`).",
        )
    chosen = sorted(set(subsets))
    prints = {subset: _print_of(home, subset) for subset in chosen}
    series = with_voxels(home, _with_volumes(home, read_series_of(home, chosen), chosen))
    crops = open_crops([home.crops(subset) for subset in chosen])
    rules = _rules(home, chosen)
    split = split_from_json(next(iter(rules.values())))
    duplicates = _duplicates(home, chosen, crops)
    nodules = crops.index[crops.index["is_nodule"]]
    return LeakageCertificate(
        split_sha256=_split_sha256(series),
        rule=split.as_json(),
        subsets=prints,
        parts={part: _counts(series, crops.index, part) for part in PARTS},
        patients_in_two_subsets=patients_in_two_subsets(series),
        balance=shares_of_parts(nodules),
        checks=(
            *rule_checks(series, rules, split, malignancy_rules_of(home, nodules)),
            *leak_checks(series, crops.index, duplicates),
        ),
        # ``build_candidates`` names a patient it does not know by his series.
        num_series_without_patient=int((series["patient_id"] == series["series_uid"]).sum()),
    )


def write_certificate(home: Home, certificate: LeakageCertificate) -> None:
    """Keep the certificate of a home, passed or not, whole or not at all."""
    with written_whole(home.certificate) as temporary:
        temporary.write_text(certificate.as_text())


def read_certificate(home: Home) -> LeakageCertificate:
    """The certificate of a home; ``StoreError`` where there is none or it cannot be read."""
    try:
        text = home.certificate.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _uncertified(home, "no certificate") from error
    return LeakageCertificate.from_text(text, home.certificate)


def refuse_uncertified(home: Home, subsets: Sequence[str]) -> LeakageCertificate:
    """The certificate under which these subsets may be learned from.

    Raises:
        StoreError: none, one that failed, or one of other tables than these subsets have now.
    """
    certificate = read_certificate(home)
    if not certificate.passed:
        raise _uncertified(home, f"one that failed: {certificate.first_fault}", _CURE_FAILED)
    for subset in subsets:
        if subset not in certificate.subsets:
            raise _uncertified(home, f"one without {subset}")
        if certificate.subsets[subset] != _print_of(home, subset):
            raise _uncertified(home, f"one of other candidates, crops or volumes of {subset}")
    return certificate


def refuse_failed(home: Home, certificate: LeakageCertificate) -> None:
    """``StoreError`` in one line where a check failed; the certificate has the others."""
    if not certificate.passed:
        raise StoreError(
            value=f"a failed check: {certificate.first_fault}",
            place=home.certificate,
            rule="nothing of one part may be met in another",
            cure=_CURE_FAILED,
        )


def has_split_of(
    home: Home, subsets: Sequence[str], certificate: LeakageCertificate
) -> bool | None:
    """Whether some subsets are divided now as a model was taught that they are.

    Args:
        home: holds the tables.
        subsets: whose patients it is asked about.
        certificate: the one under which the model was trained.

    Returns:
        None where a subset that the model learned from is not here any more.
    """
    if any(rule != certificate.rule for rule in _rules(home, subsets).values()):
        return False
    learned = sorted(certificate.subsets)
    if not all(home.manifest(SERIES, subset).is_file() for subset in learned):
        return None
    if _split_sha256(read_series_of(home, learned)) != certificate.split_sha256:
        return False
    # By LUNA16's folds a patient's part depends on all subsets he has a series in.
    return not patients_in_two_parts(read_series_of(home, sorted({*learned, *subsets})))


def _uncertified(home: Home, found: str, cure: str = _CURE_MISSING) -> StoreError:
    return StoreError(
        value=found,
        place=home.certificate,
        rule="a split must be certified, for the tables as they are, before a model learns",
        cure=cure,
    )


def _print_of(home: Home, subset: str) -> SubsetPrint:
    """By what a subset is known; ``StoreError`` where its crops were cut of other tables."""
    folder = home.crops(subset)
    candidates, volumes = (
        _fingerprint_cut_for(home, subset, stage, name)
        for stage, name in ((CANDIDATES, "candidates"), (VOLUMES, "volumes"))
    )
    signatures = hashlib.sha256(read_signatures(folder).tobytes()).hexdigest()[:16]
    return SubsetPrint(candidates, signatures, volumes)


def _fingerprint_cut_for(home: Home, subset: str, stage: str, name: str) -> str:
    """Of a stage's table; ``StoreError`` where the crops were cut when it was another one."""
    path, folder = home.manifest(stage, subset), home.crops(subset)
    found = fingerprint(read_table(path), read_origin(path))
    cut_for = read_origin(folder / INDEX).get(name)
    if cut_for != found:
        raise StoreError(
            value=f"those of {cut_for}",
            place=folder,
            rule=f"the crops must be those of the {name} as they are ({found})",
            cure="Materialize the crops of this subset again.",
        )
    return found


def _with_volumes(home: Home, series: pd.DataFrame, subsets: Sequence[str]) -> pd.DataFrame:
    """The series with the hash of their source files and the looks of their volumes."""
    import pandas as pd

    columns = ["series_uid", "source_sha256", *LOOKS]
    volumes = [
        read_table(home.manifest(VOLUMES, subset), columns).assign(subset=subset)
        for subset in subsets
    ]
    known = pd.concat(volumes, ignore_index=True)
    known = known[known["series_uid"] != ""]  # a scan that was refused has no series
    return series.merge(known, on=["subset", "series_uid"], how="left", validate="one_to_one")


def _rules(home: Home, subsets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rule of each table of candidates and of series."""
    tables = [(stage, subset) for subset in subsets for stage in (SERIES, CANDIDATES)]
    return {
        f"{stage} of {subset}": dict(read_origin(home.manifest(stage, subset)).get("split", {}))
        for stage, subset in tables
    }


def _duplicates(home: Home, subsets: Sequence[str], crops: CropSet) -> DuplicateSearch:
    signatures = np.concatenate([read_signatures(home.crops(subset)) for subset in subsets])
    part_number = np.asarray([PARTS.index(part) for part in crops.index["part"]], dtype=np.int64)
    return find_duplicates(signatures, crops.index["series_uid"].tolist(), part_number, crops.read)


def _split_sha256(series: pd.DataFrame) -> str:
    rows = series[["series_uid", "patient_id", "part"]].itertuples(index=False)
    lines = sorted({"\t".join(map(str, row)) for row in rows})
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _counts(series: pd.DataFrame, crops: pd.DataFrame, part: str) -> PartCounts:
    of_part, cut = series[series["part"] == part], crops[crops["part"] == part]
    return PartCounts(
        patients=int(of_part["patient_id"].nunique()),
        series=int(of_part["series_uid"].nunique()),
        nodules=int(cut["is_nodule"].sum()),
        crops=len(cut),
    )
