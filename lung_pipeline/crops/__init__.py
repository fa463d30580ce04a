# SPDX-License-Identifier: Apache-2.0
"""Step 1, second half: fixed windows around candidates, cached as the classifiers read them."""
