# SPDX-License-Identifier: Apache-2.0
"""Errors say value, place, rule and cure, here and on the other side of a process."""

from __future__ import annotations

import copy
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from lung_pipeline import errors
from lung_pipeline.errors import (
    ArchiveError,
    LungPipelineError,
    ReadingError,
    SeriesError,
    SettingError,
)
from lung_pipeline.home import checked_name

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, LungPipelineError)
]


def test_a_message_names_place_rule_value_and_cure_in_one_line() -> None:
    error = SettingError(
        value=-1, place=Path("a") / "b.toml", rule="a number must be positive", cure="Change it."
    )
    assert str(error) == f"{Path('a/b.toml')}: a number must be positive, got -1. Change it."


def test_what_a_hostile_file_brings_is_told_in_one_line_of_plain_characters() -> None:
    error = SettingError(
        value="a\nb\x1b[31m" + 700 * "c", place="x\r\u202ey", rule="a rule", cure="A cure."
    )
    told = str(error)
    assert told.startswith("x\\r\\u202ey: a rule, got a\\nb\\x1b[31mcc")
    assert told.endswith("c .... A cure.")
    assert told.isprintable()
    assert len(told) < 700


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_rebuilt_whole_from_its_reduced_form(kind: type[LungPipelineError]) -> None:
    error = kind(value=(1, 2), place="here", rule="a rule", cure="A cure.")
    again = copy.copy(error)
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_an_error_of_another_process_arrives_as_it_was_raised() -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        told = pool.submit(checked_name, "../climbed").exception()
    with pytest.raises(SettingError) as here:
        checked_name("../climbed")
    assert type(told) is SettingError
    assert vars(told) == vars(here.value)


def test_a_broken_series_is_a_scan_that_cannot_be_read() -> None:
    assert issubclass(SeriesError, ReadingError)
    assert issubclass(ArchiveError, ReadingError)
    assert len(KINDS) == 14
