"""The window: cold start, the longest time in which it does not answer, repaints of a long run, a file of many rows.

Run: `python -m tests.bench.window [--rows 1000000] [--seconds 10]`. It draws into memory, so no screen is needed; the
longest block is measured with a run that tells 50 events a second and a file of many rows open on the Data page. "own
work" is the window's thread alone: what a block would be on a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from PySide6.QtCore import QEventLoop, QTimer
from rich.console import Console
from rich.table import Table

from studio.gui.app import make_application, make_window
from studio.gui.context import Context
from studio.gui.page import PAGES
from studio.gui.warming import warm_up
from studio.gui.window import Window
from studio.project.journal import EventLog
from studio.project.runs import Run
from studio.project.starting import make_run
from studio.protocol import events
from tests.gui.samples import make_starter_project

_PROBE_MS, _WARM_SECONDS = 2, 6

_CHILD = """
import sys, time
from PySide6.QtCore import QEvent, QObject, QTimer
from studio.gui.app import make_application, start

class Watch(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.UpdateRequest:
            QTimer.singleShot(0, self.tell)
            watched.removeEventFilter(self)
        return False
    def tell(self):
        heavy = {"torch", "transformers", "pandas", "pyqtgraph"} & set(sys.modules)
        print(time.monotonic(), ",".join(sorted(heavy)) or "-", flush=True)
        window.close()
        application.quit()

application = make_application(["tunesmith"])
watch = Watch()
window = start(application)
window.installEventFilter(watch)
application.exec()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--starts", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TUNESMITH_HOME"] = str(folder / "user")
        starts, heavy = _cold_starts(options.starts)
        rows = _write_rows(folder / "rows.jsonl", options.rows)
        blocks = _Blocks(folder, rows, options.seconds).measure()
    repaints = _rows_of("tests.bench.plots")
    many_rows = _rows_of("tests.bench.rows", "--rows", str(options.rows))
    _report(starts, heavy, blocks, repaints, many_rows, options.rows)


def _cold_starts(count: int) -> tuple[list[float], str]:
    """Seconds from starting the interpreter to the first painted frame, and what heavy was loaded by then."""
    found, heavy = [], "-"
    for _ in range(count):
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True, timeout=120)
        at, heavy = done.stdout.split()
        found.append(float(at) - began)
    return found, heavy


def _write_rows(path: Path, count: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            question = f"What is {number} plus {number % 97}? " + "Please. " * (number % 7)
            messages = [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"{number + number % 97}."},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")
    return path


def _rows_of(bench: str, *options: str) -> list[tuple[str, str, str]]:
    """What another bench measures, in a process of its own."""
    command = [sys.executable, "-m", bench, "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    return [tuple(row) for row in json.loads(done.stdout)]


Turn = tuple[float, float]  # milliseconds on the clock, and of the window's own thread


class _Blocks:
    """Runs the window through what it does while training, and keeps the longest time it did not answer."""

    def __init__(self, folder: Path, rows: Path, seconds: float) -> None:
        self._rows, self._seconds = rows, seconds
        self._application = make_application(["bench"])
        self._context = Context(self._application)
        self._window: Window = make_window(self._context)
        self._project = make_starter_project(folder / "Bench project")
        self._run, _ = make_run(self._project, self._project.draft())
        self._stop = threading.Event()
        self._last = time.perf_counter(), time.thread_time()

    def measure(self) -> dict[str, list[Turn]]:
        """Turns of the event loop beyond the probe's own, by what was going on."""
        window = self._window
        window.resize(1280, 800)
        window.show_page("home")
        window.show()
        self._context.machine.start()
        warm_up(window)  # as `studio.gui.app.start` does
        self._watch(0.3)  # Home is built and painted for the first time: nobody sees a window yet, a cold start has it
        found = {"Home, while other pages are warmed up": self._watch(_WARM_SECONDS)}
        teller = threading.Thread(target=_tell, args=(self._run, self._stop))
        with self._run.lock():
            teller.start()
            window.open_project(self._project.folder)
            found["opening the project"] = self._watch(1)
            window.show_page("train", run=self._run.name)
            found["Train opens (plots are loaded)"] = self._watch(2)
            found["Train, 50 events a second"] = self._watch(self._seconds)
            window.show_page("data", data=str(self._rows))
            found["Data: a file is opened and imported"] = self._watch(self._seconds)
            found["Data, training goes on"] = self._watch(self._seconds)
            for key in sorted(set(PAGES.all()) - {"home", "train", "data"}):
                window.show_page(key)
                found[f"{key.capitalize()} opens"] = self._watch(1.5)
            self._stop.set()
            teller.join()
        self._context.session.close()
        window.close()
        return found

    def _watch(self, seconds: float) -> list[Turn]:
        """What the turns take from here on, and what was done since the one before."""
        turns: list[Turn] = []

        def probe() -> None:
            now = time.perf_counter(), time.thread_time()
            gap, work = (1000 * (after - before) for after, before in zip(now, self._last, strict=True))
            turns.append((max(0.0, gap - _PROBE_MS), work))
            self._last = now

        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(probe)
        timer.start(_PROBE_MS)
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()
        timer.stop()
        return turns


def _tell(run: Run, stop: threading.Event) -> None:
    """Fifty events a second, as a worker tells them: steps, memory, now and then an evaluation."""
    log = EventLog(run.events_path)
    total = 100_000
    log.append(events.Hello(job="train", pid=os.getpid(), version="bench", total_steps=total))
    step = 0
    while not stop.wait(0.04):
        step += 1
        log.append(_step(step))
        log.append(events.Memory(step=step, ram={"weights": 8_000_000, "activations": 90_000_000 + step * 1000}))
        if step % 50 == 0:
            log.append(events.Eval(step=step, loss=2.0 / step**0.1))
    log.close()


def _step(step: int) -> events.Event:
    loss = 3.0 / step**0.2 + 0.1 * ((step * 37) % 11) / 11
    values: dict[str, Any] = {"learning_rate": 1e-4, "grad_norm": 1.0, "tokens": 512, "trained_tokens": 300}
    return events.Step(step=step, loss=loss, seconds=0.04, **values)


def _report(
    starts: list[float],
    heavy: str,
    blocks: dict[str, list[Turn]],
    repaints: list[tuple[str, str, str]],
    many_rows: list[tuple[str, str, str]],
    rows: int,
) -> None:
    console = Console()
    table = Table("What", "Measured", "Target", title=f"The window ({rows:,} rows)")
    first = f"{statistics.median(starts):.2f} s (worst of {len(starts)}: {max(starts):.2f})"
    table.add_row("cold start to the first frame", first, "< 1 s")
    table.add_row("heavy modules loaded by then", heavy, "none")
    for what, turns in blocks.items():
        ordered = sorted(gap for gap, _ in turns)
        work = max(work for _, work in turns)
        figure = f"{ordered[-1]:.0f} ms (own work {work:.0f}; 99 %: {ordered[int(len(ordered) * 0.99)]:.1f})"
        table.add_row(f"longest block: {what}", figure, "< 50 ms")
    for what, figure, target in repaints:
        table.add_row(f"100,000 points: {what}", figure, target)
    for what, figure, target in many_rows:
        table.add_row(f"{rows:,} rows: {what}", figure, target and f"< {target}")
    console.print(table)


if __name__ == "__main__":
    main()
