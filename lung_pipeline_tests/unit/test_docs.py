# SPDX-License-Identifier: Apache-2.0
"""What the documents point at is there, and the import picture is the contract that is checked."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    REPOSITORY / "README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "infra").rglob("*.md")),
]
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    named = _LINK.findall(document.read_text())
    lost = [
        name
        for name in named
        if "://" not in name and not (document.parent / name).resolve().exists()
    ]
    assert lost == []


def test_every_how_to_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [REPOSITORY / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached or document.suffix != ".md" or not document.is_file():
            continue
        reached.add(document)
        links = _LINK.findall(document.read_text())
        waiting += [(document.parent / name).resolve() for name in links if "://" not in name]
    assert [path.name for path in DOCUMENTS if path not in reached] == []


def test_the_import_picture_shows_the_contract() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    drawn = defaultdict(list)
    picture = ET.parse(REPOSITORY / "docs" / "pictures" / "imports.svg")
    for text in picture.iter(f"{_SVG}text"):
        if text.get("text-anchor") == "middle" and text.get("font-weight") == "bold":
            drawn[int(str(text.get("y")))].append(text.text)
    assert [drawn[y] for y in sorted(drawn)] == [layer.split(" | ") for layer in layers]
