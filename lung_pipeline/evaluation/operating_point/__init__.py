# SPDX-License-Identifier: Apache-2.0
"""Thresholds chosen from a target, and what becomes of everything at them."""
