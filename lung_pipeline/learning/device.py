# SPDX-License-Identifier: Apache-2.0
"""Where tensors are computed, and in which precision that place is fast."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch

from lung_pipeline.errors import DeviceError, SettingError

AUTO, CPU, CUDA = "auto", "cpu", "cuda"
"""The devices a setting may name; ``auto`` takes CUDA where there is one."""

FLOAT32 = "float32"
"""The precision a setting may name beside ``auto``."""

BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")
"""Those that multiply bfloat16, as torch names them: Intel's AMX, AVX-512's, ARM's."""


def pick_device(name: str = AUTO) -> torch.device:
    """The device by name.

    Raises:
        DeviceError: CUDA was asked for and there is none; it never falls back in silence.
    """
    if name == AUTO:
        name = CUDA if torch.cuda.is_available() else CPU
    if name == CUDA and not torch.cuda.is_available():
        raise DeviceError(
            value="no CUDA device",
            place="setting 'device'",
            rule="training or inference on 'cuda' needs a CUDA device",
            cure="Run it where there is one, or say device: cpu (or auto).",
        )
    if name not in (CPU, CUDA):
        raise DeviceError(
            value=repr(name),
            place="setting 'device'",
            rule=f"a device must be one of {AUTO}, {CPU}, {CUDA}",
            cure="Change the setting.",
        )
    if name == CUDA:
        # By default convolutions in float32 are read with ten bits there (TF32).
        torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes bfloat16: CUDA since Ampere, CPUs with AVX-512 BF16 or AMX.

    oneDNN takes bfloat16 on any AVX-512, but where the processor has no instruction for it, it
    works with float32 and rounds: slower than float32 itself (docs/results.md).
    """
    if device.type == CUDA:
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    of_cpu = cpu_instructions()
    return not of_cpu or any(of_cpu.get(name) for name in BFLOAT16_INSTRUCTIONS)


def cpu_instructions() -> Mapping[str, Any]:
    """What this processor has, by torch's names; empty where torch is too old to tell."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return {} if ask is None else ask()


def inference_dtype(device: torch.device, precision: str = AUTO) -> torch.dtype:
    """bfloat16 where that is fast, else float32; always float32 where a person asked for it.

    Raises:
        SettingError: another precision than ``auto`` and ``float32``.
    """
    if precision not in (AUTO, FLOAT32):
        raise SettingError(
            value=repr(precision),
            place="setting 'precision'",
            rule=f"a precision must be one of {AUTO}, {FLOAT32}",
            cure="Change the setting.",
        )
    is_fast = precision == AUTO and has_fast_bfloat16(device)
    return torch.bfloat16 if is_fast else torch.float32


def mixed_precision(device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Autocast to bfloat16 where that is fast, plain float32 elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_fast_bfloat16(device))
