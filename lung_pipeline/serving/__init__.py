# SPDX-License-Identifier: Apache-2.0
"""One scan from a person's hand to a folder of results: for the command and for the web page."""
