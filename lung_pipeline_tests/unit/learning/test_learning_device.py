# SPDX-License-Identifier: Apache-2.0
"""A device that was asked for is the device that is used, or an error says why not."""

from __future__ import annotations

import platform

import pytest
import torch

from lung_pipeline.errors import DeviceError
from lung_pipeline.learning.device import has_fast_bfloat16, mixed_precision, pick_device

CPU = torch.device("cpu")

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")


def test_the_cpu_is_always_there() -> None:
    assert pick_device("cpu") == CPU


@without_cuda
def test_auto_takes_the_cpu_where_there_is_no_cuda() -> None:
    assert pick_device() == pick_device("auto") == CPU


@without_cuda
def test_cuda_without_cuda_is_refused_and_never_becomes_the_cpu() -> None:
    with pytest.raises(DeviceError) as told:
        pick_device("cuda")
    assert told.value.value == "no CUDA device"
    assert "device: cpu" in told.value.cure


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_auto_takes_cuda_where_there_is_one() -> None:
    assert pick_device() == pick_device("cuda") == torch.device("cuda")


def test_float32_on_a_card_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's default reads ten bits of it, and a probability is printed with more."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("auto", "cuda"):
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
        assert pick_device(name).type == "cuda"
        assert torch.backends.cudnn.allow_tf32 is False


def test_torch_without_onednn_has_no_fast_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.delattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", raising=False)
    assert not has_fast_bfloat16(CPU)


@pytest.mark.parametrize("name", ["gpu", "CUDA", "", "cuda:0", "mps"])
def test_an_unknown_device_is_refused_with_those_that_are_known(name: str) -> None:
    with pytest.raises(DeviceError, match="one of auto, cpu, cuda"):
        pick_device(name)


def test_precision_is_mixed_where_the_hardware_is_fast_at_it() -> None:
    layer = torch.nn.Linear(2, 2)
    with mixed_precision(CPU):
        computed = layer(torch.ones(1, 2)).dtype
    assert computed == (torch.bfloat16 if has_fast_bfloat16(CPU) else torch.float32)
    assert layer(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="asks for Intel's names")
def test_fast_is_what_torch_too_finds_an_instruction_for() -> None:
    has_instruction = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert has_fast_bfloat16(CPU) == has_instruction


@pytest.mark.parametrize(
    ("processor", "is_fast"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_vnni": True, "avx512_bf16": False}, False),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_f": True, "avx512_bf16": True, "amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"neon": True, "bf16": False}, False),
    ],
    ids=["Ice Lake", "Zen 4", "Sapphire Rapids", "ARM with", "ARM without"],
)
def test_bfloat16_that_is_only_imitated_is_not_fast(
    processor: dict[str, bool], is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN takes it on any AVX-512, and is slower with it than with float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert has_fast_bfloat16(CPU) == is_fast
