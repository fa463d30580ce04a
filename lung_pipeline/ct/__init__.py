# SPDX-License-Identifier: Apache-2.0
"""Step 1, first half: a chest CT as a volume of HU on a grid in patient space."""
