# SPDX-License-Identifier: Apache-2.0
"""New UIDs, made from words: the same words give the same UID on every machine.

Belongs here: how a UID is made. Does not belong here: what it names; that is in the words.
"""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "lung-pipeline")
"""Keeps our UUIDs apart from those that others make from the same words."""


def made_uid(*words: str) -> str:
    """A UID of the form 2.25, a UUID as one decimal number (DICOM PS3.5, B.2).

    The UUID is a hash of the words (RFC 9562, version 5), so nothing of them can be read from it.
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(words)).int}"
