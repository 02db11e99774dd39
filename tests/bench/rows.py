"""A file of a million rows in the real window: first rows, scrolling, search, sort, and the longest block of its loop.

Run: `python -m tests.bench.rows [--rows 1000000]`. It prints; it asserts nothing. The import and the counting of tokens
run in a process of their own, as in the program; times of the window are taken in its own event loop.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QElapsedTimer, QEventLoop, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from rich.console import Console
from rich.table import Table

from tests.bench.data import _write_rows as write_rows

_COUNTED_SECONDS = 15
_KEY_SECONDS = 0.12  # between two keys of somebody who types fast


class Loop:
    """Measures the longest time between two turns of the event loop, and the most work of its own thread in one.

    On a machine that does other things too the first holds their share as well; the second does not.
    """

    def __init__(self) -> None:
        self._clock = QElapsedTimer()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._on_turn)
        self.longest_ms = self.work_ms = 0.0
        self._worked = time.thread_time()
        self._clock.start()
        self._timer.start()

    def _on_turn(self) -> None:
        worked = time.thread_time()
        self.longest_ms = max(self.longest_ms, self._clock.nsecsElapsed() / 1e6)
        self.work_ms = max(self.work_ms, 1000 * (worked - self._worked))
        self._worked = worked
        self._clock.restart()

    def take(self) -> str:
        """The longest since the last call, in words."""
        said = f"{self.longest_ms:,.1f} ms (own work {self.work_ms:,.1f} ms)"
        self.longest_ms = self.work_ms = 0.0
        return said


def wait(until: Callable[[], bool], seconds: float = 300) -> float:
    """Let the window live until something is so; how long that took, in milliseconds."""
    started = time.perf_counter()
    loop = QEventLoop()
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.setInterval(1)
    timer.timeout.connect(lambda: loop.quit() if until() or time.perf_counter() - started > seconds else None)
    timer.start()
    loop.exec()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="one JSON array of the rows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TUNESMITH_HOME"] = f"{folder}/home"
        table = Table("what", "measured", "budget", title=f"{options.rows:,} rows, {os.cpu_count()} processor cores")
        results = _measure(Path(folder), options.rows)
        for row in results:
            table.add_row(*row)
        if options.json:
            print(json.dumps(results))
        else:
            Console().print(table)


def _measure(folder: Path, count: int) -> list[tuple[str, str, str]]:
    from studio.data.store.view import Query
    from studio.gui.app import make_application, start
    from studio.gui.data_page.rows_model import Column
    from studio.project.folder import Project
    from studio.spec.fresh import fresh_spec

    path = folder / "million.jsonl"
    write_rows(path, count)
    project = Project.create(folder / "p", fresh_spec(model="starter", data=str(path), project=folder / "p"))
    window = start(make_application(["bench"]))
    context = window.context
    window.open_project(project.folder)
    wait(lambda: context.session.facts is not None and gc.get_freeze_count() > 0)  # warmed up
    loop = Loop()
    window.show_page("data")
    page = window.page("data")
    card, feed = page.table_card, page.feed  # type: ignore[attr-defined]
    results: list[tuple[str, str, str]] = []

    def say(what: str, milliseconds: float, budget: str) -> None:
        results.append((what, f"{milliseconds:,.1f} ms", budget))

    say("first page shown", wait(lambda: card.model.rowCount() > 0 and card.model.line(0) is not None), "150 ms")
    results.append(("  longest block meanwhile", loop.take(), "50 ms"))
    imported = wait(lambda: feed.is_imported and card.model.rowCount() == count)
    results.append(("import in the background", f"{imported / 1000:,.1f} s", ""))
    results.append(("  longest block meanwhile", loop.take(), "50 ms"))
    counting = time.perf_counter()
    wait(lambda: feed.progress is None, _COUNTED_SECONDS)
    counted = len(feed.rows.lengths) / (time.perf_counter() - counting)
    results.append(("tokens of rows counted", f"{counted:,.0f} rows/s", ""))
    results.append(("  longest block meanwhile", loop.take(), "50 ms"))
    feed.cancel_import()
    wait(lambda: False, 2)
    loop.take()

    jumps = [_jump(card, at) for at in random.Random(1).sample(range(count - 100), 40)]
    say("scroll jump, median", statistics.median(jumps), "16 ms")
    say("scroll jump, longest", max(jumps), "")
    for what, words in (("search, many finds", "river city"), ("search, one find", f" {count // 2 + 1}?")):
        say(f"{what}: last key to rows", _type(card, words), "200 ms")
    _ask(card, Query())
    for what, column in (("tokens", Column.TOKENS), ("first message", Column.FIRST)):
        say(f"sort by {what}: click to rows", _click_head(card, column), "200 ms")
    say("filter: repeats", _ask(card, Query(filter="repeats")), "200 ms")
    card.ask(Query(sort="tokens"))
    wait(lambda: card._selecting is None)
    jumps = [_jump(card, at) for at in random.Random(2).sample(range(card.model.rowCount() - 100), 40)]
    say("scroll jump in sorted rows, median", statistics.median(jumps), "16 ms")
    results.append(("longest block of all that", loop.take(), "50 ms"))
    window.close()
    return results


def _jump(card: object, row: int) -> float:
    """From the jump to painted words."""
    model, table = card.model, card.table  # type: ignore[attr-defined]
    started = time.perf_counter()
    table.scrollTo(model.index(row, 0), table.ScrollHint.PositionAtTop)
    table.viewport().repaint()
    wait(lambda: model.line(row) is not None)
    table.viewport().repaint()
    return 1000 * (time.perf_counter() - started)


def _type(card: Any, words: str) -> float:
    """From the last key in the search field to painted rows."""
    card.search.clear()
    card.search.setFocus()
    for sign in words[:-1]:
        QTest.keyClicks(card.search, sign)
        wait(lambda: False, _KEY_SECONDS)
    started = time.perf_counter()
    QTest.keyClicks(card.search, words[-1])
    return _until_shown(card, started, lambda: card.query.search == words.strip())


def _click_head(card: Any, column: int) -> float:
    """From a click on a column's head to painted rows."""
    head = card.table.horizontalHeader()
    at = QPoint(head.sectionViewportPosition(column) + head.sectionSize(column) // 2, head.height() // 2)
    before = card.query
    started = time.perf_counter()
    QTest.mouseClick(head.viewport(), Qt.MouseButton.LeftButton, pos=at)
    return _until_shown(card, started, lambda: card.query != before)


def _until_shown(card: Any, started: float, is_asked: Callable[[], bool]) -> float:
    wait(lambda: is_asked() and card._selecting is None)
    wait(lambda: card.model.rowCount() == 0 or card.model.line(0) is not None)
    card.table.viewport().repaint()
    return 1000 * (time.perf_counter() - started)


def _ask(card: object, query: object) -> float:
    """From asking to the first page of the answer."""
    started = time.perf_counter()
    card.ask(query)  # type: ignore[attr-defined]
    wait(lambda: card._selecting is None)  # type: ignore[attr-defined]
    wait(lambda: card.model.rowCount() == 0 or card.model.line(0) is not None)  # type: ignore[attr-defined]
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
