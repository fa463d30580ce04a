# SPDX-License-Identifier: Apache-2.0
"""What a scan goes through between its voxels and its findings, one step a module."""
