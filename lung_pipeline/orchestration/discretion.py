# SPDX-License-Identifier: Apache-2.0
"""Nothing that Dagster records of assets and checks names a patient.

What is recorded are metadata, log lines and errors. Every asset and every check wears ``discreet``
(a test looks for it). The home's own files keep the names; ``lung-pipeline whose`` tells what a
name in Dagster stands for.

Belongs here: the places where Dagster is told something. Does not belong here: which names are
private (``private_names.py``).
"""

import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import dagster as dg

from lung_pipeline.errors import LungPipelineError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.orchestration.names_key import names_key
from lung_pipeline.orchestration.private_names import PrivateNames, private_names

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

DISCREET = "__lung_pipeline_discreet__"
"""What a function wears that tells no names."""


def discreet(compute: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Keep private names out of what a function with a ``home`` returns, logs and raises."""
    signature = inspect.signature(compute)

    @functools.wraps(compute)
    def told(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        given = signature.bind(*args, **kwargs).arguments
        context, home = given.get("context"), _home_of(given)
        subset = context.partition_key if context and context.has_partition_key else None
        log = context.log if context else None
        names_key(home)  # without it nothing could be told, not even what is wrong with it
        # Before, for errors and log lines; again after, since the step itself makes tables.
        before = _Lines(home, subset)
        if log:
            log.addFilter(before)
        try:
            return _without_names(compute(*args, **kwargs), private_names(home, subset))
        except Exception as error:
            try:
                names = private_names(home, subset)
            except Exception as unread:  # whatever it is: nobody knows whom the error names
                raise _untold(error, unread, home) from None
            _clean(error, names)
            raise
        finally:
            if log:
                log.removeFilter(before)

    setattr(told, DISCREET, True)
    return told


def _home_of(given: Mapping[str, Any]) -> Home:
    return cast(Home, (given.get("home") or given["tracking"].home).open())


class _Lines(logging.Filter):
    """Log lines without names; names are gathered at the first line, not where none is said."""

    def __init__(self, home: Home, subset: str | None) -> None:
        super().__init__()
        self._gather = functools.cache(lambda: private_names(home, subset))

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._gather().without(record.getMessage()), ()
        return True


def _without_names(result: Any, names: PrivateNames) -> Any:
    """A materialization or a check's result with its metadata cleaned."""
    if isinstance(result, dg.MaterializeResult):
        return result._replace(metadata=_metadata(result.metadata or {}, names))
    if isinstance(result, dg.AssetCheckResult):
        return result._replace(metadata=_metadata(result.metadata or {}, names))
    return result


def _metadata(metadata: Mapping[str, Any], names: PrivateNames) -> dict[str, Any]:
    return {key: _value(value, names) for key, value in metadata.items()}


def _value(value: Any, names: PrivateNames) -> Any:
    if isinstance(value, str):
        return names.without(value)
    if isinstance(value, dg.TextMetadataValue):
        return dg.MetadataValue.text(names.without(value.text or ""))
    if isinstance(value, dg.PathMetadataValue):
        return dg.MetadataValue.path(names.without(str(value.path)))
    if isinstance(value, dg.MarkdownMetadataValue):
        return _markdown(value, names)
    if isinstance(value, dg.TableMetadataValue):
        return _table(value, names)
    return value


def _markdown(value: dg.MarkdownMetadataValue, names: PrivateNames) -> dg.MarkdownMetadataValue:
    """Pictures are letters too, and long ones: they are drawn of figures alone."""
    text = value.md_str or ""
    return value if "](data:image/" in text else dg.MetadataValue.md(names.without(text))


def _table(value: dg.TableMetadataValue, names: PrivateNames) -> dg.TableMetadataValue:
    records = [dg.TableRecord(dict(_cells(record.data, names))) for record in value.records]
    return dg.MetadataValue.table(records, schema=value.schema)


def _cells(row: Mapping[str, Any], names: PrivateNames) -> Iterator[tuple[str, Any]]:
    for column, cell in row.items():
        if column == "patient_id" and cell is not None:
            yield column, names.stand_in(str(cell))
        else:
            yield column, names.without(cell) if isinstance(cell, str) else cell


def _untold(error: Exception, unread: Exception, home: Home) -> StoreError:
    """What stands for an error of which nobody knows whom it names: the home cannot be read."""
    why = unread.strerror if isinstance(unread, OSError) else None
    return StoreError(
        value=f"{type(error).__name__}, whose words are kept back",
        place=home.root,
        rule="an error is told once the names that it must not tell are read there",
        cure=f"Bring the home back ({why or type(unread).__name__}), then run the step again.",
    )


def _clean(error: BaseException, names: PrivateNames) -> None:
    """Take the names out of an error and out of those it came from; its class stays."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        if isinstance(one, LungPipelineError):
            one.value, one.place = names.without(str(one.value)), names.without(one.place)
            one.rule, one.cure = names.without(one.rule), names.without(one.cure)
        if isinstance(one, OSError):
            for field in ("filename", "filename2"):
                if isinstance(path := getattr(one, field), str):
                    setattr(one, field, names.without(path))
        one.args = tuple(
            names.without(said) if isinstance(said, str) else said for said in one.args
        )
        one = one.__cause__ or one.__context__
