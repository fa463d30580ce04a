# SPDX-License-Identifier: Apache-2.0
"""nnU-Net's network with deep supervision, out of MONAI, in the clothes of our U-Net.

The network is MONAI's ``DynUNet`` (Apache-2.0), an optional extra; it follows nnU-Net (Isensee et
al. 2021, doi:10.1038/s41592-020-01008-z). In training every level of the way up says what it sees,
so that coarse levels learn what a nodule is, not only fine ones where it ends (Lee et al. 2014,
arXiv 1409.5185).

Belongs here: the network, and what of ``DynUNet`` must be set right. Does not belong here: how its
heads are weighed (``losses.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lung_pipeline.errors import SettingError
from lung_pipeline.segmentation.unet import CONTEXT_SLICES, RARITY, padded_to

BATCH_NORM = "batch"
"""Instead of nnU-Net's instance norm, which takes its statistics from the picture at hand: learned
on patches, it would see something else in a whole slice."""

_REGISTERED_TWICE = ("input_block", "downsamples", "bottleneck", "upsamples")
"""Parts of ``DynUNet`` that hang in its ``skip_layers`` too, by which it is run. Under two names
each tensor would be kept twice, and safetensors refuses what is shared."""


class DynamicUNet(nn.Module):
    """Marks nodule tissue in the middle one of seven slices, at several sizes while it learns."""

    def __init__(self, *, filters: Sequence[int] = (16, 32, 64, 128), heads: int = 3) -> None:
        """Build the network.

        Args:
            filters: channels of each level, the finest first; each sees half the size of the one
                before. At least three.
            heads: levels that say what they see in training, the finest first; 1: only that, which
                is no deep supervision. At most one fewer than the levels.

        Raises:
            SettingError: MONAI is not installed.
        """
        super().__init__()
        self.architecture: dict[str, Any] = {"filters": list(filters), "heads": heads}
        self.even = 2 ** (len(filters) - 1)
        slices = 2 * CONTEXT_SLICES + 1
        self.input_norm = nn.BatchNorm2d(slices)
        self.net = _dynunet(slices, list(filters), heads)

    def forward(self, slices_hu: Tensor) -> Tensor:
        """Seven slices in HU, (batch, 7, row, column), to logits.

        Returns:
            (batch, 1, row, column); in training mode (batch, heads, row, column), the finest head
            first and all at full size.
        """
        rows, columns = slices_hu.shape[-2:]
        features = self.input_norm(padded_to(slices_hu, self.even))
        logits = self.net(features.contiguous(memory_format=torch.channels_last))
        # What the coarse heads said last is also kept in the network: memory for nothing, and no
        # copy can be made of a network that holds part of a graph.
        self.net.heads[:] = [torch.empty(0)] * len(self.net.heads)
        if logits.dim() == 5:  # (batch, heads, 1, row, column)
            logits = logits[:, :, 0]
        return logits[..., :rows, :columns]


def _dynunet(slices: int, filters: list[int], heads: int) -> Any:
    """MONAI's network, each part under one name, each head expecting little."""
    try:
        from monai.networks.nets.dynunet import DynUNet
    except ImportError as error:
        raise SettingError(
            value="no module 'monai'",
            place="network 'dynunet' of the segmentation",
            rule="it is MONAI's, which must be installed",
            cure="pip install 'lung-pipeline[monai]', or choose another network.",
        ) from error
    halvings = [2] * (len(filters) - 1)
    net = DynUNet(
        spatial_dims=2,
        in_channels=slices,
        out_channels=1,
        kernel_size=[3] * len(filters),
        strides=[1, *halvings],
        upsample_kernel_size=halvings,
        filters=filters,
        norm_name=BATCH_NORM,
        deep_supervision=heads > 1,
        deep_supr_num=max(heads - 1, 1),
    )
    for head in (net.output_block, *getattr(net, "deep_supervision_heads", [])):
        nn.init.constant_(head.conv.conv.bias, math.log(RARITY))
    for name in (*_REGISTERED_TWICE, "deep_supervision_heads"):
        if hasattr(net, name):
            delattr(net, name)
    return net
