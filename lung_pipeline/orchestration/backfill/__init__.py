# SPDX-License-Identifier: Apache-2.0
"""A backfill asked of a running Dagster, as its UI asks for it, and followed to its end.

Dagster's own command line starts backfills of jobs, not of assets, and its GraphQL client has none.
"""
