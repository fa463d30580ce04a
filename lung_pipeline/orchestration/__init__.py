# SPDX-License-Identifier: Apache-2.0
"""Everything that knows Dagster; nothing below knows it.

Modules here that define assets or checks do not use ``from __future__ import annotations``:
Dagster compares the annotation of ``context`` itself and refuses a string (dagster issue 26837).
"""
