# SPDX-License-Identifier: Apache-2.0
"""No file can bring code: nothing of ours unpickles, evaluates or hands words to a shell.

The source is read, since a path that no test takes could still be taken by a stranger's file; then
the ways in are tried with files that do bring code.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lung_pipeline
from lung_pipeline.crops.store import CROPS, INDEX, open_crops
from lung_pipeline.diagnosis.steps.mask_files import read_masks
from lung_pipeline.errors import ModelError, StoreError
from lung_pipeline.learning.foreign import read_foreign_state
from lung_pipeline.tables import write_table

PACKAGE = Path(lung_pipeline.__file__).parent
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "benchmarks").glob("*.py")])

_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
_EXCEPTIONS_OF_PICKLE = {"UnpicklingError", "PickleError"}
_CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen"),
    *("pd.read_pickle", "pandas.read_pickle"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.jit.load", "torch.hub.load"),
    *("torch.package.PackageImporter", "mlflow.pytorch.load_model", "mlflow.pyfunc.load_model"),
    *("xml.etree.ElementTree.parse", "ElementTree.parse", "ET.parse", "ET.fromstring"),
    *("tarfile.open", "shutil.unpack_archive", "runpy.run_path"),
}
_MUST_SAY = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}


def faults_of(source: str) -> list[str]:
    """What a file's source does that a test here forbids, with its line."""
    return [f"{line}: {what}" for line, what in _faults(ast.parse(source))]


def _faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _MODULES:
            if not {name.name for name in node.names} <= _EXCEPTIONS_OF_PICKLE:
                yield node.lineno, f"from {node.module} import"
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in _MODULES:
            if node.attr not in _EXCEPTIONS_OF_PICKLE:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _of_call(node))


def _of_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name in _CALLS:
        yield name
    said = {key.arg: getattr(key.value, "value", None) for key in node.keywords}
    if name in _MUST_SAY and said.get(_MUST_SAY[name][0]) is not _MUST_SAY[name][1]:
        yield f"{name} without {_MUST_SAY[name][0]}={_MUST_SAY[name][1]}"
    elif said.get("shell") not in (None, False) or said.get("allow_pickle"):
        yield f"{name} with a shell or pickle"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "from joblib import load",
        "import cloudpickle\ncloudpickle.loads(b)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "np.savez(f, a, allow_pickle=True)",
        "yaml.load(f, Loader=x)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "mlflow.pytorch.load_model(uri)",
        "pd.read_pickle(f)",
    ],
)
def test_what_is_forbidden_is_seen(source: str) -> None:
    assert len(faults_of(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.UnpicklingError",
        "torch.load(f, weights_only=True)",
        "np.load(f, allow_pickle=False)",
        "model.eval()",
        "subprocess.run(['a'])",
        "yaml.safe_load(f)",
    ],
)
def test_what_is_allowed_is_let_pass(source: str) -> None:
    assert faults_of(source) == []


def test_no_source_of_ours_does_any_of_it() -> None:
    assert len(SOURCES) > 250
    found = {path.name: faults for path in SOURCES if (faults := faults_of(path.read_text()))}
    assert found == {}


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_checkpoint_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    torch.save({"model_state": {"weight": torch.zeros(1)}, "x": _Bomb(mark)}, tmp_path / "a.pt")
    with pytest.raises(ModelError):
        read_foreign_state(tmp_path / "a.pt")
    assert not mark.exists()
    # What a reader without that care would have done.
    torch.load(tmp_path / "a.pt", weights_only=False)
    assert mark.exists()


def test_crops_with_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    np.save(tmp_path / CROPS, np.array([_Bomb(mark)], dtype=object), allow_pickle=True)
    write_table(pd.DataFrame({"series_uid": ["a"], "part": ["train"]}), tmp_path / INDEX, {})
    with pytest.raises(StoreError, match="the array must be there, and whole"):
        open_crops([tmp_path])
    assert not mark.exists()


def test_masks_with_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    bomb = np.array([_Bomb(mark)], dtype=object)
    np.savez(tmp_path / "a.npz", start_irc=bomb, shape_irc=bomb, bits=bomb)
    with pytest.raises(StoreError):
        read_masks(tmp_path / "a.npz")
    assert not mark.exists()
