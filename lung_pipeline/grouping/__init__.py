# SPDX-License-Identifier: Apache-2.0
"""Step 3: from marked voxels to candidates: erosion, connected components, centre of mass."""
