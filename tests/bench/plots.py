"""The Train page at 10 Hz over 100,000 steps, and the event loop while a worker says 50 or 1,000 events a second.

Run: `python -m tests.bench.plots [--points 100000] [--seconds 6]`. Figures are printed beside their targets, never
asserted: a shared machine has moments of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from PySide6.QtCore import QElapsedTimer, QEventLoop, QTimer
from PySide6.QtWidgets import QApplication
from rich.console import Console
from rich.table import Table

from studio.gui.app import make_application, make_window
from studio.gui.context import Context
from studio.gui.train_page.page import TrainPage
from studio.gui.warming import warm_up
from studio.gui.window import Window
from studio.project.runs import Run
from tests.gui.samples import make_starter_project
from tests.gui.scenes.train import told_run
from tests.helpers.stories import a_memory, a_run, a_step

REPAINTS = 50

# What a worker would do: append so many events a second to a journal, until told to stop.
SPEAKER = """
import sys, time
from studio.protocol import events
from tests.helpers.stories import a_memory, a_step
path, rate, step, seconds = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
begun, said = time.time(), 0
with open(path, "a", buffering=1) as file:
    while time.time() - begun < seconds:
        while said < rate * (time.time() - begun):
            said += 1
            event = a_step(step + said) if said % 5 else a_memory(step + said, time=float(step + said))
            file.write(events.encode(event) + "\\n")
        time.sleep(0.005)
"""


def main() -> None:
    """Show the runs, time them, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", action="store_true", help="one JSON array of the rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["TUNESMITH_HOME"] = str(Path(name) / "user")
        application = make_application(["bench"])
        table = Table("what", "figure", "target", title="Train page")
        rows = _measure(application, Path(name), options)
        for row in rows:
            table.add_row(*row)
        if options.json:
            print(json.dumps(rows))
        else:
            Console().print(table)


def _measure(application: QApplication, folder: Path, options: argparse.Namespace) -> list[tuple[str, str, str]]:
    project = make_starter_project(folder / "bench")
    run = told_run(project, a_run(options.points, total=2 * options.points, start=time.time() - options.points), "long")
    with run.lock():
        window, page, opening, blocks = _open(application, run)
        rows = [
            (f"open a run of {options.points:,} steps, all its curves drawn", f"{opening:.2f} s", ""),
            ("longest block of the loop meanwhile", f"{max(blocks):.0f} ms", "< 50 ms"),
        ]
        rows += _repaints(application, page, options.points)
        for rate, target in ((50, "< 50 ms"), (1000, "alive")):
            rows += _loop(page, run, rate, options, target)
        window.context.session.close()
        window.close()
    return rows


def _open(application: QApplication, run: Run) -> tuple[Window, TrainPage, float, list[float]]:
    context = Context(application)
    window = make_window(context)
    window.show()
    warm_up(window)
    _until(lambda: gc.get_freeze_count() > 0)  # the last it does; a person who opens a long run has been here as long
    context.session.open(run.project_folder)
    begun = time.perf_counter()
    window.show_page("train", run=run)
    page = window.page("train")
    assert isinstance(page, TrainPage)
    blocks = _blocks(lambda: page.states.state() == "full")
    return window, page, time.perf_counter() - begun, blocks


def _repaints(application: QApplication, page: TrainPage, points: int) -> list[tuple[str, str, str]]:
    """Each time some steps more, the whole page drawn into its pixels."""
    assert page.watch is not None and page.view is not None
    curves, times = page.watch.curves, []
    for number in range(REPAINTS):
        last = points + number * 5
        curves.take([*(a_step(last + at) for at in range(1, 6)), a_memory(last + 5, time=curves.heard + 1)])
        application.processEvents()
        begun, worked = time.perf_counter(), time.thread_time()
        page.view.show_run(page.watch)
        application.processEvents()
        times.append((1000 * (time.perf_counter() - begun), 1000 * (time.thread_time() - worked)))
    return [
        (f"one repaint of the whole page, {what}", _middle_and_worst([pair[at] for pair in times]), "< 15 ms")
        for at, what in enumerate(("by the clock", "by processor time"))
    ]


def _middle_and_worst(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ms (95 of 100 below {sorted(times)[int(0.95 * len(times))]:.1f})"


def _loop(page: TrainPage, run: Run, rate: int, options: argparse.Namespace, target: str) -> list[tuple[str, str, str]]:
    """The longest time in which the event loop did not come round, while a process appends to the journal."""
    assert page.watch is not None
    before = page.watch.curves.step
    command = [sys.executable, "-c", SPEAKER, str(run.events_path), str(rate), str(before), str(options.seconds)]
    speaker = subprocess.Popen(command)
    blocks = _blocks(lambda: speaker.poll() is not None)
    _until(lambda: page.watch is not None and page.watch.curves.step >= before + 0.7 * rate * options.seconds)
    heard = page.watch.curves.step - before
    figure = f"{max(blocks):.0f} ms (95 of 100 below {sorted(blocks)[int(0.95 * len(blocks))]:.1f} ms)"
    return [(f"longest block of the loop, {rate:,} events a second ({heard:,} steps heard)", figure, target)]


def _blocks(is_over: Callable[[], bool]) -> list[float]:
    """How late each of many one-millisecond timers came, in ms."""
    loop, clock, late = QEventLoop(), QElapsedTimer(), []
    timer = QTimer(interval=1)

    def tick() -> None:
        late.append(clock.restart() - 1.0)
        if is_over():
            loop.quit()

    timer.timeout.connect(tick)
    clock.start()
    timer.start()
    loop.exec()
    return late


def _until(is_so: Callable[[], bool], seconds: float = 120) -> None:
    deadline, loop = time.monotonic() + seconds, QEventLoop()
    timer = QTimer(interval=10)
    timer.timeout.connect(lambda: loop.quit() if is_so() or time.monotonic() > deadline else None)
    timer.start()
    loop.exec()
    assert is_so(), "it did not come about in time"


if __name__ == "__main__":
    main()
