# SPDX-License-Identifier: Apache-2.0
"""Dagster's own storage, opened; where it cannot be, that is said in one line.

Belongs here: what opening an instance may end in. Does not belong here: what is done with one.
"""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from lung_pipeline.errors import ServiceError

_ABSENT = re.compile(r'environment variable "\w+" which is not set')
_UNFIT = re.compile(r"Received unexpected config entr[^.{]*|Missing required config entr[^.{]*")


def instance_that_answers(settings: Path) -> dg.DagsterInstance:
    """The instance of ``DAGSTER_HOME``.

    Args:
        settings: its dagster.yaml, for the error.

    Raises:
        ServiceError: the settings name an absent variable, or a database that does not answer.
    """
    # Each of six attempts is told by a logger, on several lines.
    logging.disable(logging.WARNING)
    try:
        return dg.DagsterInstance.get()
    except Exception as error:
        said = _known_cause(error)
        if said is None:
            raise
        raise ServiceError(
            value=f"'{said}'",
            place=settings,
            rule="the storage it names must be complete and answer",
            cure="Start the database, or correct the settings; docs/how-to/postgresql.md says how.",
        ) from None
    finally:
        logging.disable(logging.NOTSET)


def _known_cause(error: BaseException) -> str | None:
    """In one line what a person can put right; None of a fault of another kind."""
    for one in _chain(error):
        # By name: SQLAlchemy's errors are loaded where a database is.
        if type(one).__name__ == "OperationalError":
            return str(getattr(one, "orig", None) or one).strip().splitlines()[0]
        if isinstance(one, dg.DagsterInvalidConfigError):
            # Never its whole text, in which the values stand too, and so the password.
            found = _ABSENT.search(str(one)) or _UNFIT.search(str(one))
            return found[0] if found else "other settings than Dagster knows"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
