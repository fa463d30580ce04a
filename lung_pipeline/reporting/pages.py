# SPDX-License-Identifier: Apache-2.0
"""How a page is made of a template: escaped everywhere, complete in one file, written whole.

A page asks nothing of any other file or host; its own security policy forbids that. Of scripts it
allows those of ``templates/`` that it names by their hash, and no other. Belongs here: the template
engine. Does not belong here: what stands on a page.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lung_pipeline.writing import written_whole

if TYPE_CHECKING:
    from markupsafe import Markup

_PACKAGE = "lung_pipeline.reporting"


@dataclass(frozen=True, slots=True)
class Script:
    """A script of ``templates/``, to stand in a page."""

    text: Markup
    """The very text between its tags, which nothing may escape."""

    source: str
    """What names it in the page's policy (Content Security Policy 3, ``hash-source``)."""


def inline_script(name: str) -> Script:
    """A script of ``templates/``; nothing that a report is about ever becomes part of one."""
    from markupsafe import Markup

    text = (resources.files(_PACKAGE) / "templates" / name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return Script(text=Markup(text), source=f"'sha256-{digest}'")  # noqa: S704  our own file


def render_page(template: str, **values: Any) -> str:
    """The HTML of a template of ``templates/``; every value is escaped, an absent one an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def write_page(path: Path, template: str, **values: Any) -> None:
    """Render a template into a file, whole or not at all."""
    page = render_page(template, **values)
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
