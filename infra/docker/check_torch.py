# SPDX-License-Identifier: Apache-2.0
"""Ends the build where pip brought another torch than the variant asks for.

pip takes the build an index offers: one for CPUs where CUDA was meant would train for weeks, one
for CUDA where a CPU was meant makes the image gigabytes larger.
"""

import sys
from importlib import import_module

VARIANTS = ("cpu", "cuda")
"""What VARIANT may be."""


def refusal(variant: str, cuda_version: str | None) -> str:
    """Why this torch is not the one asked for; empty where it is."""
    if variant not in VARIANTS:
        return f"VARIANT must be one of {', '.join(VARIANTS)}, got {variant!r}"
    found = "cpu" if cuda_version is None else "cuda"
    if found == variant:
        return ""
    return (
        f"VARIANT is {variant}, but pip brought torch for {found}. "
        "Name an index that has the other build: --build-arg TORCH_INDEX_URL=..."
    )


if __name__ == "__main__":
    sys.exit(refusal(sys.argv[1], import_module("torch").version.cuda) or 0)
