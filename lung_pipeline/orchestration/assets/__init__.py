# SPDX-License-Identifier: Apache-2.0
"""The assets, a file for each group of the graph. An asset is a sentence."""
