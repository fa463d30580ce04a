# SPDX-License-Identifier: Apache-2.0
"""Synthetic LUNA16 folders whose truth is known to a fraction of a voxel: demo, tests, docs.

``folder.write_luna_folder`` writes one; ``plan`` says what will be in a scan without drawing it,
``render`` draws it. Nothing here was measured on a person, and nothing here is for diagnosis.
"""
