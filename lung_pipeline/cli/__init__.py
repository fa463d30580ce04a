# SPDX-License-Identifier: Apache-2.0
"""The command ``lung-pipeline``: parses, calls one function, prints.

Belongs here: words and exit codes, a module for each topic. Does not belong here: work. Exit code 0
is success, 2 is bad input told in one line; a traceback is a fault of ours.
"""

from __future__ import annotations

import click

from lung_pipeline import __version__
from lung_pipeline.cli import (
    backfill,
    compare,
    data,
    demo,
    diagnose,
    doctor,
    froc,
    home,
    models,
    promote,
    serve,
    ui,
)
from lung_pipeline.cli.words import OneLineErrors


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From chest CTs to lung nodules to a patient-level diagnosis.

    Everything lies below one folder: LUNG_PIPELINE_HOME, else ./data. Research use only.
    """


main.add_command(backfill.backfill)
main.add_command(compare.compare)
main.add_command(data.label)
main.add_command(data.splits)
main.add_command(data.subsets)
main.add_command(data.whose)
main.add_command(demo.demo)
main.add_command(demo.phantom)
main.add_command(demo.primer)
main.add_command(diagnose.diagnose)
main.add_command(doctor.doctor)
main.add_command(froc.froc)
main.add_command(home.home)
main.add_command(models.models)
models.models.add_command(promote.promote)
main.add_command(serve.serve)
main.add_command(ui.ui)
