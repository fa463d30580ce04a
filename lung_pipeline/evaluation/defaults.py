# SPDX-License-Identifier: Apache-2.0
"""Defaults of an evaluation; free of SciPy, so that a user interface can show them."""

MAX_FP_PER_SCAN = 4.0
"""False positives a scan that a reader puts up with: 1 to 4 is what clinicians asked of such
tools (Concept to Clinic, issue 230)."""
