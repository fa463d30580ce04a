# SPDX-License-Identifier: Apache-2.0
"""What a compiled model holds is rounded once: the gradient of a maximum finds its maximum."""

from __future__ import annotations

import pytest
import torch
from compilers import skip_without_a_compiler
from torch import Tensor, nn

from lung_pipeline.classification.network import fast_layout
from lung_pipeline.classification.residual import ResidualClassifier
from lung_pipeline.learning.held import held


class _Highest(nn.Module):
    """Judges by the highest of some values, each made of roundings in between."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(4, 1)

    def forward(self, given: Tensor) -> Tensor:
        one, other = self.one(given), self.other(given)
        seen = torch.relu(one * torch.sigmoid(other.mean(1, keepdim=True)) + other)
        return self.last(held(seen).amax(2))


def _gradients(model: nn.Module, forward: nn.Module, given: Tensor) -> dict[str, Tensor]:
    """Of each parameter, after one step in mixed precision."""
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = forward(given).float().square().mean()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (_Highest, (16, 4, 8)),
        (lambda: ResidualClassifier(stem=4, channels=(8, 16), blocks=1), (2, 1, 16, 32, 32)),
    ],
)
def test_compiled_model_has_the_plain_ones_gradients_behind_a_maximum(kind, shape) -> None:  # type: ignore[no-untyped-def]
    skip_without_a_compiler()
    torch.manual_seed(0)
    model, given = kind(), torch.randn(shape)
    fast_layout(model)
    plain = _gradients(model, model, given)
    compiled = _gradients(model, torch.compile(model), given)
    largest = max(float(gradient.abs().max()) for gradient in plain.values())
    for name, gradient in plain.items():
        torch.testing.assert_close(compiled[name], gradient, rtol=0.1, atol=largest / 50, msg=name)


def test_without_a_compiler_nothing_is_copied() -> None:
    values = torch.ones(3)
    assert held(values) is values
