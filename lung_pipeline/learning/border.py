# SPDX-License-Identifier: Apache-2.0
"""Numbers added along the border of pictures: of each corner one, and one along each edge.

Written out as a picture their gradient would be a picture's too; it is a few sums of the border.

Belongs here: that. Does not belong here: what is added, and why (``first_pictures.py``).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lung_pipeline.learning.held import held, written

_AROUND = [[1, 1, 1], [1, 0, 1], [1, 1, 1]]


def with_border(pictures: Tensor, added: Tensor) -> Tensor:
    """Pictures with numbers added along their border, as precise as these.

    Args:
        pictures: (batch, channel, row, column), at least 2 x 2.
        added: (1, channel, 3, 3): to the first row, those within, and the last, and so the columns.
            The middle one is added to nothing.
    """
    return cast(
        "Tensor",
        _WithBorder.apply(pictures, added),  # type: ignore[no-untyped-call]  # torch's stub
    )


class _WithBorder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pictures: Tensor, added: Tensor) -> Tensor:
        ctx.dtype, ctx.precise = pictures.dtype, added.dtype
        return pictures + held(_laid_out(added, *pictures.shape[2:]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        gradient = written(gradient.to(ctx.dtype))
        top, bottom = _ends(gradient, 2)
        left, right = _ends(gradient, 3)
        corners = [end for edge in (top, bottom) for end in (edge[..., 0], edge[..., -1])]
        sums = [edge.to(ctx.precise).sum((0, 2)) for edge in (top, bottom, left, right)]
        first, second, third, fourth = (corner.to(ctx.precise).sum(0) for corner in corners)
        above, below, before, behind = sums
        cells = [first, above - first - second, second]
        cells += [before - first - third, torch.zeros_like(first), behind - second - fourth]
        cells += [third, below - third - fourth, fourth]
        return gradient, torch.stack(cells, -1).view(1, -1, 3, 3)


def _laid_out(added: Tensor, rows: int, columns: int) -> Tensor:
    """(1, channel, 3, 3) as a whole picture, of 0 within."""
    added = added * added.new_tensor(_AROUND)
    for dim, size in ((2, rows), (3, columns)):
        first, within, last = added.split(1, dim)
        shape = [-1, -1, -1, -1]
        shape[dim] = size - 2
        added = torch.cat([first, within.expand(shape), last], dim)
    return added.contiguous(memory_format=torch.channels_last)


def _ends(pictures: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    return pictures.select(dim, 0), pictures.select(dim, -1)
