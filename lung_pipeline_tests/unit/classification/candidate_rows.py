# SPDX-License-Identifier: Apache-2.0
"""One candidate of each kind in each part, for the tests of tasks and trainings."""

from __future__ import annotations

ROWS = [
    # part, is_nodule, is_malignant
    ("train", True, True),  # 0
    ("train", True, False),  # 1
    ("train", True, None),  # 2: unrated
    ("train", False, None),  # 3
    ("validation", True, True),  # 4
    ("validation", True, False),  # 5
    ("validation", True, None),  # 6: unrated
    ("validation", False, None),  # 7
    ("test", True, True),  # 8
    ("test", False, None),  # 9
    ("train", False, None),  # 10
]
