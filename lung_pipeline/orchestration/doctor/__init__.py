# SPDX-License-Identifier: Apache-2.0
"""What a kill, a full disk or an upgrade leaves over: found, told in a line, and cured.

A module for each ailment, each with a function ``find_...`` that gives ``Ailment`` values.
``examination.py`` goes through them in order.
"""
