# SPDX-License-Identifier: Apache-2.0
"""From findings to a verdict on the patient: rules, thresholds, and what the readers thought."""
