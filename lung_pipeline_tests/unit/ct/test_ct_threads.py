# SPDX-License-Identifier: Apache-2.0
"""Several items at once give what one after the other would."""

from __future__ import annotations

import threading
import time

import pytest

from lung_pipeline.ct.threads import each, one_ahead


def test_answers_stand_in_the_order_of_the_items() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0.0)
        return item * item

    assert each(slow_first, range(20)) == [item * item for item in range(20)]
    assert each(slow_first, []) == []


def test_the_first_item_s_error_is_told_though_a_later_one_fails_sooner() -> None:
    def fail(item: int) -> None:
        time.sleep(0.05 if item == 1 else 0.0)
        if item:
            raise LookupError(str(item))

    with pytest.raises(LookupError, match="1"):
        each(fail, range(4))


def test_the_next_item_is_begun_while_an_answer_is_in_use() -> None:
    begun = [threading.Event() for _ in range(3)]

    def do(item: int) -> int:
        begun[item].set()
        return item * item

    answers = one_ahead(do, range(3), lambda item: True)
    assert next(answers) == 0
    assert begun[1].wait(60)
    assert not begun[2].is_set()
    assert list(answers) == [1, 4]


def test_an_item_that_may_not_waits_until_it_is_asked_for() -> None:
    begun: list[int] = []
    answers = one_ahead(lambda item: begun.append(item) or item, range(3), lambda item: item != 1)
    assert next(answers) == 0
    assert begun == [0]
    assert list(answers) == [1, 2]
    assert list(one_ahead(lambda item: item, [], lambda item: True)) == []


def test_an_error_is_raised_where_its_answer_is_asked_for() -> None:
    answers = one_ahead(lambda item: 1 // item, (1, 0, 1), lambda item: True)
    assert next(answers) == 1
    with pytest.raises(ZeroDivisionError):
        next(answers)
