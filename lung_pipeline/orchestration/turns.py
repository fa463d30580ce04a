# SPDX-License-Identifier: Apache-2.0
"""Which asset and check waits for which other, where two runs are at one subset together.

The ingest of a subset writes its data alone; trainings, findings and checks read them together, and
what is made of them waits until nobody reads it. What waits says so in its log. A run that is
waiting keeps its place among the runs that may be under way.

Belongs here: whose turn it is. Does not belong here: how a lock is held (``locks.py``).
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from lung_pipeline.locks import data_of, findings_of, held
from lung_pipeline.orchestration.partitions import known_subsets

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Names = Sequence[Callable[[str], str]]


def writes_data(compute: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """For what the ingest makes of the partition's subset."""
    return _in_turn(compute, write=(data_of,))


def writes_findings(compute: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """For what the models make of the partition's subset; its data stay as they are meanwhile."""
    return _in_turn(compute, write=(findings_of,), read=(data_of,))


def reads_data(compute: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """For what learns from the data of the subsets that its config names, else of all."""
    return _in_turn(compute, read=(data_of,))


def reads_all(compute: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """For what looks at data and findings: of the partition's subset, or of those of its config."""
    return _in_turn(compute, read=(data_of, findings_of))


def _in_turn(
    compute: Callable[_Arguments, _Result], *, write: _Names = (), read: _Names = ()
) -> Callable[_Arguments, _Result]:
    signature = inspect.signature(compute)

    @functools.wraps(compute)
    def in_turn(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        given = signature.bind(*args, **kwargs).arguments
        subsets = _subsets_of(given)
        with held(
            given["home"].open(),
            write=[name(subset) for name in write for subset in subsets],
            read=[name(subset) for name in read for subset in subsets],
            tell=given["context"].log.info,
        ):
            return compute(*args, **kwargs)

    return in_turn


def _subsets_of(given: Mapping[str, Any]) -> list[str]:
    context = given["context"]
    if context.has_partition_key:
        return [context.partition_key]
    return list(given["config"].subsets) or known_subsets(context.instance)
