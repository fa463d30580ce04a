# SPDX-License-Identifier: Apache-2.0
"""Defaults of an evaluation; free of SciPy, so that a user interface can show them."""

MAX_FP_PER_SCAN = 4.0
"""False positives a scan that a reader puts up with: 1 to 4 is what clinicians asked of such
tools (Concept to Clinic, issue 230)."""

CPM_MARGIN = 0.02
"""How far the CPM of a challenger may lie below the champion's, at worst, and count as not worse:
one nodule in fifty."""

MALIGNANCY_AUC_MARGIN = 0.03
"""The same for the malignancy AUC: trainings that differ in their seed alone lie so far apart
(docs/results.md)."""
