# SPDX-License-Identifier: Apache-2.0
"""One message read in a test: its marks, the reasons of its losses, or why it was refused."""

from __future__ import annotations

import time

import pytest
from lidc_messages import message

from lung_pipeline.annotations.lidc_message import (
    Message,
    read_message,
)
from lung_pipeline.errors import AnnotationError


def read_sessions(*sessions: str) -> Message:
    return read_message(message(*sessions).encode(), "a.xml")


def reasons_of(found: Message) -> list[str]:
    return [loss.reason for loss in found.losses]


def refusal_of(xml: bytes | str) -> AnnotationError:
    started = time.perf_counter()
    with pytest.raises(AnnotationError) as caught:
        read_message(xml.encode() if isinstance(xml, str) else xml, "a.xml")
    assert time.perf_counter() - started < 1
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500
    return caught.value
