# SPDX-License-Identifier: Apache-2.0
"""What is told of one patient: the report that a browser opens, or why there is none."""
