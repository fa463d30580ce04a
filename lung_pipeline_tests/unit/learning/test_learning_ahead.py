# SPDX-License-Identifier: Apache-2.0
"""A thread that makes batches beforehand: same order, errors in place, no more than asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lung_pipeline.learning.ahead import ahead


def test_the_batches_and_their_order_stay() -> None:
    assert list(ahead(iter(range(7)))) == list(range(7))
    assert list(ahead(iter(()))) == []


def test_batches_are_made_before_they_are_asked_for_by_another_thread() -> None:
    made: list[int] = []
    third = threading.Event()

    def batches() -> Iterator[int]:
        for number in range(10):
            made.append(threading.get_ident())
            if len(made) == 3:
                third.set()
            yield number

    iterator = ahead(batches(), depth=2)
    assert next(iterator) == 0
    # One is in hand, two lie ready; nothing goes further ahead.
    assert third.wait(5)
    assert len(made) == 3
    assert set(made).isdisjoint({threading.get_ident()})
    iterator.close()


def test_an_error_is_raised_where_its_batch_is_asked_for() -> None:
    def batches() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    iterator = ahead(batches())
    assert next(iterator) == 1
    with pytest.raises(ValueError, match="broken"):
        next(iterator)


def test_an_iterator_that_is_left_ends_its_thread() -> None:
    before = threading.active_count()
    iterator = ahead(iter(range(100)))
    next(iterator)
    iterator.close()
    assert threading.active_count() == before
