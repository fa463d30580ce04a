# SPDX-License-Identifier: Apache-2.0
"""Small FROC tables worked by hand: the table in the docstring, the figures in the test.

All lies on the x axis, in mm. ``F`` is false positives so far, ``H`` is hits so far. The seven
rates are 1/8, 1/4, 1/2, 1, 2, 4 and 8 a scan.
"""

from __future__ import annotations

import pandas as pd
import pytest

from lung_pipeline.evaluation.detection.detections import strongest_of_each_series
from lung_pipeline.evaluation.detection.froc import FP_RATES, Froc, froc
from lung_pipeline.evaluation.detection.matching import match

Row = tuple[str, float, float]


def table(rows: list[Row], last: str) -> pd.DataFrame:
    """Rows of (series, x, score or diameter)."""
    made = pd.DataFrame(rows, columns=["series_uid", "x_mm", last])
    return made.assign(y_mm=0.0, z_mm=0.0).astype({"series_uid": "str", "x_mm": float, last: float})


def curve_of(
    findings: list[Row],
    nodules: list[Row],
    excluded: list[Row] | None = None,
    *,
    series: str,
    cap: int | None = None,
) -> Froc:
    """The curve over series of one letter each."""
    found = table(findings, "score")
    matches = match(
        found if cap is None else strongest_of_each_series(found, cap),
        table(nodules, "diameter_mm"),
        None if excluded is None else table(excluded, "diameter_mm"),
        series_uids=list(series),
    )
    return froc(matches, len(series))


def at_the_seven(curve: Froc) -> list[float]:
    return [curve.sensitivity_at(rate) for rate in FP_RATES]


def points(curve: Froc) -> list[tuple[float, float]]:
    return list(zip(curve.fp_per_scan.tolist(), curve.sensitivity.tolist(), strict=True))


def test_a_detection_at_exactly_the_radius() -> None:
    """One scan, a nodule of 6 mm at 0; a finding at 3 mm touches its border and misses.

    score  x    fate             H  F   sensitivity  a scan
    0.9    3.0  false positive   0  1   0            1
    0.5    2.9  hit              1  1   1            1

    Up to 1 a scan the curve runs along 0; at 1 it stands at 0 and at 1, the higher counts.
    """
    curve = curve_of([("a", 3.0, 0.9), ("a", 2.9, 0.5)], [("a", 0, 6)], series="a")
    assert points(curve) == [(0, 0), (1, 0), (1, 1)]
    assert at_the_seven(curve) == [0, 0, 0, 1, 1, 1, 1]
    assert curve.cpm == pytest.approx(4 / 7)


def test_two_nodules_sharing_one_detection() -> None:
    """One scan, nodules of 6 mm at 0 and at 4; a finding at 2 lies in both.

    score  x   fate                    H  F   sensitivity  a scan
    0.9    2   hit of both             2  0   2/2          0
    0.8    40  false positive          2  1   2/2          1

    One finding, two hits: more hits than findings that hit.
    """
    curve = curve_of([("a", 2, 0.9), ("a", 40, 0.8)], [("a", 0, 6), ("a", 4, 6)], series="a")
    assert points(curve) == [(0, 0), (0, 1), (1, 1)]
    assert curve.cpm == 1


def test_a_tie_of_a_hit_and_a_false_positive() -> None:
    """Two scans, a nodule in each, all scores equal: they enter together, none first.

    score  fates                             H  F   sensitivity  a scan
    0.5    hit in a, false positive in b     1  1   1/2          1/2

    From (0, 0) to (1/2, 1/2) the curve is a straight line, so that no order of the rows helps.
    """
    curve = curve_of([("a", 0, 0.5), ("b", 40, 0.5)], [("a", 0, 6), ("b", 0, 6)], series="ab")
    assert points(curve) == [(0, 0), (1 / 2, 1 / 2)]
    assert at_the_seven(curve) == [1 / 8, 1 / 4, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2]
    assert curve.cpm == pytest.approx((1 / 8 + 1 / 4 + 5 / 2) / 7)


def test_a_tie_of_two_hits_on_one_nodule() -> None:
    """One scan, a nodule at 0 with two findings of 0.7: one hit, one double hit, no false positive.

    score  fates                  H  F   sensitivity  a scan
    0.7    hit, double hit        1  0   1/2          0
    0.6    false positive         1  1   1/2          1

    The second nodule, at 90, is missed.
    """
    findings = [("a", 1, 0.7), ("a", -1, 0.7), ("a", 40, 0.6)]
    curve = curve_of(findings, [("a", 0, 6), ("a", 90, 6)], series="a")
    assert points(curve) == [(0, 0), (0, 1 / 2), (1, 1 / 2)]
    assert curve.cpm == 1 / 2


def test_a_scan_without_nodules() -> None:
    """Scan a has a nodule, scan b none: b's findings are false positives, and b is in the divisor.

    score  where         fate             H  F   sensitivity  a scan
    0.9    b             false positive   0  1   0            1/2
    0.8    a, nodule     hit              1  1   1            1/2
    0.7    b             false positive   1  2   1            1
    """
    curve = curve_of([("b", 0, 0.9), ("a", 0, 0.8), ("b", 9, 0.7)], [("a", 0, 6)], series="ab")
    assert points(curve) == [(0, 0), (1 / 2, 0), (1 / 2, 1), (1, 1)]
    assert at_the_seven(curve) == [0, 0, 1, 1, 1, 1, 1]


def test_a_scan_without_detections() -> None:
    """Scan a has a hit, scan b a nodule and not one finding: its nodule is missed, it divides.

    score  where       fate             H  F   sensitivity  a scan
    0.9    a, nodule   hit              1  0   1/2          0
    0.8    a           false positive   1  1   1/2          1/2
    """
    curve = curve_of([("a", 0, 0.9), ("a", 40, 0.8)], [("a", 0, 6), ("b", 0, 6)], series="ab")
    assert points(curve) == [(0, 0), (0, 1 / 2), (1 / 2, 1 / 2)]


def test_only_excluded_findings() -> None:
    """One scan, a nodule at 0 and a mark nobody measured at 40; both findings lie on the mark.

    score  x     fate                              H  F
    0.9    40.0  on the mark, which reaches 5 mm   0  0
    0.8    44.9  on the mark                       0  0

    Nothing is hit and nothing is false: the curve is the point (0, 0).
    """
    findings = [("a", 40, 0.9), ("a", 44.9, 0.8)]
    curve = curve_of(findings, [("a", 0, 6)], [("a", 40, -1)], series="a")
    assert points(curve) == [(0, 0)]
    assert curve.cpm == 0


def test_without_the_excluded_list_the_same_findings_are_false() -> None:
    """The table before without the list of marks: both findings are false positives.

    score  fate             H  F   sensitivity  a scan
    0.9    false positive   0  1   0            1
    0.8    false positive   0  2   0            2
    """
    curve = curve_of([("a", 40, 0.9), ("a", 44.9, 0.8)], [("a", 0, 6)], series="a")
    assert points(curve) == [(0, 0), (1, 0), (2, 0)]


def test_an_excluded_mark_over_a_nodule() -> None:
    """One scan, a nodule of 6 mm and round it a mark of 20 mm.

    score  x   fate                              H  F   sensitivity  a scan
    0.9    5   on the mark only: neither way     0  0   0            0
    0.8    1   hit: the nodule comes first       1  0   1            0
    0.7    15  false positive                    1  1   1            1
    """
    findings = [("a", 5, 0.9), ("a", 1, 0.8), ("a", 15, 0.7)]
    curve = curve_of(findings, [("a", 0, 6)], [("a", 0, 20)], series="a")
    assert points(curve) == [(0, 0), (0, 1), (1, 1)]


def test_a_false_positive_above_every_hit() -> None:
    """One scan; the strongest finding is false.

    score  fate             H  F   sensitivity  a scan
    0.9    false positive   0  1   0            1
    0.8    hit              1  1   1            1
    0.7    false positive   1  2   1            2

    Below 1 a scan nothing is found.
    """
    curve = curve_of([("a", 40, 0.9), ("a", 0, 0.8), ("a", 60, 0.7)], [("a", 0, 6)], series="a")
    assert at_the_seven(curve) == [0, 0, 0, 1, 1, 1, 1]


def test_between_two_points_the_curve_is_a_line() -> None:
    """Two scans; the second hit is tied with two false positives.

    score  fates                          H  F   sensitivity  a scan
    0.9    hit                            1  0   1/2          0
    0.5    hit and two false positives    2  2   2/2          1

    At 1/2 a scan, half way: 3/4; at 1/8 an eighth of the way: 9/16; at 1/4: 5/8.
    """
    findings = [("a", 0, 0.9), ("b", 0, 0.5), ("a", 40, 0.5), ("b", 40, 0.5)]
    curve = curve_of(findings, [("a", 0, 6), ("b", 0, 6)], series="ab")
    assert at_the_seven(curve) == [9 / 16, 5 / 8, 3 / 4, 1, 1, 1, 1]


def test_a_perfect_system() -> None:
    """Two scans with a nodule each, both hit, nothing false: 1 at every rate.

    score  fate   H  F   sensitivity  a scan
    0.9    hit    1  0   1/2          0
    0.1    hit    2  0   2/2          0
    """
    curve = curve_of([("a", 0, 0.9), ("b", 0, 0.1)], [("a", 0, 6), ("b", 0, 6)], series="ab")
    assert points(curve) == [(0, 0), (0, 1 / 2), (0, 1)]
    assert curve.cpm == 1


def test_a_cap_of_one_detection_a_scan() -> None:
    """Two scans with a nodule each, one finding each may count: the strongest.

    series  score  fate             kept
    a       0.9    false positive   yes
    a       0.8    hit              no: it is the second
    b       0.3    hit              yes: the cap is by scan, not by score

    score  H  F   sensitivity  a scan
    0.9    0  1   0            1/2
    0.3    1  1   1/2          1/2
    """
    findings = [("a", 40, 0.9), ("a", 0, 0.8), ("b", 0, 0.3)]
    curve = curve_of(findings, [("a", 0, 6), ("b", 0, 6)], series="ab", cap=1)
    assert points(curve) == [(0, 0), (1 / 2, 0), (1 / 2, 1 / 2)]


def test_a_tie_across_the_cap_drops_all_that_are_tied() -> None:
    """One scan, two findings may count, the second and third are tied.

    score  fate             kept
    0.9    false positive   yes
    0.5    hit              no: as high as the third, which is beyond the cap
    0.5    false positive   no

    What counts must be above the third score: one is left, though two might be.
    """
    findings = [("a", 40, 0.9), ("a", 0, 0.5), ("a", 60, 0.5)]
    assert points(curve_of(findings, [("a", 0, 6)], series="a", cap=2)) == [(0, 0), (1, 0)]
    assert curve_of(findings, [("a", 0, 6)], series="a", cap=3).sensitivity[-1] == 1
