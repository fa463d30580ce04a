# SPDX-License-Identifier: Apache-2.0
"""Processes of the kill campaign: started, found, killed, waited for; none stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import psutil

ENOUGH_S = 600.0
"""After this a process is taken to hang; nothing here takes a minute on a quiet machine."""

_LOOK_EVERY_S = 0.005


def answer_of(words: list[str], environment: Mapping[str, str]) -> str:
    """What a Python program said, which must end well and in time.

    Raises:
        RuntimeError: it ended otherwise, or hung.
    """
    program = _started(words, environment, subprocess.PIPE)
    try:
        said, complaint = program.communicate(timeout=ENOUGH_S)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{words} hung for {ENOUGH_S:.0f} s") from None
    finally:
        _end_all_of(program)
    if program.returncode:
        tail = complaint.decode(errors="replace").strip()[-2000:]
        raise RuntimeError(f"{words} ended with {program.returncode}: {tail}")
    return said.decode()


def killed(
    words: list[str], environment: Mapping[str, str], kind: str, is_time: Callable[[float], bool]
) -> str:
    """Start a run, kill of it what ``kind`` says when it is time, and wait for the rest of it.

    ``is_time`` is told the seconds since the run was begun, again and again.

    Returns:
        What was killed: a step that was not there yet gives its worker. Empty: it had ended.
    """
    worker = _started(words, environment, subprocess.DEVNULL)
    began = time.monotonic()
    try:
        while not is_time(time.monotonic() - began):
            if worker.poll() is not None:
                return ""
            time.sleep(_LOOK_EVERY_S)
        if worker.poll() is not None:
            return ""
        steps = _steps_of(worker.pid) if kind == "step" else []
        if kind == "step" and not steps:
            kind = "worker"
        if kind == "power":
            os.killpg(worker.pid, signal.SIGKILL)
        else:
            os.kill(steps[0] if steps else worker.pid, signal.SIGKILL)
        _wait_for_all_of(worker)
    finally:
        _end_all_of(worker)
    return kind


def _started(
    words: list[str], environment: Mapping[str, str], output: int
) -> subprocess.Popen[bytes]:
    """In a session of its own, by which all that it begins is found again."""
    return subprocess.Popen(
        [sys.executable, *words],
        env=dict(environment),
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def _steps_of(worker: int) -> list[int]:
    """The processes of steps; one of the same parent only keeps count of semaphores."""
    try:
        children = psutil.Process(worker).children()
        return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def _members(session: int) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (OSError, psutil.NoSuchProcess):
            continue
    return found


def _wait_for_all_of(worker: subprocess.Popen[bytes]) -> None:
    """Until no process of the run is left: a step may outlive its worker and ends by itself."""
    deadline = time.monotonic() + ENOUGH_S
    while _members(worker.pid) and time.monotonic() < deadline:
        worker.poll()
        time.sleep(0.05)


def _end_all_of(worker: subprocess.Popen[bytes]) -> None:
    for pid in _members(worker.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    worker.wait()
    for pipe in (worker.stdout, worker.stderr):
        if pipe is not None:
            pipe.close()
