# SPDX-License-Identifier: Apache-2.0
"""Step 1, marks: from readers' tables to nodules, ratings, candidates and a patient's part."""
