# SPDX-License-Identifier: Apache-2.0
"""A network out of a table of names.

Belongs here: the choice, and its refusal. Does not belong here: names and networks, which stand in
the package of their step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from lung_pipeline.errors import SettingError

if TYPE_CHECKING:
    from torch import nn

_Network = TypeVar("_Network", bound="nn.Module")


def built_by_name(networks: Mapping[Any, type[_Network]], name: str, place: str) -> _Network:
    """A fresh network of the class that stands under a name.

    Args:
        networks: classes by name.
        name: the one that is wanted.
        place: which setting says so.

    Raises:
        SettingError: there is none of that name.
    """
    if name not in networks:
        raise SettingError(
            value=repr(name),
            place=place,
            rule=f"a network must be one of {', '.join(networks)}",
            cure="Change the setting.",
        )
    return networks[name]()
