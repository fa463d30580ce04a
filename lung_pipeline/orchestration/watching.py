# SPDX-License-Identifier: Apache-2.0
"""Who looks on at a training that Dagster runs: its log, MLflow and TensorBoard.

Belongs here: what is told to whom, and in which order. Does not belong here: when the loop tells it
(``learning.loop``), how a picture is drawn (``reporting.examples``), and what a run keeps
(``tracking``).
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from lung_pipeline.learning.settings import TrainingSettings
from lung_pipeline.remote.copies import worked_in

if TYPE_CHECKING:
    from lung_pipeline.learning.epoch import Epoch
    from lung_pipeline.learning.examples import Example
    from lung_pipeline.learning.progress import Memory, ProgressMeter
    from lung_pipeline.tracking.runs import Run
    from lung_pipeline.tracking.tensorboard import EventFiles

EVENTS, EXAMPLES = "tensorboard", "examples"
"""The folders of a run's artifacts: event files, and pictures by epoch."""

Say = Callable[[str], None]
"""Where a person reads: Dagster's log."""


@dataclass(slots=True)
class TrainingWatcher:
    """A ``learning.watching.Watcher``; epochs its run has from before an interruption are known."""

    run: "Run"
    """Where figures and pictures are kept."""

    events: "EventFiles"
    """The same for TensorBoard."""

    meter: "ProgressMeter"
    """Says every few seconds how it goes."""

    memory: "Callable[[], Memory]"
    """What the training takes."""

    say: Say
    """Where each epoch's figures are said."""

    known: set[int]
    """Epochs that were told before, and need not be told again."""

    keep: Callable[[], None] = lambda: None
    """Makes the event files last, where their folder is a copy."""

    def begin(self, epoch: int) -> None:
        """An epoch begins."""
        self.meter.begin(epoch)

    def step(self, num_samples: int, waiting_s: float) -> None:
        """A step is done."""
        self.meter.step(num_samples, waiting_s)

    def end(self, epoch: "Epoch", examples: "Sequence[Example]") -> None:
        """Keep an epoch's figures and pictures, and say the figures.

        MLflow's figures are written last and are what makes an epoch known: one that was killed in
        between is told again, and takes the place of what it left.
        """
        if epoch.number in self.known:
            return
        figures = {**epoch.metrics, **epoch.speed, **self.memory().as_metrics()}
        pngs = _drawn(examples)
        self._keep_events(epoch.number, figures, pngs)
        self.keep()
        self._keep_pictures(epoch.number, pngs)
        self.run.log_metrics(figures, step=epoch.number)
        self.say(f"epoch {epoch.number} ({epoch.seconds:.0f} s)\n{in_words(epoch.metrics)}")

    def _keep_events(
        self, epoch: int, figures: Mapping[str, float], pngs: Mapping[str, bytes]
    ) -> None:
        from lung_pipeline.reporting.examples import from_png

        # As small as the PNGs: event files keep the pictures of all epochs.
        pictures = {f"{EXAMPLES}/{name}": from_png(png) for name, png in pngs.items()}
        self.events.log(epoch, figures, pictures)

    def _keep_pictures(self, epoch: int, pngs: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            for name, png in pngs.items():
                (Path(scratch) / f"{name}.png").write_bytes(png)
            if pngs:
                self.run.log_folder(Path(scratch), f"{EXAMPLES}/epoch-{epoch:03d}")


@contextlib.contextmanager
def watched(
    run: "Run", settings: TrainingSettings, folder: Path, say: Say
) -> Iterator[TrainingWatcher]:
    """Lend the watcher of a training; when it ends well, the run gets its event files too.

    Args:
        run: the training's, begun or going on.
        settings: how long it is, and where.
        folder: of the event files while it lasts; one that goes on must find those of before.
        say: where a person reads.
    """
    from lung_pipeline.learning.device import pick_device
    from lung_pipeline.learning.epoch import TRAINING_LOSS
    from lung_pipeline.learning.progress import ProgressMeter, memory_from_here
    from lung_pipeline.tracking.tensorboard import event_files

    memory = memory_from_here(pick_device(settings.device))
    meter = ProgressMeter(settings.epochs, settings.steps_per_epoch, say, memory)
    with worked_in(folder) as own:
        with event_files(own.local) as events:
            known = run.logged_steps(TRAINING_LOSS)
            yield TrainingWatcher(run, events, meter, memory, say, known, own.keep)
        if own.local.is_dir():
            run.log_folder(own.local, EVENTS)


def in_words(figures: Mapping[str, float]) -> str:
    """Figures for a person, those of one kind in a line.

    >>> print(in_words({"train/loss": 0.25, "validation/loss": 0.5, "validation/nodule/total": 9}))
      train              loss 0.25
      validation         loss 0.5
      validation/nodule  total 9
    """
    width = max((len(_kind(name)) for name in figures), default=0)
    lines = []
    for kind, names in groupby(sorted(figures, key=_kind), _kind):
        shown = (f"{name.rpartition('/')[2]} {figures[name]:.4g}" for name in names)
        lines.append(f"  {kind:<{width}}  {'  '.join(shown)}")
    return "\n".join(lines)


def _kind(name: str) -> str:
    return name.rpartition("/")[0]


def _drawn(examples: "Sequence[Example]") -> dict[str, bytes]:
    from lung_pipeline.reporting.examples import as_png, example_picture

    return {example.name: as_png(example_picture(example)) for example in examples}
