# SPDX-License-Identifier: Apache-2.0
"""The book's published nodule classifier in our classifier: our module, their numbers."""

from __future__ import annotations

from pathlib import Path

from lung_pipeline.classification.network import CropClassifier
from lung_pipeline.learning.foreign import read_foreign_state, renamed

_NAMES = (
    (r"tail_batchnorm\.", "tail."),
    (r"block1\.", "backbone.0."),
    (r"block2\.", "backbone.1."),
    (r"block3\.", "backbone.2."),
    (r"block4\.", "backbone.3."),
    (r"head_linear\.", "head."),
)


def read_reference_classifier(path: Path) -> CropClassifier:
    """The nodule classifier with the published weights (222,220 parameters), ready to infer.

    Raises:
        ModelError: the file is no checkpoint, or not of this network.
    """
    model = CropClassifier()
    renamed(read_foreign_state(path), _NAMES, into=model, place=path)
    return model.eval()
