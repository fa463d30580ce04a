# SPDX-License-Identifier: Apache-2.0
"""What a model does only while it is compiled gives what the plain model gives.

The compiler's own code is left out, so that all is in double precision and rounding hides nothing.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.classification.residual import ResidualClassifier
from lung_pipeline.segmentation import unet
from lung_pipeline.segmentation.unet import UNet


def _learned(model: nn.Module, forward: nn.Module, given: Tensor) -> dict[str, Tensor]:
    """Gradients and running statistics after a step that changes no weight."""
    model.zero_grad()
    out = forward(given)
    (out * torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape)).sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    return found | {name: buffer.clone() for name, buffer in model.named_buffers()}


def _plain_relu(conv: nn.Conv2d, features: Tensor) -> Tensor:
    """oneDNN's convolution with a ReLU has no double precision."""
    return functional.relu(conv(features))


@pytest.mark.parametrize(
    ("kind", "shape"), [("unet", (3, 7, 12, 16)), ("residual", (3, 1, 16, 32, 32))]
)
def test_in_the_compilers_words_a_network_learns_the_same(
    kind: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "convolved_relu", _plain_relu)

    def fresh() -> nn.Module:
        torch.manual_seed(4)
        if kind == "unet":
            model: nn.Module = UNet(depth=2, first_filters=4)
        else:
            model = ResidualClassifier(stem=4, channels=(8, 16), blocks=2)
        for name, parameter in model.named_parameters():
            if "norm" in name or "tail" in name:  # scales and shifts that are not 1 and 0
                nn.init.uniform_(parameter, 0.5, 1.5)
        return model.double().train()

    given = torch.randn(shape, generator=torch.Generator().manual_seed(5)).double() * 300 - 500
    plain, worded = fresh(), fresh()
    expected = _learned(plain, plain, given)
    found = _learned(worded, torch.compile(worded, backend="aot_eager"), given)
    for name, values in expected.items():
        largest = float(values.abs().max())
        torch.testing.assert_close(
            found[name], values, rtol=1e-6, atol=1e-8 * largest + 1e-9, msg=name
        )
