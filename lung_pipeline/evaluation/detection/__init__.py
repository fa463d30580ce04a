# SPDX-License-Identifier: Apache-2.0
"""Which findings hit which nodules, and the FROC curve with its intervals; LUNA16's protocol."""
