# SPDX-License-Identifier: Apache-2.0
"""Step 5: from findings to a verdict for the patient, by a rule that is written beside it."""
