# SPDX-License-Identifier: Apache-2.0
"""Laws of merging findings, for any findings of a series."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lung_pipeline.diagnosis.findings import Finding
from lung_pipeline.diagnosis.steps.masks import FindingMask
from lung_pipeline.diagnosis.steps.merging import Merging, merged

# Few values each, so that findings meet, tie and coincide.
_findings = st.builds(
    lambda x, y, z, diameter, probability: Finding(
        "1.2", x, y, z, 0.0, 0.0, 0.0, diameter, probability, None
    ),
    st.integers(0, 24).map(float),
    st.integers(0, 6).map(float),
    st.sampled_from([0.0, 2.5]),
    st.sampled_from([3.0, 5.5, 8.0, 21.0]),
    st.sampled_from([0.0, 0.25, 0.5, 0.99, 1.0]),
)
SERIES = st.lists(_findings, max_size=14)


def _merged(findings: list[Finding]) -> Merging:
    mask = FindingMask((0, 0, 0), np.ones((1, 1, 1), dtype=np.bool_))
    return merged(findings, [mask] * len(findings))


def _are_one(one: Finding, other: Finding) -> bool:
    apart_mm = np.linalg.norm(
        np.subtract((one.x_mm, one.y_mm, one.z_mm), (other.x_mm, other.y_mm, other.z_mm))
    )
    return bool(apart_mm < max(one.diameter_mm, other.diameter_mm) / 2)


@given(SERIES)
def test_merging_twice_is_merging_once(findings: list[Finding]) -> None:
    once = _merged(findings)
    assert _merged(list(once.findings)).findings == once.findings


@given(SERIES, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(findings: list[Finding], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(findings, len(findings))
    assert sorted(map(repr, _merged(shuffled).findings)) == sorted(
        map(repr, _merged(findings).findings)
    )


@given(SERIES)
def test_no_two_that_stay_are_one_nodule(findings: list[Finding]) -> None:
    stay = _merged(findings).findings
    assert not any(_are_one(a, b) for n, a in enumerate(stay) for b in stay[:n])


@given(SERIES)
def test_each_becomes_one_beside_it_that_is_as_probable(findings: list[Finding]) -> None:
    merging = _merged(findings)
    for finding, place in zip(findings, merging.survivors, strict=True):
        survivor = merging.findings[place]
        assert finding == survivor or _are_one(finding, survivor)
        assert survivor.nodule_probability >= finding.nodule_probability


@given(SERIES)
def test_one_that_is_far_from_all_others_stays(findings: list[Finding]) -> None:
    stay = _merged(findings).findings
    for n, finding in enumerate(findings):
        others = findings[:n] + findings[n + 1 :]
        assert finding in stay or any(_are_one(finding, other) for other in others)


@given(SERIES)
def test_those_that_stay_are_those_given_in_their_order(findings: list[Finding]) -> None:
    merging = _merged(findings)
    assert list(merging.kept) == sorted(set(merging.kept))
    assert merging.findings == tuple(findings[place] for place in merging.kept)
    assert [merging.survivors[place] for place in merging.kept] == list(range(len(merging.kept)))
