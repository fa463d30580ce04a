# SPDX-License-Identifier: Apache-2.0
"""What lies below a home, how large it is, and what of it nobody needs any more."""
