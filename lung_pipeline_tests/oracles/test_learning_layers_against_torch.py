# SPDX-License-Identifier: Apache-2.0
"""Layers that are ours for speed alone give what torch's own give, gradients and statistics too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from compilers import skip_without_a_compiler
from torch import Tensor, nn

from lung_pipeline.classification.network import CropClassifier, CropNetwork
from lung_pipeline.classification.residual import MeanShortcut, ResidualClassifier
from lung_pipeline.learning import first_layer
from lung_pipeline.learning.batch_norm import BatchNorm2d, BatchNorm3d
from lung_pipeline.learning.convolution import convolved_relu
from lung_pipeline.learning.first_layer import crops_convolved
from lung_pipeline.learning.first_pictures import pictures_convolved
from lung_pipeline.learning.norm_by_lanes import lines_of
from lung_pipeline.learning.norm_by_sums import by_sums

FEW, MANY = 4, 16
"""Channels that go by lanes, and that torch takes itself."""


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 300 - 600


def _unlike(norm: nn.Module) -> nn.Module:
    """With scales and shifts that are neither 1 nor 0."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
    return norm


def _assert_alike(ours: nn.Module, theirs: nn.Module, found: Tensor, expected: Tensor) -> None:
    """Values, and after a backward pass the gradients of parameters, and the running statistics."""
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    for out in (found, expected):
        weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape)
        (out * weights).sum().backward()
    pairs = zip(ours.named_parameters(), theirs.named_parameters(), strict=True)
    for (name, one), (_, other) in pairs:
        torch.testing.assert_close(one.grad, other.grad, atol=1e-9, rtol=1e-7, msg=name)
    for one, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("ours", "theirs", "shape", "layout"),
    [
        (BatchNorm3d, nn.BatchNorm3d, (3, FEW, 2, 8, 16), torch.channels_last_3d),
        (BatchNorm3d, nn.BatchNorm3d, (3, MANY, 2, 8, 16), torch.channels_last_3d),
        (BatchNorm3d, nn.BatchNorm3d, (3, FEW, 2, 8, 16), torch.contiguous_format),
        (BatchNorm3d, nn.BatchNorm3d, (3, FEW, 3, 5, 7), torch.channels_last_3d),
        (BatchNorm3d, nn.BatchNorm3d, (3, 3, 2, 8, 16), torch.channels_last_3d),
        (BatchNorm2d, nn.BatchNorm2d, (3, FEW, 8, 16), torch.channels_last),
        (BatchNorm2d, nn.BatchNorm2d, (3, MANY, 8, 16), torch.channels_last),
    ],
)
@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_is_torchs(
    ours: type[nn.Module],
    theirs: type[nn.Module],
    shape: tuple[int, ...],
    layout: torch.memory_format,
    is_training: bool,
) -> None:
    # In float64, so that rounding hides nothing.
    one, other = (_unlike(kind(shape[1])).double().train(is_training) for kind in (ours, theirs))
    given = [_noise(*shape).double().contiguous(memory_format=layout) for _ in range(2)]
    for _ in range(2):  # the second time the running statistics are no longer 0 and 1
        results = [
            norm(values.requires_grad_()) for norm, values in zip((one, other), given, strict=True)
        ]
    assert results[0].stride() == results[1].stride()
    _assert_alike(one, other, results[0], results[1])
    torch.testing.assert_close(given[0].grad, given[1].grad, atol=1e-9, rtol=1e-7)


def test_few_channels_go_by_lanes_and_keep_more_of_their_precision() -> None:
    """Of eight channels in bfloat16, what torch's own loses in summing is not lost."""
    values = _noise(8, 8, 4, 32, 32).bfloat16().contiguous(memory_format=torch.channels_last_3d)
    assert lines_of(values) is not None
    exact = nn.BatchNorm3d(8).double()
    expected = exact(values.double()).detach()
    apart = []
    for kind in (BatchNorm3d, nn.BatchNorm3d):
        norm = kind(8)
        apart.append((norm(values).double() - expected).abs().max().item())
        torch.testing.assert_close(norm.running_var.double(), exact.running_var, rtol=1e-4, atol=0)
    assert apart[0] <= apart[1] < 0.02


@pytest.mark.parametrize("shape", [(3, 5, 4, 6), (2, 4, 3, 5, 7)])
def test_batch_norm_by_sums_is_torchs(shape: tuple[int, ...]) -> None:
    exact = _unlike(nn.BatchNorm2d(shape[1]) if len(shape) == 4 else nn.BatchNorm3d(shape[1]))
    exact = cast("nn.BatchNorm2d", exact.double())
    given = [_noise(*shape).double().requires_grad_() for _ in range(2)]
    learned = [exact.weight.detach().clone(), exact.bias.detach().clone()]
    near = torch.full((shape[1],), -500.0, dtype=torch.float64)
    out, mean, variance = by_sums(
        given[0], *(one.requires_grad_() for one in learned), near, exact.eps
    )
    expected = exact(given[1])
    torch.testing.assert_close(out, expected, atol=1e-9, rtol=1e-9)
    axes = [0, *range(2, len(shape))]
    torch.testing.assert_close(mean, given[1].detach().mean(axes))
    torch.testing.assert_close(variance, given[1].detach().var(axes, correction=0))
    weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(shape)
    for one in (out, expected):
        (one * weights).sum().backward()
    others = [given[1], exact.weight, exact.bias]
    for one, other in zip([given[0], *learned], others, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-9, rtol=1e-7)


def test_sums_of_a_channel_that_is_all_the_same_are_finite() -> None:
    """Rounding makes its variance less than nothing, as far from the running mean as at first."""
    values = torch.full((8, 1, 16, 16), -999.7)
    out, _, variance = by_sums(values, torch.ones(1), torch.zeros(1), torch.zeros(1), 1e-5)
    assert torch.isfinite(out).all()
    assert float(variance) >= 0


def _learned_thrice(norm: nn.Module, forward: nn.Module, values: Tensor) -> list[Tensor]:
    """Gradients of scale, shift and values after three steps, and the running statistics."""
    steep = _noise(*values.shape).bfloat16().to(values.dtype)
    for _ in range(3):
        norm.zero_grad()
        given = values.clone().requires_grad_()
        forward(given).backward(steep)
    gradients = [norm.weight.grad, norm.bias.grad, given.grad]
    return [one.double() for one in [*gradients, norm.running_mean, norm.running_var]]


@pytest.mark.slow
def test_compiled_batch_norm_rounds_less_than_what_the_compiler_makes_of_torchs() -> None:
    skip_without_a_compiler()
    values = (_noise(8, 16, 16, 16) / 1000 + 3).contiguous(memory_format=torch.channels_last)
    values, exact = values.bfloat16(), nn.BatchNorm2d(16).double()
    expected = _learned_thrice(exact, exact, values.double())
    apart = []
    for norm in (BatchNorm2d(16), nn.BatchNorm2d(16)):
        found = _learned_thrice(norm, torch.compile(norm), values)
        pairs = zip(found, expected, strict=True)
        apart.append(
            [float(((one - other).abs() / other.abs().max()).max()) for one, other in pairs]
        )
    ours, theirs = apart
    assert ours[0] < theirs[0] / 10  # of the scale: torch's compiled one is off by a percent
    assert ours[2] <= theirs[2]
    assert max(ours[1], *ours[3:]) < 1e-4


def _twice(layers: Callable[[], list[nn.Module]], is_frozen: bool) -> tuple[Any, nn.Sequential]:
    """A batch norm and a convolution for ours, and the same for torch's way, in float64."""
    norm, conv = layers()
    both = nn.ModuleList([_unlike(norm), conv]).double()
    plain = nn.Sequential(*layers()).double()
    plain.load_state_dict(both.state_dict())
    for one in (norm, plain[0]):
        one.train(not is_frozen)
    return both, plain


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("is_frozen", [True, False])
def test_first_layer_of_crops_is_batch_norm_and_convolution(stride: int, is_frozen: bool) -> None:
    both, plain = _twice(
        lambda: [nn.BatchNorm3d(1), nn.Conv3d(1, 5, 3, stride=(stride, 1, 1), padding=1)], is_frozen
    )
    crops = _noise(3, 1, 6, 5, 8).double()
    _assert_alike(both, plain, crops_convolved(*both, crops), plain(crops))


@pytest.mark.parametrize("size", [(2, 3), (5, 8)])
@pytest.mark.parametrize("is_frozen", [True, False])
def test_first_layer_of_pictures_is_batch_norm_and_convolution(
    size: tuple[int, int], is_frozen: bool
) -> None:
    """At the border too, where the shift is not beneath all of the kernel."""
    both, plain = _twice(lambda: [nn.BatchNorm2d(3), nn.Conv2d(3, 5, 3, padding=1)], is_frozen)
    pictures = _noise(4, 3, *size).double()
    _assert_alike(both, plain, pictures_convolved(*both, pictures), plain(pictures))


def test_a_frozen_first_batch_norm_stays_as_it_is() -> None:
    norm, conv = nn.BatchNorm3d(1).eval(), nn.Conv3d(1, 5, 3, padding=1)
    crops_convolved(norm, conv, _noise(2, 1, 4, 4, 4))
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [0.0]
    assert int(cast(Tensor, norm.num_batches_tracked)) == 0


def _convolution() -> nn.Conv2d:
    torch.manual_seed(3)
    return nn.Conv2d(5, 7, 3, padding=1)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_convolution_with_its_relu_is_torchs_to_the_bit(layout: torch.memory_format) -> None:
    ours, theirs = _convolution(), _convolution()
    given = [(_noise(3, 5, 9, 8) / 300).contiguous(memory_format=layout) for _ in range(2)]
    found = convolved_relu(ours, given[0].requires_grad_())
    expected = nn.functional.relu(theirs(given[1].requires_grad_()))
    assert 0 < (expected == 0).float().mean() < 1
    assert torch.equal(found, expected)
    for out in (found, expected):
        (out * torch.linspace(-1, 2, out.numel()).view(out.shape)).sum().backward()
    pairs = [(given[0].grad, given[1].grad)]
    pairs += zip(*([p.grad for p in conv.parameters()] for conv in (ours, theirs)), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="this processor convolves no bfloat16 (AVX-512)",
)
def test_a_convolution_with_its_relu_rounds_as_torchs_in_mixed_precision() -> None:
    ours, theirs, given = _convolution(), _convolution(), _noise(3, 5, 9, 8) / 300
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = convolved_relu(ours, given), nn.functional.relu(theirs(given))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    for conv, out in ((ours, found), (theirs, expected)):
        out.float().square().sum().backward()
        assert conv.weight.grad.dtype == torch.float32
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=0.02, atol=0.1)


@pytest.mark.parametrize("stride", [(1, 2, 2), (2, 2, 2), (1, 1, 1)])
def test_shortcut_is_mean_convolution_and_batch_norm(stride: tuple[int, int, int]) -> None:
    ours = MeanShortcut(4, 6, stride).double()
    plain = nn.Sequential(*MeanShortcut(4, 6, stride)).double()
    plain.load_state_dict(ours.state_dict())
    features = _noise(2, 4, 4, 6, 8).double()
    _assert_alike(ours, plain, ours(features), plain(features))


@pytest.mark.parametrize("kind", [CropClassifier, ResidualClassifier])
def test_first_layer_is_used_by_the_networks_over_crops(
    kind: type[CropNetwork], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a gradient of the voxels: nobody needs it, and it costs time."""
    wanted = []
    whole = first_layer._convolved

    def seen(pictures: Tensor, weight: Tensor, conv: nn.Module) -> Tensor:
        wanted.append((pictures.requires_grad, weight.requires_grad))
        return whole(pictures, weight, cast(nn.Conv3d, conv))

    monkeypatch.setattr(first_layer, "_convolved", seen)
    kind()(_noise(2, 1, 32, 48, 48))
    assert wanted == [(False, True)]


@pytest.mark.parametrize("kind", [CropClassifier, ResidualClassifier])
def test_who_looks_with_gradients_sees_the_same_to_the_bit(kind: type[CropNetwork]) -> None:
    """A map of what a judgement rests on needs gradients; the judgement beside it must be its."""
    model, crops = kind().eval(), _noise(2, 1, 32, 48, 48)
    with torch.autocast("cpu", torch.bfloat16):
        looked = model(crops)
        with torch.inference_mode():
            assert torch.equal(model(crops), looked)
