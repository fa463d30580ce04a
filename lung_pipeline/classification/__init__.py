# SPDX-License-Identifier: Apache-2.0
"""Step 4: is it a nodule, and is it malignant: a 3D CNN on crops, and its fine-tuning."""
