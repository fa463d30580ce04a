# SPDX-License-Identifier: Apache-2.0
"""What the commands share: how a path is told, and how bad input is answered.

Belongs here: what two commands need. Does not belong here: a command.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lung_pipeline.errors import LungPipelineError

FOLDER = click.Path(file_okay=False, path_type=Path)
"""A folder that may not exist yet."""

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""A file that is there."""

FILE_TO_WRITE = click.Path(dir_okay=False, path_type=Path)
"""A file that may not exist yet."""

ANY = click.Path(path_type=Path)
"""A file or a folder; what is read there says what is wrong with it."""


class OneLineErrors(click.Group):
    """Tells what a person can put right in one line, with exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; our errors become one line on the error stream."""
        try:
            return super().invoke(ctx)
        except LungPipelineError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)
        except OSError as error:
            # A full disk, a folder that may not be written: a person's to put right too.
            if error.filename is None:
                raise
            click.echo(f"Error: {error.filename}: {error.strerror}", err=True)
            ctx.exit(2)
