# SPDX-License-Identifier: Apache-2.0
"""What a person asked a step to compute on is there, before the step waits, reads or writes.

Belongs here: that question, asked of a step's config. Does not belong here: which devices there are
(``learning.device``), and what a pod asks of its machine (``op_tags.py``).
"""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def on_its_device(compute: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """For steps whose config names a device; worn outside of what waits for its turn.

    Raises:
        DeviceError: there is none such. A person learns it at once, not after an hour of reading,
            and nothing that asked for CUDA is computed on a CPU.
    """
    signature = inspect.signature(compute)

    @functools.wraps(compute)
    def on_device(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        from lung_pipeline.learning.device import pick_device

        pick_device(signature.bind(*args, **kwargs).arguments["config"].device)
        return compute(*args, **kwargs)

    return on_device
