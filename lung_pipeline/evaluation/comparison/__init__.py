# SPDX-License-Identifier: Apache-2.0
"""Two sets of models nodule by nodule, and whether one replaces the other."""
