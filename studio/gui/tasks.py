"""Work that must not block the window: functions on threads, jobs in processes of their own. Answers arrive here."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, QTimer, Signal

from studio.errors import Cancelled
from studio.project.jobs import JobProcess
from studio.protocol import commands
from studio.protocol.events import Event

OnError = Callable[[Exception], object]

_THREADS_TURN = 0.003  # seconds a thread calculates before it gives way
_LONGEST_TURN = 0.25  # seconds it gives way at most: the window may wait for it


class Control:
    """What a function on a thread may ask and tell."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._gave_way = 0.0

    def is_cancelled(self) -> bool:
        """Whether nobody wants the answer any more."""
        return self._task.is_cancelled

    def progress(self, done: float, total: float = 0, text: str = "") -> None:
        """Tell how far it is; raises Cancelled once it is not wanted.

        Raises:
            Cancelled
        """
        if self._task.is_cancelled:
            raise Cancelled
        self._task.told.emit(done, total, text)

    def give_way(self) -> None:
        """Wait until the window has nothing to do, every few milliseconds; for what calculates in Python for long.

        Beside a busy thread the window waits for the interpreter each time it comes back from Qt, hundreds of times for
        a page: 30 ms of work took 120.

        Raises:
            Cancelled
        """
        if self._task.is_cancelled:
            raise Cancelled
        if time.monotonic() - self._gave_way > _THREADS_TURN:
            idle = threading.Event()
            _say(self._task.giving_way, idle)
            idle.wait(_LONGEST_TURN)
            self._gave_way = time.monotonic()


class Task(QObject):
    """A function on its way.

    Signals (all in the window's thread):
        done(object): its result.
        failed(object): what it raised.
        told(float, float, str): done, total, text.
        ended(): after any of them, and after cancelling.
        giving_way(Event): its function waits for this, until the window is idle.
    """

    done = Signal(object)
    failed = Signal(object)
    told = Signal(float, float, str)
    ended = Signal()
    giving_way = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.is_cancelled = False
        self.is_running = True

    def cancel(self) -> None:
        """Let go of it: no slot is called any more, and the function is told so when it asks."""
        self.is_cancelled = True


class _Work(QRunnable):
    def __init__(self, task: Task, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        super().__init__()
        self._task, self._function, self._arguments = task, function, arguments

    def run(self) -> None:
        task = self._task
        if task.is_cancelled:
            _say(task.ended)
            return
        try:
            result = self._function(Control(task), *self._arguments)
        except Cancelled:
            _say(task.ended)
        except Exception as error:  # noqa: BLE001 - reported to whoever asked, or as a fault of the window
            _say(task.failed, error)
        else:
            _say(task.done, result)


def _say(signal: Any, *values: Any) -> None:
    try:
        signal.emit(*values)
    except RuntimeError:
        return  # the window that asked is gone


class Tasks(QObject):
    """Starts work and keeps hold of it until it ends.

    Signals:
        faulted(object): an exception that nobody asked to be told of.
    """

    faulted = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(6)
        self._waiting: deque[_Work] = deque()
        self._running: set[Task] = set()
        self._jobs: set[JobTask] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a function is on its way."""
        return bool(self._running)

    def run(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        on_done: Callable[[Any], object] | None = None,
        on_error: OnError | None = None,
        on_progress: Callable[[float, float, str], object] | None = None,
    ) -> Task:
        """Call `function(control, *arguments)` on a thread, once the window has done what it is at.

        A thread that starts takes the interpreter at once, and what asked for it would wait in the middle of a page.

        Args:
            on_done, on_error, on_progress: called in the window's thread, never after `Task.cancel()`.
        """
        task = Task(self)
        self._running.add(task)
        task.done.connect(lambda result: self._finish(task, on_done, result), Qt.ConnectionType.QueuedConnection)
        task.failed.connect(
            lambda error: self._finish(task, on_error or self.faulted.emit, error), Qt.ConnectionType.QueuedConnection
        )
        task.ended.connect(lambda: self._finish(task, None, None), Qt.ConnectionType.QueuedConnection)
        task.giving_way.connect(lambda idle: QTimer.singleShot(0, idle.set), Qt.ConnectionType.QueuedConnection)
        if on_progress is not None:
            task.told.connect(
                lambda done, total, text: None if task.is_cancelled else on_progress(done, total, text),
                Qt.ConnectionType.QueuedConnection,
            )
        self._waiting.append(_Work(task, function, arguments))
        if len(self._waiting) == 1:
            QTimer.singleShot(0, self, self._start_next)
        return task

    def job(
        self,
        key: str,
        arguments: dict[str, Any],
        *,
        on_event: Callable[[Event], object] | None = None,
        on_done: Callable[[], object] | None = None,
        on_error: OnError | None = None,
    ) -> JobTask:
        """Start a worker process for a job.

        Args:
            key: of `studio/worker/jobs`.
            on_event: each event but the last.
            on_done: it ended as it should.
            on_error: UserError, WorkerFailed, or Cancelled.
        """
        job = JobTask(key, arguments, self)
        self._jobs.add(job)
        if on_event is not None:
            job.event_arrived.connect(on_event)
        if on_done is not None:
            job.done.connect(on_done)
        job.failed.connect(on_error or self.faulted.emit)
        job.closed.connect(lambda: self._jobs.discard(job))
        job.start()
        return job

    def _start_next(self) -> None:
        """One each time the window comes round: each takes the interpreter for some milliseconds as it begins."""
        if self._waiting:
            self._pool.start(self._waiting.popleft())
        if self._waiting:
            QTimer.singleShot(0, self, self._start_next)

    def close(self) -> None:
        """End every job and let go of every task; returns once their processes are gone."""
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        for job in list(self._jobs):
            job.close()
        for job in list(self._jobs):
            job.wait()
        self._pool.waitForDone(5000)

    def _finish(self, task: Task, slot: Callable[[Any], object] | None, value: Any) -> None:
        if task not in self._running:
            return
        self._running.discard(task)
        task.is_running = False
        try:
            if slot is not None and not task.is_cancelled:
                slot(value)
        finally:
            task.deleteLater()


class JobTask(QObject):
    """A worker process of one job.

    Signals (all in the window's thread):
        event_arrived(object): each event but the last.
        done(): it ended as it should.
        failed(object): how it ended otherwise; Cancelled when it was told to.
        closed(): its process is gone.
    """

    event_arrived = Signal(object)
    done = Signal()
    failed = Signal(object)
    closed = Signal()

    def __init__(self, key: str, arguments: dict[str, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._key, self._arguments = key, arguments
        self._process: JobProcess | None = None
        self._is_closing = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"job {key}", daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether its process may still speak."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the process."""
        self._thread.start()

    def tell(self, command: commands.Command) -> None:
        """Send it a command."""
        self._ready.wait(10)
        if self._process is not None:
            self._process.tell(command)

    def cancel(self) -> None:
        """Ask it to end what it does."""
        self.tell(commands.Cancel())

    def close(self) -> None:
        """End it now; no slot is called any more."""
        self._is_closing = True
        threading.Thread(target=self._end, daemon=True).start()

    def wait(self, seconds: float = 15) -> None:
        """Until the process is gone."""
        self._thread.join(seconds)

    def _end(self) -> None:
        self._ready.wait(10)
        if self._process is not None:
            self._process.end(2)

    def _work(self) -> None:
        from studio.paths import log_dir

        try:
            with JobProcess(self._key, self._arguments, log=log_dir() / f"{self._key}.log") as process:
                self._process = process
                self._ready.set()
                for event in process:
                    self._say(self.event_arrived, event)
            self._say(self.done)
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            self._say(self.failed, error)
        finally:
            self._ready.set()
            _say(self.closed)

    def _say(self, signal: Any, *values: Any) -> None:
        if not self._is_closing:
            _say(signal, *values)
