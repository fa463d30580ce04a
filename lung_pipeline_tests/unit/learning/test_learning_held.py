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


def _gradients(model: nn.Module, forward: nn.Module, given: Tensor) -> dict[str, Tensor]:
    """Of each parameter, after one step in mixed precision."""
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = forward(given).float().square().mean()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@pytest.mark.slow
def test_compiled_residual_network_has_the_plain_ones_gradients_behind_its_maximum() -> None:
    """Two blocks in a stage: of one alone the compiler finds the maximum again by luck."""
    skip_without_a_compiler()
    torch.manual_seed(0)
    model = ResidualClassifier(stem=4, channels=(8, 16), blocks=2)
    fast_layout(model)
    given = torch.randn(2, 1, 16, 32, 32) * 300
    plain = _gradients(model, model, given)
    compiled = _gradients(model, torch.compile(model), given)
    largest = max(float(gradient.abs().max()) for gradient in plain.values())
    for name, gradient in plain.items():
        torch.testing.assert_close(compiled[name], gradient, rtol=0.1, atol=largest / 50, msg=name)


def test_without_a_compiler_nothing_is_copied() -> None:
    values = torch.ones(3)
    assert held(values) is values
