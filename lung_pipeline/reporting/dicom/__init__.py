# SPDX-License-Identifier: Apache-2.0
"""A patient's findings as DICOM: a segmentation, and a structured report of measurements."""
