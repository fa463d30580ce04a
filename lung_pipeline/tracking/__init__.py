# SPDX-License-Identifier: Apache-2.0
"""Runs and model versions in MLflow; the only place that knows it."""
