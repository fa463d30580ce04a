# SPDX-License-Identifier: Apache-2.0
"""Whether torch's compiler works on this machine."""

from __future__ import annotations

import pytest
import torch
from torch import nn


def skip_without_a_compiler() -> None:
    """Skip the test where a small model cannot be compiled."""
    try:
        torch.compile(nn.Linear(1, 1))(torch.ones(1, 1))
    except Exception as error:  # whatever the compiler lacks here
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}")
