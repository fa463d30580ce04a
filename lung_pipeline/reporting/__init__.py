# SPDX-License-Identifier: Apache-2.0
"""What a person looks at: pictures and pages made of findings and figures that stand already.

Belongs here: showing. Does not belong here: any figure that is not handed in or counted from what
is shown.
"""
