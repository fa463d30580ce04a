# SPDX-License-Identifier: Apache-2.0
"""Step 2: which voxels may be nodule: a U-Net that sees seven slices and marks the middle one."""
