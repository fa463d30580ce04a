# SPDX-License-Identifier: Apache-2.0
"""Files and folders that a killed process was writing; ``temporaries.py`` tells them by name."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lung_pipeline.home import Home
from lung_pipeline.orchestration.doctor.ailment import Ailment
from lung_pipeline.temporaries import leftovers_below
from lung_pipeline.writing import put_right


def find_temporary_files(home: Home) -> Iterator[Ailment]:
    """What was left below the home; an object store has none, since it shows whole objects only."""
    if "://" in str(home.root):
        return
    root = Path(home.root)
    for left in leftovers_below(root):
        cure = f"give it its name {left.final.name} back" if left.is_to_go_back else "remove it"
        where = left.path.relative_to(root).as_posix()
        yield Ailment("left over", where, left.changed_at, cure, partial(put_right, left))
