# SPDX-License-Identifier: Apache-2.0
"""At which stage nodules were lost, and what false positives lie on."""
