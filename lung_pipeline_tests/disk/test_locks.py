# SPDX-License-Identifier: Apache-2.0
"""Readers share, a writer is alone, a lock dies with its process; each case with two of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lung_pipeline.errors import SettingError
from lung_pipeline.home import Home
from lung_pipeline.locks import data_of, findings_of, held

DEADLINE_S = 120

_HOLDER = """
import sys
from lung_pipeline.home import Home
from lung_pipeline.locks import held

root, how, *names = sys.argv[1:]
with held(Home.at(root), **{how: names}):
    print("held", flush=True)
    sys.stdin.readline()
"""


class Holder:
    """Another process that holds names until it is told to end."""

    def __init__(self, home: Home, how: str, *names: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(home.root), how, *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def give_back(self) -> None:
        self.process.communicate("go on\n", timeout=DEADLINE_S)


class Taker(threading.Thread):
    """A thread of this process that wants names; says what it waits for."""

    def __init__(self, home: Home, **wanted: list[str]) -> None:
        super().__init__(daemon=True)
        self.home, self.wanted = home, wanted
        self.told: list[str] = []
        self.waits, self.done = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with held(self.home, **self.wanted, tell=self._tell):
            self.done.set()

    def _tell(self, sentence: str) -> None:
        self.told.append(sentence)
        self.waits.set()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    return Home.at(tmp_path)


def test_second_writer_waits_says_so_and_goes_on_when_the_first_is_done(home: Home) -> None:
    first = Holder(home, "write", data_of("subset0"))
    second = Taker(home, write=[data_of("subset0")])
    assert second.waits.wait(DEADLINE_S)
    assert second.told == ["waits for another run that uses the data of subset0"]
    assert not second.done.is_set()
    first.give_back()
    assert second.done.wait(DEADLINE_S)


def test_readers_share_and_a_writer_waits_for_them(home: Home) -> None:
    first = Holder(home, "read", data_of("subset0"), data_of("subset1"))
    with held(home, read=[data_of("subset1")], tell=pytest.fail):
        pass
    writer = Taker(home, write=[data_of("subset1")])
    assert writer.waits.wait(DEADLINE_S)
    assert not writer.done.is_set()
    first.give_back()
    assert writer.done.wait(DEADLINE_S)


def test_reader_waits_for_a_writer(home: Home) -> None:
    first = Holder(home, "write", data_of("subset0"))
    reader = Taker(home, read=[data_of("subset0")])
    assert reader.waits.wait(DEADLINE_S)
    assert reader.told == ["waits for another run that writes the data of subset0"]
    first.give_back()
    assert reader.done.wait(DEADLINE_S)


def test_nobody_waits_for_another_subset_or_for_what_is_made_of_it(home: Home) -> None:
    first = Holder(home, "write", data_of("subset0"))
    with held(home, write=[data_of("subset1"), findings_of("subset0")], tell=pytest.fail):
        pass
    first.give_back()


def test_lock_dies_with_a_killed_process(home: Home) -> None:
    first = Holder(home, "write", data_of("subset0"))
    second = Taker(home, write=[data_of("subset0")])
    assert second.waits.wait(DEADLINE_S)
    first.process.send_signal(signal.SIGKILL)
    assert second.done.wait(DEADLINE_S)
    first.process.communicate()


def test_lock_is_given_back_when_the_block_raises(home: Home) -> None:
    def fail() -> None:
        with held(home, write=[data_of("subset0")]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with held(home, write=[data_of("subset0")], tell=pytest.fail):
        pass


def test_several_names_are_taken_in_one_order_whoever_asks(home: Home) -> None:
    """Else one would hold a and want b while another holds b and wants a."""
    low, high = data_of("subset0"), data_of("subset1")
    first = Holder(home, "write", high)
    both = Taker(home, write=[high, low])
    assert both.waits.wait(DEADLINE_S)
    # It waits for the second of them and has the first already, though it named it last.
    third = Taker(home, write=[low])
    assert third.waits.wait(DEADLINE_S)
    first.give_back()
    assert both.done.wait(DEADLINE_S)
    assert third.done.wait(DEADLINE_S)


def test_who_reads_and_writes_a_name_writes_it(home: Home) -> None:
    first = Holder(home, "read", data_of("subset0"))
    both = Taker(home, write=[data_of("subset0")], read=[data_of("subset0")])
    assert both.waits.wait(DEADLINE_S)
    assert not both.done.is_set()
    first.give_back()
    assert both.done.wait(DEADLINE_S)


def test_name_of_a_subset_cannot_climb_out_of_the_folder(home: Home) -> None:
    with (
        pytest.raises(SettingError, match="letters, digits"),
        held(home, write=[data_of("../../subset0")]),
    ):
        pass
