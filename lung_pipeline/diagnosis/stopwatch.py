# SPDX-License-Identifier: Apache-2.0
"""How long each step of a diagnosis took, told while it runs and kept for the report.

Belongs here: the clock. Does not belong here: what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Times steps by name and passes their progress on."""

    def __init__(self, on_progress: Callable[[str, float], None]) -> None:
        """Start with no step.

        Args:
            on_progress: told the step at work and the share of it that is done, 0 to 1.
        """
        self.seconds: dict[str, float] = {}
        self.on_progress = on_progress

    @contextmanager
    def step(self, name: str, told: str | None = None) -> Iterator[Callable[[float], None]]:
        """Time one step; gives what to tell its share to.

        Args:
            name: under which its seconds are kept.
            told: what progress calls it; the name where nothing else is said.
        """
        words = told or name
        self.on_progress(words, 0.0)
        started = time.perf_counter()
        try:
            yield lambda share: self.on_progress(words, share)
        finally:
            taken = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + taken
