# SPDX-License-Identifier: Apache-2.0
"""What a subset may be called: its name is a folder's, a partition's key and part of every file's.

Belongs here: the rule of that name. Does not belong here: names of series, which others chose
(``home.checked_name``), and what lies in the folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lung_pipeline.errors import SettingError

_SUBSET_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
"""No capitals: two names that differ in them are one folder on some disks. No comma or dot: Dagster
cannot backfill such a key from its UI (https://github.com/dagster-io/dagster/issues/32183)."""


def is_subset_name(name: str) -> bool:
    """Whether a folder's name may be that of a subset."""
    return _SUBSET_NAME.fullmatch(name) is not None


def checked_subset_name(name: str) -> str:
    """The name itself; ``SettingError`` where no subset may be called so."""
    if not is_subset_name(name):
        raise SettingError(
            value=repr(name),
            place="name of a subset",
            rule="a subset's name must consist of lowercase letters, digits and '_' and not begin "
            "with '_'",
            cure="Rename its folder below raw/, such as to 'subset10'.",
        )
    return name


def parted_by_name(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The names that fit and those that do not, each sorted."""
    fit = {name: is_subset_name(name) for name in sorted(names)}
    return [name for name in fit if fit[name]], [name for name in fit if not fit[name]]
