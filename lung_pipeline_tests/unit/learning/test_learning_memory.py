# SPDX-License-Identifier: Apache-2.0
"""Freed memory is kept: the system need not clear it page by page for the next tensor."""

from __future__ import annotations

import platform
import subprocess
import sys
import textwrap

import pytest

_FAULTS = textwrap.dedent(
    """
    import resource, sys
    from lung_pipeline.learning.memory import keep_freed_memory

    if sys.argv[1] == "kept":
        assert keep_freed_memory()

    def work():
        b"x" * 48_000_000

    work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        work()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
)


def _faults(how: str) -> int:
    command = [sys.executable, "-c", _FAULTS, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told so")
def test_a_block_that_was_freed_is_used_again_without_new_pages() -> None:
    # 48 MB are 11,700 pages; ten times, where each block goes back to the system.
    kept, usual = _faults("kept"), _faults("usual")
    assert usual > 10 * 11_000
    assert kept < usual / 100
