# SPDX-License-Identifier: Apache-2.0
"""Several items at once give what one after the other would."""

from __future__ import annotations

import time

import pytest

from lung_pipeline.ct.threads import each


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
