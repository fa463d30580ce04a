# SPDX-License-Identifier: Apache-2.0
"""Pages as a browser would read them, for tests."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """What a browser would make of a page: text, tags, scripts, and all it would ask for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[str] = []
        self.scripts: list[str] = []
        self._is_script = False
        self._texts: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._texts))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "script":
            self._is_script = True
            self.scripts.append("")
        self.addresses += [v or "" for k, v in attrs if k in ("src", "srcset", "href", "action")]

    def handle_endtag(self, tag: str) -> None:
        self._is_script &= tag != "script"

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts[-1] += data
        else:
            self._texts.append(data)
