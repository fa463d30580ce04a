# SPDX-License-Identifier: Apache-2.0
"""What decides the last digits of a result beside weights and data: libraries and the device.

Belongs here: their names in words, to be kept beside a figure. Does not belong here: what a
difference means.
"""

from __future__ import annotations

import platform
from importlib import metadata

import torch

from lung_pipeline.learning.device import CPU, cpu_instructions, has_fast_bfloat16

LIBRARIES = ("torch", "numpy", "scipy", "SimpleITK")
"""The packages whose version decides a result: networks, arrays, labelling, reading."""


def library_versions() -> dict[str, str]:
    """The installed version of each of ``LIBRARIES``."""
    return {name: metadata.version(name) for name in LIBRARIES}


def device_in_words(device: torch.device) -> dict[str, str]:
    """What a result of this device depends on: the same words, the same sums in the same order.

    Of a CPU: the instructions choose the kernels, and the threads how sums are divided.
    """
    if device.type != CPU:
        name = torch.cuda.get_device_name(device)
        return {"device": device.type, "card": name, "cuda": str(torch.version.cuda)}
    return {
        "device": CPU,
        "processor": platform.machine(),
        "instructions": ", ".join(_instructions(device)),
        "threads": str(torch.get_num_threads()),
    }


def _instructions(device: torch.device) -> list[str]:
    found = [torch.backends.cpu.get_cpu_capability()]
    if has_fast_bfloat16(device):
        found.append("bfloat16")
    # AMX multiplies in another order than AVX-512.
    if cpu_instructions().get("amx_bf16", False):
        found.append("AMX")
    return found
