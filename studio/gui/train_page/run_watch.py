"""One run, followed: its history read on a thread, then its events as they come, and what lies in its folder."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QTimer, Signal

from studio.gui.context import Context
from studio.gui.run_feed import RunFeed
from studio.gui.tasks import Control, Task
from studio.gui.train_page.prediction import predict
from studio.machine.resources import Gpu
from studio.project.curves import RunCurves
from studio.project.health import Surroundings, Verdict, judge
from studio.project.journal import EventReader
from studio.project.lines import file_size
from studio.project.run_facts import RunFacts, read_run_facts
from studio.project.runs import Run
from studio.project.state import Status, status_of
from studio.protocol import events
from studio.sizes import counted

_REPAINT_MS = 100
_LOOK_MS = 1000
_BITE_BYTES = 16_000  # a millisecond or two
_TELL_SECONDS = 0.1
_BUSY_SAMPLES = 30  # a minute of the machine's state
_REOPENING_SECONDS = 3.0  # a worker that has said its last word holds the run for an instant longer


@dataclass(frozen=True)
class Folder:
    """What a look into the run's folder finds."""

    is_running: bool = False
    is_there: bool = True
    checkpoints: tuple[int, ...] = ()
    has_result: bool = False


@dataclass(frozen=True)
class _History:
    curves: RunCurves
    offset: int
    num_skipped: int
    facts: RunFacts
    folder: Folder
    last: events.Event | None


class RunWatch(QObject):
    """Follows one run.

    Signals:
        told(float, float, str): how much of its history is read, of how much, and what that is in words.
        ready(): its history is read; `curves` and `facts` stand.
        changed(): something is new (at most ten times a second).
        vanished(): its folder is gone.
        failed(object): its history cannot be read.
    """

    told = Signal(float, float, str)
    ready = Signal()
    changed = Signal()
    vanished = Signal()
    failed = Signal(object)

    def __init__(self, context: Context, run: Run, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run = run
        self.curves = RunCurves()
        self.facts = RunFacts(title=run.name)
        self.folder = Folder()
        self.predicted_bytes: int | None = None
        self.is_ready = False
        self._context = context
        self._last: events.Event | None = None
        self._skipped_before = 0
        self._busy: deque[float] = deque(maxlen=_BUSY_SAMPLES)
        self._feed: RunFeed | None = None
        self._task: Task | None = None
        self._prediction: Task | None = None
        self._looks: list[Task] = []
        self._repaint = QTimer(self, singleShot=True, interval=_REPAINT_MS)
        self._looking = QTimer(self, interval=_LOOK_MS)
        self._connect()

    def _connect(self) -> None:
        self._repaint.timeout.connect(self.changed)
        self._looking.timeout.connect(self.look)
        self._context.machine.changed.connect(self._on_machine_changed)

    def start(self) -> None:
        """Read what was, then follow what comes."""
        self._task = self._context.tasks.run(
            _read_history,
            self.run,
            on_done=self._on_history,
            on_error=self.failed.emit,
            on_progress=self.told.emit,
        )

    def stop(self) -> None:
        """Follow no more."""
        self._repaint.stop()
        self._looking.stop()
        for task in (self._task, self._prediction, *self._looks):
            if task is not None:
                task.cancel()
        self._task = self._prediction = None
        if self._feed is not None:
            self._feed.stop()

    def pause(self) -> None:
        """Follow no more for now."""
        self._looking.stop()
        self._repaint.stop()
        if self._feed is not None:
            self._feed.stop()

    def go_on(self) -> None:
        """Follow again, from where it paused."""
        if self._feed is not None:
            self._feed.start()
            self._looking.start()
            self.look()

    def look(self) -> None:
        """Look into the folder now."""
        look = self._context.tasks.run(_look, self.run, on_done=self._on_looked, on_error=self.failed.emit)
        self._looks = [*(task for task in self._looks if task.is_running), look]

    @property
    def status(self) -> Status:
        """What the run is doing or how it ended."""
        is_closing = self.curves.end is not None and time.time() - self.curves.end.time < _REOPENING_SECONDS
        return status_of(self._last, is_running=self.folder.is_running and not is_closing)

    @property
    def is_getting_ready(self) -> bool:
        """Whether it runs and has not come to taking steps in this session."""
        return self.status == "running" and (not self.curves.phases.is_training or self.curves.end is not None)

    @property
    def gpu(self) -> Gpu | None:
        """The card it trains on; None when it trains without one."""
        resources = self._context.machine.resources
        if not self.curves.has_gpu or resources is None or not resources.gpus:
            return None
        device = self.facts.spec.train.device if self.facts.spec else ""
        number = int(device.partition(":")[2]) if device.partition(":")[2].isdigit() else 0
        return next((gpu for gpu in resources.gpus if gpu.index == number), resources.gpus[0])

    @property
    def limit(self) -> tuple[str, float]:
        """What memory there is at most: its name and bytes (0 when not known yet)."""
        if self.curves.has_gpu:
            return "Card", float(self.gpu.total_bytes) if self.gpu else 0.0
        resources = self._context.machine.resources
        return "RAM", float(resources.ram_total) if resources else 0.0

    @property
    def num_skipped(self) -> int:
        """Lines of its journal that could not be read."""
        return self._skipped_before + (self._feed.num_skipped if self._feed else 0)

    def verdict(self) -> Verdict:
        """How it is doing."""
        gpu = self.gpu
        busy = sum(self._busy) / len(self._busy) if len(self._busy) == _BUSY_SAMPLES else None
        around = Surroundings(
            status=self.status,
            now=time.time(),
            temperature=gpu.temperature if gpu else None,
            busy=busy,
            predicted_bytes=self.predicted_bytes,
            kept_steps=self.folder.checkpoints,
        )
        return judge(self.curves, around)

    def set_predicted(self, peak_bytes: int | None) -> None:
        """The planned peak has become known."""
        self.predicted_bytes = peak_bytes
        self._say_changed()

    # Inside

    def _on_history(self, history: _History) -> None:
        self.curves, self.facts, self.folder = history.curves, history.facts, history.folder
        self._skipped_before, self._last = history.num_skipped, history.last
        self.is_ready = True
        self._feed = RunFeed(self.run, self, offset=history.offset)
        self._feed.arrived.connect(self._on_arrived)
        self._feed.ended.connect(self._on_ended)
        self._feed.vanished.connect(self._on_vanished)
        self._feed.start()
        self._looking.start()
        self._predict()
        self.ready.emit()

    def _on_arrived(self, batch: list[events.Event]) -> None:
        self.curves.take(batch)
        self._last = batch[-1]
        self._say_changed()

    def _on_ended(self, last: object) -> None:
        self.look()
        self._say_changed()

    def _on_looked(self, folder: Folder) -> None:
        if not folder.is_there:
            self._on_vanished()
            return
        self.folder = folder
        self._say_changed()

    def _on_vanished(self) -> None:
        self.stop()
        self.folder = replace(self.folder, is_there=False, is_running=False)
        self.vanished.emit()

    def _predict(self) -> None:
        """Work out the planned peak, once."""
        resources, spec = self._context.machine.resources, self.facts.spec
        if self._prediction is None and spec is not None and resources is not None and self.is_ready:
            self._prediction = self._context.tasks.run(predict, self.run, spec, resources, on_done=self.set_predicted)

    def _on_machine_changed(self) -> None:
        self._predict()
        if self.status == "running" and (gpu := self.gpu) is not None and gpu.busy is not None:
            self._busy.append(gpu.busy)
        else:
            self._busy.clear()

    def _say_changed(self) -> None:
        if self.is_ready and not self._repaint.isActive():
            self._repaint.start()


def _read_history(control: Control, run: Run) -> _History:
    """All that was written so far. On a thread: a run of 100,000 steps takes a few seconds."""
    reader, curves, last, told = EventReader(run.events_path), RunCurves(), None, 0.0
    for batch in reader.rest(_BITE_BYTES):
        curves.take(batch)
        last = batch[-1] if batch else last
        control.give_way()
        size = file_size(run.events_path)
        if time.monotonic() - told > _TELL_SECONDS or reader.offset == size:
            told = time.monotonic()
            control.progress(reader.offset, size, counted(curves.step, "step"))
    return _History(curves, reader.offset, reader.num_skipped, read_run_facts(run), _look(control, run), last)


def _look(control: Control, run: Run) -> Folder:
    is_there = run.spec_path.exists() or run.events_path.exists()
    return Folder(
        is_running=run.is_running(),
        is_there=is_there,
        checkpoints=tuple(run.checkpoints()),
        has_result=any(run.result_dir.glob("*.safetensors")),
    )
