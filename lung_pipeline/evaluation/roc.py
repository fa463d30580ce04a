# SPDX-License-Identifier: Apache-2.0
"""How well a score ranks malignant above benign.

Belongs here: figures of ranking. The baseline every malignancy figure must be read against is this
same function with the diameter as the score. Does not belong here: detection (``froc.py``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def roc_auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float | None:
    """Area under the ROC curve: the chance that a positive ranks above a negative, ties half.

    Args:
        labels: shape (n,), True or 1 for positive.
        scores: shape (n,), any order-preserving number.

    Returns:
        The area, 0 to 1; None where only one class, or nothing, is there to rank.
    """
    is_positive = np.asarray(labels, dtype=bool)
    if len(np.unique(is_positive)) < 2:
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_positive, np.asarray(scores, dtype=np.float64)))
