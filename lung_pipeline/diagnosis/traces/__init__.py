# SPDX-License-Identifier: Apache-2.0
"""What became of nodules that are known, written down while findings are made."""
