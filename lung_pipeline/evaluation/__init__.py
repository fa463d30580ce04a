# SPDX-License-Identifier: Apache-2.0
"""How good it is: detections against readers' marks, in the ways others publish it.

Belongs here: plain tables in, figures out. Does not belong here: how findings are made (this
floor never imports ``diagnosis``) and how figures are shown (``reporting``).
"""
