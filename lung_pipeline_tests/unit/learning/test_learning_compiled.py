# SPDX-License-Identifier: Apache-2.0
"""What a model does only while it is compiled gives what the plain model gives.

Once without the compiler's own code, in double precision, so that rounding hides nothing, and once
with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from compilers import skip_without_a_compiler
from torch import Tensor, nn
from torch.nn import functional

from lung_pipeline.classification.residual import ResidualClassifier
from lung_pipeline.learning.compiled import compiled
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


def _gradients(model: nn.Module, loss: Callable[..., Tensor], given: Tensor) -> list[Tensor]:
    model.zero_grad()
    loss(model, (given,)).backward()
    # What a batch norm behind it takes out again has a gradient of about nothing: all is rounding.
    return [one.grad.double() for name, one in model.named_parameters() if "tail" not in name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "shape", "layout"),
    [
        (UNet, (4, 7, 16, 32), torch.channels_last),
        (ResidualClassifier, (4, 1, 16, 32, 32), torch.channels_last_3d),
    ],
)
def test_the_compilers_own_code_gives_the_gradient_of_double_precision(
    build: Callable[[], nn.Module],
    shape: tuple[int, ...],
    layout: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With all that is written where the compiler is told, in the shape that it is told."""
    skip_without_a_compiler()
    monkeypatch.setattr(unet, "convolved_relu", _plain_relu)
    torch.manual_seed(6)
    model = build().train()
    given = torch.randn(shape, generator=torch.Generator().manual_seed(7)) * 300 - 500

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        out = model(*batch)
        weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype)
        return (out * weights.view(out.shape)).square().mean()

    exact = _gradients(copy.deepcopy(model).double(), loss, given.double())
    model.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub
    found = _gradients(model, compiled(loss, model), given)
    apart = [
        float((one - other).norm() / other.norm()) for one, other in zip(found, exact, strict=True)
    ]
    assert sorted(apart)[len(apart) // 2] < 0.005
    assert max(apart) < 0.05
