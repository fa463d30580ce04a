# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds, as a value.

Belongs here: its words. Does not belong here: how it is found.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Ailment:
    """One thing that is not as it should be."""

    what: str
    """Its kind, such as "zombie run"."""

    where: str
    """Which one: a run, a file, a database."""

    since: float | None
    """Since when, in seconds since 1970; None where nobody can tell."""

    cure: str
    """What is done about it, or what a person has to do, as a sentence without its full stop."""

    treat: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    """Does it; None where only a person can."""

    @property
    def in_words(self) -> str:
        """All of it in one line."""
        since = ""
        if self.since is not None:
            since = f", since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.what}: {self.where}{since}: {self.cure}"
