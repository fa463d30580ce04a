# SPDX-License-Identifier: Apache-2.0
"""Whether models were learned under the split that the tables have now.

A training refuses to go on from a model of another split; who scores a model must ask too. Another
seed, or a table of patients that came later, moves patients from one part to another, and those who
are for testing now may be those whom the model was taught.

Belongs here: the question, of models by their labels. Does not belong here: how it is answered of
one certificate (``crops/certify.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lung_pipeline.errors import ModelError, StoreError
from lung_pipeline.evaluation.split_certificate import ANOTHER_SPLIT, SAME_SPLIT, UNKNOWN_SPLIT
from lung_pipeline.home import Home

_IN_WORDS = {True: SAME_SPLIT, False: ANOTHER_SPLIT, None: UNKNOWN_SPLIT}


def split_of_models(
    home: Home, models: Mapping[str, str], subsets: Sequence[str]
) -> dict[str, str]:
    """For each step which split its model was learned under, beside that of some subsets.

    Args:
        home: whose registry and tables.
        models: for each step its model, as it stands beside findings.
        subsets: whose patients are scored.

    Returns:
        ``UNKNOWN_SPLIT`` of a model that lies in a folder or was imported, or whose certificate
        or subsets are not there any more.
    """
    return {step: _IN_WORDS[_has_split(home, step, models[step], subsets)] for step in models}


def _has_split(home: Home, step: str, label: str, subsets: Sequence[str]) -> bool | None:
    from lung_pipeline.crops.certificate import CERTIFICATE_FILE, LeakageCertificate
    from lung_pipeline.crops.certify import has_split_of
    from lung_pipeline.tracking.registry import fetched, find_labelled

    model = find_labelled(home, step, label)
    if model is None:
        return None
    try:
        with fetched(home, model.uri) as folder:
            path = folder / CERTIFICATE_FILE
            if not path.is_file():
                return None
            certificate = LeakageCertificate.from_text(path.read_text(), path)
    except (ModelError, StoreError):
        # Its files are gone, or of another version of this package.
        return None
    return has_split_of(home, subsets, certificate)
