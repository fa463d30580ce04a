# SPDX-License-Identifier: Apache-2.0
"""What is added along a border, worked by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lung_pipeline.learning.border import with_border


def _nine() -> Tensor:
    """1 to 9 as they are read."""
    return torch.arange(1.0, 10.0, dtype=torch.float64).view(1, 1, 3, 3)


def test_each_corner_and_each_edge_gets_its_own_and_the_middle_nothing() -> None:
    found = with_border(torch.zeros(1, 1, 4, 5, dtype=torch.float64), _nine())
    assert found[0, 0].tolist() == [
        [1, 2, 2, 2, 3],
        [4, 0, 0, 0, 6],
        [4, 0, 0, 0, 6],
        [7, 8, 8, 8, 9],
    ]


@pytest.mark.parametrize(("rows", "columns"), [(4, 5), (2, 2), (2, 6), (3, 3)])
def test_its_gradient_is_what_lies_along_the_border_of_all_pictures(
    rows: int, columns: int
) -> None:
    pictures = torch.zeros(3, 2, rows, columns, dtype=torch.float64)
    added = _nine().repeat(1, 2, 1, 1)
    torch.autograd.gradcheck(with_border, (pictures.requires_grad_(), added.requires_grad_()))


def test_pictures_in_bfloat16_are_added_to_in_float32() -> None:
    """And their gradient is in their own type again."""
    pictures = torch.zeros(1, 1, 3, 3, dtype=torch.bfloat16, requires_grad=True)
    out = with_border(pictures, _nine().float() + 2**-12)
    assert out.dtype == torch.float32
    assert out[0, 0, 0, 0] == 1 + 2**-12
    out.sum().backward()
    assert pictures.grad.dtype == torch.bfloat16
