# SPDX-License-Identifier: Apache-2.0
"""What every training shares: the loop, the metrics, seeds, devices, and models as folders."""
