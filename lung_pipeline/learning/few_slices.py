# SPDX-License-Identifier: Apache-2.0
"""A convolution in three dimensions whose gradient is right where few slices are left.

In bfloat16 on a processor with AVX-512, oneDNN (3.12, which comes with torch 2.13) adds to a part
of the weights' gradient whatever lay in the memory it was lent, where a picture has fewer slices
than the kernel and is padded: with two slices and a kernel of three in half of the kernel's middle
plane. A training then ends in NaN, or ends well and learned from noise. With the padding laid
around the picture beforehand the gradient is right, and what is convolved is the same to the bit.

Belongs here: that. Does not belong here: networks.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Conv3d(nn.Conv3d):
    """``torch.nn.Conv3d``, with its parameters and results; its padding is told in numbers."""

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in, index, row, column) to (batch, out, ...), as torch's own."""
        if not self._is_wrong(features):
            return super().forward(features)
        slices, *within = cast("tuple[int, int, int]", self.padding)
        padded = functional.pad(features, (0, 0, 0, 0, slices, slices))
        return functional.conv3d(
            *(padded, self.weight, self.bias, self.stride, (0, *within)),
            *(self.dilation, self.groups),
        )

    def _is_wrong(self, features: Tensor) -> bool:
        """Whether oneDNN's gradient could be: while it learns in mixed precision on a CPU."""
        if not self.training or features.device.type != "cpu" or self.padding_mode != "zeros":
            return False
        return torch.is_autocast_enabled("cpu") and features.shape[2] < self.kernel_size[0]
