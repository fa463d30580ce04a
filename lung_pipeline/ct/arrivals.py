# SPDX-License-Identifier: Apache-2.0
"""What has arrived below ``raw``: which subset stands there whole, and which of them is new.

A folder is known by the names, sizes and times of its files: nothing is opened, so that a look at
a whole subset costs milliseconds. It is whole when nothing changed in it between two looks, or when
it holds a ``.done`` that was put there last.

Belongs here: looking, and what a look asks for. Does not belong here: who asks, and how often; what
is in the files. The tables below ``raw`` are of no subset: a changed csv asks for nothing here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lung_pipeline.ct.subset_names import is_subset_name
from lung_pipeline.home import Home
from lung_pipeline.writing import written_whole

DONE_FILE = ".done"
"""Says that a subset's folder is whole; it counts where no file is younger."""

_LISTED = "raw_subset"
"""The stage that lists a subset's scans; what it found is remembered beside its manifest."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What stands in a subset's folder at one moment."""

    content: str
    """Fingerprint of its visible files; empty where there is no scan among them."""

    everything: str
    """The same of all files: what is being copied often has a hidden name until it is whole."""

    is_done: bool
    """Whether a ``.done`` lies there that is as young as any visible file."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of a subset from one look to the next."""

    everything: str
    """``Arrival.everything`` of the last look."""

    asked: tuple[str, ...] = ()
    """The contents that were asked for, the newest last."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look below ``raw`` found."""

    asks: dict[str, str] = field(default_factory=dict)
    """For each subset that is to be ingested the key of that wish: ``<subset>:<content>``."""

    waiting: dict[str, str] = field(default_factory=dict)
    """For each folder that is not asked for, and not ingested, why."""

    remembered: dict[str, Remembered] = field(default_factory=dict)
    """What the next look has to be told."""

    def in_words(self) -> str:
        """Why nothing is asked for, a clause for each folder."""
        waiting = [f"{name}: {why}" for name, why in self.waiting.items()]
        return "; ".join(waiting) or "no new subset below raw/"


def look_below_raw(home: Home, remembered: Mapping[str, Remembered]) -> Look:
    """Look at every folder below ``raw`` and say which subset is to be ingested, again or first.

    One that vanishes meanwhile, or cannot be read, costs the others nothing.
    """
    look = Look(remembered=dict(remembered))
    for name, folder in _folders(home.raw):
        try:
            _look_at(home, name, arrival_of(folder), look)
        except OSError as error:
            look.waiting[name] = f"cannot be read ({error.strerror or type(error).__name__})"
    return look


def arrival_of(folder: Path) -> Arrival:
    """What stands in a folder now; ``OSError`` where it cannot be read or vanishes."""
    every, visible = hashlib.sha256(), hashlib.sha256()
    holds_scans, youngest, done = False, 0.0, -1.0
    for name, size, changed_s in sorted(_files(folder, "")):
        line = f"{name}\0{size}\0{changed_s!r}\n".encode(errors="surrogateescape")
        every.update(line)
        if name == DONE_FILE:
            done = changed_s
        elif not any(part[0] in "._" for part in name.split("/")):
            visible.update(line)
            youngest = max(youngest, changed_s)
            holds_scans = holds_scans or not name.lower().endswith(".xml")
    content = visible.hexdigest()[:16] if holds_scans else ""
    return Arrival(content, every.hexdigest()[:16], done >= youngest)


def remember_listed(home: Home, subset: str, arrival: Arrival) -> None:
    """Keep beside the manifest what stood in a subset's folder when its scans were listed."""
    with written_whole(_listed_file(home, subset)) as temporary:
        temporary.write_text(json.dumps({"content": arrival.content}) + "\n")


def is_ingested(home: Home, subset: str, arrival: Arrival) -> bool:
    """Whether the crops of a subset were made, and its scans listed as they stand now."""
    path = _listed_file(home, subset)
    if not path.is_file() or not home.crops_index(subset).is_file():
        return False
    return bool(json.loads(path.read_text())["content"] == arrival.content)


def as_text(remembered: Mapping[str, Remembered]) -> str:
    """What a look has to be told, as text that ``from_text`` reads."""
    return json.dumps({name: asdict(one) for name, one in remembered.items()}, sort_keys=True)


def from_text(text: str | None) -> dict[str, Remembered]:
    """What ``as_text`` wrote; nothing where there is nothing, or what something else wrote."""
    try:
        rows = json.loads(text or "{}")
        return {
            name: Remembered(str(row["everything"]), tuple(row["asked"]))
            for name, row in rows.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        # One tick more is all that it costs to look anew.
        return {}


def _look_at(home: Home, name: str, arrival: Arrival, look: Look) -> None:
    former = look.remembered.get(name, Remembered(""))
    look.remembered[name] = Remembered(arrival.everything, former.asked)
    if not is_subset_name(name):
        del look.remembered[name]
        if arrival.content:
            look.waiting[name] = "left alone, a subset is named by lowercase letters, digits and _"
    elif not arrival.content:
        look.waiting[name] = "holds no scan yet"
    elif not arrival.is_done and arrival.everything != former.everything:
        look.waiting[name] = "is arriving, or seen for the first time"
    elif former.asked[-1:] != (arrival.content,) and not is_ingested(home, name, arrival):
        look.asks[name] = _wish(name, arrival.content, former.asked)
        look.remembered[name] = Remembered(arrival.everything, (*former.asked, arrival.content))


def _wish(name: str, content: str, asked: tuple[str, ...]) -> str:
    """A key that was never used before: what a folder held long ago may come back to it."""
    times = asked.count(content)
    return f"{name}:{content}:{times + 1}" if times else f"{name}:{content}"


def _folders(raw: Path) -> Iterator[tuple[str, Path]]:
    if raw.is_dir():
        for path in sorted(raw.iterdir(), key=lambda path: path.name):
            if path.name[0] not in "._" and path.is_dir():
                yield path.name, path


def _files(folder: Path, above: str) -> Iterator[tuple[str, int, float]]:
    """Each file below a folder: its path there, its size, when it changed."""
    for path in folder.iterdir():
        name = f"{above}{path.name}"
        if path.is_dir():
            yield from _files(path, f"{name}/")
        else:
            known = path.stat()
            yield name, known.st_size, known.st_mtime


def _listed_file(home: Home, subset: str) -> Path:
    return home.manifest(_LISTED, subset).with_suffix(".arrival.json")
