# SPDX-License-Identifier: Apache-2.0
"""From a chest CT to lung nodules to a patient-level diagnosis, in five steps.

The folders are the steps: ``ct``, ``annotations`` and ``crops`` (data), ``segmentation``,
``grouping``, ``classification``, ``diagnosis``. Nothing is imported here, so that importing one
step never pays for another.
"""

__version__ = "0.1.0"
