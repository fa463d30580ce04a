# SPDX-License-Identifier: Apache-2.0
"""How a page is made of a template: escaped everywhere, complete in one file, written whole.

A page asks nothing of any other file or host, and needs no script; its own security policy forbids
both. Belongs here: the template engine. Does not belong here: what stands on a page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lung_pipeline.home import written_whole


def render_page(template: str, **values: Any) -> str:
    """The HTML of a template of ``templates/``; every value is escaped, an absent one an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lung_pipeline.reporting"),
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
