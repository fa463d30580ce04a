# SPDX-License-Identifier: Apache-2.0
"""A home in an object store: its paths, copies of what lies there, and writes seen whole."""
