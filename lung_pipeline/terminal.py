# SPDX-License-Identifier: Apache-2.0
"""How long work shows itself: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import click


@contextlib.contextmanager
def counted(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """Show how many of ``total`` things are done; the yielded function takes the next name."""
    from tqdm import tqdm

    if sys.stderr.isatty():
        with tqdm(total=total, unit=f" {what}") as bar:
            yield lambda name: bar.update() and None
        return
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        click.echo(f"{done}/{total} {what}: {name}", err=True)

    yield tell


@contextlib.contextmanager
def stepwise() -> Iterator[Callable[[str, float], None]]:
    """Show the step at work and its share done; the yielded function takes both."""
    from tqdm import tqdm

    started, current = time.monotonic(), ""
    if sys.stderr.isatty():
        layout = "{desc:<28} {percentage:3.0f}% |{bar:30}| {elapsed}"
        with tqdm(total=1.0, bar_format=layout, leave=False) as bar:

            def show(step: str, share: float) -> None:
                bar.set_description_str(step, refresh=False)
                bar.n = min(share, 1.0)
                bar.refresh()

            yield show
        return

    def tell(step: str, share: float) -> None:
        nonlocal current
        if step != current:
            current = step
            click.echo(f"[{time.monotonic() - started:4.0f} s] {step}", err=True)

    yield tell
