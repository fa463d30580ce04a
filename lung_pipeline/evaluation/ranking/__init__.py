# SPDX-License-Identifier: Apache-2.0
"""How well probabilities rank, and how far they may be taken at their word."""
