# SPDX-License-Identifier: Apache-2.0
"""One job in a process of its own, from both sides of the process's border.

A process and no thread: a scan that crashes a library or fills the memory ends its own process
only, all memory goes back to the system, and a job can be stopped at any point. The price is that
models and libraries are loaded for each scan, some seconds.

The parent starts ``python -m lung_pipeline.serving.child`` with the job's folder and the home, and
keeps its standard input open; when that closes, because the server is gone, the child ends too. The
child tells one JSON object a line: a step and its share, then "done" or "refused".

Belongs here: starting, hearing and stopping a child; what runs in it. Does not belong here: which
job is next (``jobs.py``), and the diagnosis (``one_scan.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from lung_pipeline.errors import LungPipelineError, StoreError
from lung_pipeline.home import Home
from lung_pipeline.serving.job import DONE, FAILED, REFUSED, Job, told
from lung_pipeline.serving.jobs import RunJob
from lung_pipeline.serving.one_scan import diagnose_into, in_words
from lung_pipeline.serving.results import DICOM
from lung_pipeline.serving.wanted import Wanted

LOG_FILE, WANTED_FILE = "log.txt", "wanted.json"
"""In the job's folder: all that the child says beside its messages, and what was asked for."""

_LINE_BYTES = 1 << 20


def runner(home: Home) -> RunJob:
    """Runs jobs with the models of a home, each in a process of its own."""

    async def run(job: Job) -> None:
        wanted = Wanted(
            rule_name=job.request.rule_name,
            has_dicom=job.request.has_dicom,
            is_forced=job.request.is_forced,
        )
        (job.folder / WANTED_FILE).write_text(json.dumps(asdict(wanted)))
        with (job.folder / LOG_FILE).open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__, str(job.folder), str(job.scan), str(home.root)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_BYTES,
                # So that Ctrl-C reaches the server alone, which stops its child itself.
                start_new_session=True,
            )
        try:
            ended = await _heard(child, job)
        finally:
            await _stop(child)
        _end(job, ended, child.returncode)

    return run


async def _heard(child: asyncio.subprocess.Process, job: Job) -> dict[str, Any]:
    """Follow a child until it says no more; returns how it ended, by its own words."""
    ended: dict[str, Any] = {}
    lines: Any = child.stdout
    while line := await lines.readline():
        message = json.loads(line)
        if "step" in message:
            job.step, job.share = message["step"], message["share"]
        else:
            ended = message
    await child.wait()
    return ended


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def _end(job: Job, ended: dict[str, Any], exit_code: int | None) -> None:
    if DONE in ended and exit_code == 0:
        job.move(DONE, **ended[DONE])
    elif REFUSED in ended:
        job.move(REFUSED, **ended[REFUSED])
    else:
        killed = "" if exit_code != -9 else " The system ended it, most likely for lack of memory."
        job.move(FAILED, message=f"The diagnosis broke off (exit code {exit_code}).{killed}")


def main(folder: Path, scan: Path, home: Home) -> None:
    """Run one job in this process and tell of it on what was standard output."""
    tell = _private_output()
    _end_with_parent()
    started = time.perf_counter()
    wanted = Wanted(**json.loads((folder / WANTED_FILE).read_text()))

    def on_progress(step: str, share: float) -> None:
        tell({"step": step, "share": share})

    try:
        diagnosis = diagnose_into(scan, folder / "out", home, wanted, on_progress)
        with in_words(StoreError, folder / "out"):
            _pack_dicom(folder / "out")
    except LungPipelineError as error:
        # Where the server keeps its files is nobody's business.
        words = {key: text.replace(f"{folder}/", "") for key, text in told(error).items()}
        tell({REFUSED: {key: text.replace("upload/", "") for key, text in words.items()}})
        return
    nodules = diagnosis.rule.nodules(diagnosis.findings)
    figures = {
        "verdict": diagnosis.verdict,
        "rule": diagnosis.rule.in_words(),
        "num_nodules": len(nodules),
        "num_findings": len(diagnosis.findings),
        "seconds": round(time.perf_counter() - started, 1),
        "cautions": list(diagnosis.cautions),
    }
    tell({DONE: figures})


def _pack_dicom(out: Path) -> None:
    """Make one file of the DICOM files, which may be hundreds with a derived series."""
    if (out / DICOM).is_dir():
        shutil.make_archive(str(out / DICOM), "zip", out, DICOM)


def _private_output() -> Callable[[dict[str, Any]], None]:
    """Keep standard output for messages; what libraries print goes to the log."""
    stream: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(message: dict[str, Any]) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    return tell


def _end_with_parent() -> None:
    def wait() -> None:
        # Not `sys.stdin`, whose lock would be held when the interpreter ends, which then aborts.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Home.at(sys.argv[3]))
