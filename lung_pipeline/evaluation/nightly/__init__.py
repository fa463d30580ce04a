# SPDX-License-Identifier: Apache-2.0
"""What the champions were promoted with, and what has changed since."""
