# SPDX-License-Identifier: Apache-2.0
"""What a docstring shows as an example is what happens."""

from __future__ import annotations

import doctest
import importlib

import pytest

SHOWING = [
    "lung_pipeline.learning.progress",
    "lung_pipeline.orchestration.watching",
    "lung_pipeline.reporting.scores.plots",
]


@pytest.mark.parametrize("name", SHOWING)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(name))
    assert tried.attempted > 0
    assert tried.failed == 0
