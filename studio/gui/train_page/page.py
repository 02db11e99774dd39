"""The Train page: which run it shows, in which of its states."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QHBoxLayout, QVBoxLayout, QWidget

from studio.gui import figures, qt_types
from studio.gui.context import Context
from studio.gui.controls import Badge, BusyState, EmptyState, ErrorState, ScrollColumn, States
from studio.gui.icons import Icon
from studio.gui.naming import model_name
from studio.gui.page import Command, PageWidget
from studio.gui.tasks import Control
from studio.gui.theme import at_text_size
from studio.gui.train_page.failed_card import FailedCard, WayOut
from studio.gui.train_page.failures import Rung, rungs, told_failure
from studio.gui.train_page.header import RunButtons, show_badge
from studio.gui.train_page.log_drawer import LogDrawer
from studio.gui.train_page.progress_words import epoch_words
from studio.gui.train_page.ready_card import ReadyCard
from studio.gui.train_page.run_watch import RunWatch
from studio.gui.train_page.steering import Steering
from studio.project.runs import Run
from studio.protocol import events

if TYPE_CHECKING:
    from studio.gui.train_page.live_view import LiveView

_ENDED_BADLY = ("failed", "interrupted")
_MOST_WAYS = 3
_NARROW = 940  # below this the answers have no room of their own
_OVER = object()


class TrainPage(PageWidget):
    """How a run is doing."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Train")
        self.watch: RunWatch | None = None
        self.view: LiveView | None = None
        self._is_resuming = False
        self._chosen: Run | None = None
        self._badge = Badge()
        self._badge.hide()
        self.facts_row.insertWidget(0, self._badge)
        self.buttons = RunButtons(self.action_row)
        self.steering = Steering(context, self)
        self.states = States()
        self.failed = FailedCard(self.copy_report)
        self.ready = ReadyCard(lambda: self.steering.tell("stop"))
        self.error = ErrorState()
        self.log = LogDrawer(context, self.toggle_log, self)
        self.log.hide()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self.states.add("empty", self._empty())
        self.reading = BusyState("Reading the run")
        self.states.add("reading", self.reading)
        self.states.add("ready", _centred(self.ready))
        self.states.add("error", self.error)
        self._full = QWidget()
        self._column = QVBoxLayout(self._full)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(12)
        self._column.addWidget(self.failed)
        self._column.addStretch(1)
        scroll = ScrollColumn()  # a window too low for two plots scrolls; nothing is cut off
        scroll.column.addWidget(self._full)
        self.states.add("full", scroll)
        self.body.addWidget(self.states, 1)

    def _connect(self) -> None:
        buttons, steering = self.buttons, self.steering
        for key in ("save", "stop", "pause"):
            buttons[key].clicked.connect(lambda _=False, key=key: steering.tell(key))
        buttons["resume"].clicked.connect(steering.resume)
        buttons["log"].clicked.connect(self.toggle_log)
        buttons["answers"].clicked.connect(self._toggle_side)
        buttons["chat"].clicked.connect(self.chat)
        buttons["export"].clicked.connect(self.export)
        steering.asked.connect(buttons.asked)
        steering.resuming.connect(self._on_resuming)
        self.context.session.project_changed.connect(self._on_project)
        self.context.session.live_changed.connect(self._on_live)
        self.context.session.runs_changed.connect(self._on_runs)

    # The page

    def enter(self, **arguments: object) -> None:
        if "run" in arguments:
            self._chosen = self._named(arguments["run"])
        elif self.context.session.live is not None:
            self._chosen = None  # the rail tells of the run that trains, so that is what it leads to
        self._show_wanted()
        if arguments.get("resume") and self.watch is not None:
            self.steering.resume()

    def leave(self) -> None:
        if self.watch is not None:
            self.watch.pause()

    def commands(self) -> list[Command]:
        return [
            Command("Pause or resume", self._on_space, "Space", "Train"),
            Command("Save a checkpoint now", lambda: self.steering.tell("save"), "Ctrl+S", "Train"),
            Command("Stop and keep", lambda: self.steering.tell("stop"), "", "Train"),
            Command("Loss on a logarithmic axis", self._toggle_log_axis, "L", "Train"),
            Command("Show the whole curve", self._show_whole, "0", "Train"),
            Command("Go to the best checkpoint", self._point_at_best, "B", "Train"),
            Command("Show the curves as a table", self._open_table, "Ctrl+T", "Train"),
            Command("Export the curve as a picture", self._save_picture, "", "Train"),
            Command("Export curves as CSV", self._save_table, "", "Train"),
            Command("Show the log", self.toggle_log, "", "Train"),
        ]

    # Doing

    def toggle_log(self) -> None:
        """Show or hide the log."""
        self.log.setVisible(not self.log.isVisible())

    def chat(self) -> None:
        """Talk to what the run has made."""
        if self.watch is not None:
            self.context.navigate("playground", run=self.watch.run)

    def export(self) -> None:
        """Export what the run has made."""
        if self.watch is not None:
            self.context.navigate("export", run=self.watch.run)

    def copy_report(self) -> None:
        """Put all there is to know about a failure on the clipboard."""
        if self.watch is None:
            return
        end = self.watch.curves.end
        detail = f"{end.message}\n{end.hint}\n{end.detail}" if isinstance(end, events.Failed) else ""
        text = f"{self.watch.facts.title}\n{self.watch.run.folder}\n\n{detail}\n\n{self.log.report()}"
        QGuiApplication.clipboard().setText(text)
        self.context.notify("The report is on the clipboard", tone="good")

    # Which run

    def _named(self, run: object) -> Run | None:
        """A run, by itself, its folder, or its name in the open project."""
        if isinstance(run, Run):
            return run
        project = self.context.session.project
        if not isinstance(run, str | Path) or project is None or not str(run):
            return None
        folder = Path(run)
        return Run(folder if folder.is_absolute() else project.runs_dir / folder)

    def _wanted(self) -> Run | None:
        """The run asked for, else the one that trains, else the newest."""
        session = self.context.session
        if self._chosen is not None:
            return self._chosen
        if session.live is not None:
            return session.live.run
        return session.runs[-1].run if session.runs else None

    def _show_wanted(self) -> None:
        run = self._wanted()
        if run is None:
            self._let_go()
            self._set_header(None)
            self.states.show_state("empty")
        elif self.watch is not None and self.watch.run.folder == run.folder and self.watch.folder.is_there:
            self.watch.go_on()
            self._refresh()
        else:
            self._follow(run)

    def _follow(self, run: Run) -> None:
        self._let_go()
        self.watch = RunWatch(self.context, run, self)
        self.watch.told.connect(self._on_told)
        self.watch.ready.connect(self._on_ready)
        self.watch.changed.connect(self._refresh)
        self.watch.vanished.connect(self._on_vanished)
        self.watch.failed.connect(self._on_unreadable)
        self.steering.set_watch(self.watch)
        self.log.set_watch(self.watch)
        self._show_reading()
        self._set_header(None)
        self.title.say(run.name)
        self.watch.start()

    def _let_go(self) -> None:
        if self.watch is not None:
            self.watch.stop()
            self.watch.deleteLater()
        self.watch = None
        self._is_resuming = False
        self.steering.set_watch(None)
        self.log.set_watch(None)

    def _on_project(self) -> None:
        self._chosen = None
        self._let_go()
        if self.isVisible():
            self._show_wanted()

    def _on_live(self) -> None:
        """A run that begins to train is what one wants to see."""
        live = self.context.session.live
        if live is not None and (self._chosen is None or self._chosen.folder != live.run.folder):
            self._chosen = None
            if self.isVisible():
                self._show_wanted()

    def _on_runs(self) -> None:
        if self.isVisible() and self.watch is None:
            self._show_wanted()

    # What it shows

    def _show_reading(self) -> None:
        self.reading.say("Reading the run")
        self.states.show_state("reading")

    def _on_told(self, done: float, total: float, text: str) -> None:
        self.reading.say("Reading the run", text, done / total if total else None)

    def _on_ready(self) -> None:
        if self.view is None:
            qt_types.make_all()
            self.context.tasks.run(_load_plots, on_done=self._on_plots)
        else:
            self._refresh()

    def _on_plots(self, _: object) -> None:
        self._go_on(self._built())

    def _go_on(self, pieces: Iterator[None]) -> None:
        if next(pieces, _OVER) is not _OVER:
            QTimer.singleShot(0, self, lambda: self._go_on(pieces))

    def _built(self) -> Iterator[None]:
        """Build what draws, fill it and paint it unseen, a piece at a time: in one go it would be felt."""
        from studio.gui.train_page.live_view import LiveView  # heavy: pyqtgraph, loaded on a thread by now
        from studio.gui.train_page.loss_card import LossCard
        from studio.gui.train_page.memory_card import MemoryCard

        loss = LossCard(self.context, self)
        loss.hide()
        yield
        memory = MemoryCard(self)
        memory.hide()
        yield
        view = LiveView(loss, memory, self)
        view.hide()
        loss.show()
        memory.show()
        yield
        if self.watch is not None and self.watch.is_ready:
            view.show_run(self.watch)
            yield
        view.resize(self.states.size())
        for part in (view.loss, view.memory, view):
            part.grab()
            yield
        if self.view is None:
            self.view = view
            view.health.advised.connect(self._on_advised)
            self._column.insertWidget(1, view, 100)
        else:
            view.deleteLater()  # two runs were asked for, one shortly after the other
        self._refresh()

    def _refresh(self) -> None:
        watch = self.watch
        if watch is None or not watch.is_ready or not watch.folder.is_there or self.view is None:
            return
        self.steering.notice()
        self._set_header(watch)
        if watch.is_getting_ready or self._is_resuming:
            self.ready.show_curves(watch.curves)
            self.states.show_state("ready")
            return
        has_failed = watch.status in _ENDED_BADLY
        has_curves = bool(len(watch.curves.steps) or len(watch.curves.evals))
        self.failed.setVisible(has_failed)
        if has_failed:
            self._say_failed(watch)
        self.view.set_calm(has_failed)
        self.view.setVisible(has_curves or not has_failed)
        if has_curves or not has_failed:
            self.view.show_run(watch)
        self.states.show_state("full")

    def _set_header(self, watch: RunWatch | None) -> None:
        self._badge.setVisible(watch is not None)
        if watch is None:
            self.title.say("Train")
            self.facts.say("")
            self.buttons.show_for(None, is_ready=False, has_result=False, is_narrow=False)
            return
        is_ready = watch.is_getting_ready or self._is_resuming
        self.title.say(watch.facts.title)
        show_badge(self._badge, watch.status, is_ready=is_ready)
        self.facts.say(_facts_line(watch, is_short=self.states.width() < at_text_size(_NARROW)))
        self.buttons.show_for(
            watch.status,
            is_ready=is_ready,
            has_result=watch.folder.has_result,
            is_narrow=self.states.width() < at_text_size(_NARROW),
        )

    def _say_failed(self, watch: RunWatch) -> None:
        end = watch.curves.end
        title, text = told_failure(watch.curves, watch.folder.checkpoints)
        ways = [self._rung(rung) for rung in rungs(end)] if isinstance(end, events.Failed) else []
        self.failed.say(title, text, [*ways, *self._ways_out(watch)][:_MOST_WAYS])

    def _rung(self, rung: Rung) -> WayOut:
        return WayOut(rung.title, rung.effect, "Start again", lambda: self.steering.start_again(*rung.settings))

    def _ways_out(self, watch: RunWatch) -> list[WayOut]:
        kept, steering = max(watch.folder.checkpoints, default=0), self.steering
        change = WayOut(
            "Change its settings",
            "They become the draft; this run stays as it is.",
            "Change settings",
            steering.take_settings,
        )
        if kept:
            title = f"Go on from step {figures.count(kept)}"
            resume = WayOut(title, "Exactly as if nothing had happened.", "Resume", steering.resume, Icon.PLAY)
        else:
            resume = WayOut(
                "Try again", "The same settings, from the start.", "Start again", steering.resume, Icon.AGAIN
            )
        is_theirs = isinstance(watch.curves.end, events.Failed) and watch.curves.end.kind == "user"
        return [change, resume] if is_theirs else [resume, change]

    def _on_vanished(self) -> None:
        name = self.watch.facts.title if self.watch else "The run"
        self._chosen = None
        self.context.session.refresh_runs()
        text = "It was deleted or moved while it was shown. Nothing else of the project is touched."
        actions = [("Show the other runs", lambda: self.context.navigate("runs"))]
        self.error.say(f"The folder of {name} is gone", text, actions)
        self._set_header(None)
        self.states.show_state("error")

    def _on_unreadable(self, error: Exception) -> None:
        text = f"{error} Its files are untouched."
        self.error.say(
            "This run cannot be read", text, [("Show the other runs", lambda: self.context.navigate("runs"))]
        )
        self._set_header(None)
        self.states.show_state("error")

    def _on_resuming(self, is_resuming: bool) -> None:
        self._is_resuming = is_resuming
        self._refresh()

    # Small things

    def _on_advised(self, advice: str) -> None:
        {
            "stop": lambda: self.steering.tell("stop"),
            "pause": lambda: self.steering.tell("pause"),
            "settings": self.steering.take_settings,
            "log": self.toggle_log,
        }[advice]()

    def _on_space(self) -> None:
        """Space presses the button that has the focus; elsewhere it pauses or resumes."""
        focus = QApplication.focusWidget()
        if isinstance(focus, QAbstractButton) and focus.isEnabled():
            focus.click()
        elif self.watch is not None and self.watch.status == "running":
            self.steering.tell("pause")
        elif self.watch is not None and self.watch.status in ("paused", "interrupted"):
            self.steering.resume()

    def _toggle_side(self) -> None:
        if self.view is not None:
            self.view.toggle_side()

    def _toggle_log_axis(self) -> None:
        if self.view is not None:
            self.view.loss.set_log(not self.view.loss.plot.is_log)

    def _show_whole(self) -> None:
        if self.view is not None:
            self.view.loss.plot.show_whole()

    def _point_at_best(self) -> None:
        if self.view is not None:
            self.view.point_at_best()

    def _open_table(self) -> None:
        if self.view is not None and self.states.state() == "full":
            self.view.open_table()

    def _save_picture(self) -> None:
        if self.view is not None:
            self.view.loss.save_picture()

    def _save_table(self) -> None:
        if self.view is not None:
            self.view.loss.save_table()

    def _empty(self) -> QWidget:
        return EmptyState(
            Icon.TRAIN,
            "Nothing trained yet",
            "Choose how to train and press Start. Then you watch it learn here: its loss, its memory, its answers.",
            [
                ("Choose a method", lambda: self.context.navigate("method")),
                ("Start with the draft as it is", self._start),
            ],
        )

    def _start(self) -> None:
        self._show_reading()
        self.context.session.start_run(on_error=self._on_not_started)

    def _on_not_started(self, error: Exception) -> None:
        self.states.show_state("empty")
        self.context.notify(
            "Training cannot start yet", str(error), "danger", ("Look at it", lambda: self.context.navigate("method"))
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.log.place()
        if self.watch is not None and self.states.state() in ("full", "ready"):
            self._set_header(self.watch)


def _facts_line(watch: RunWatch, *, is_short: bool) -> str:
    curves, spec = watch.curves, watch.facts.spec
    model = model_name(watch.facts.model) if watch.facts.model else ""
    parts = [model, f"started {figures.when(watch.curves.started)}" if watch.curves.started else ""]
    if is_short:
        return " · ".join(filter(None, parts))
    parts.append(epoch_words(curves, spec) if watch.status == "running" else "")
    saved = max(curves.checkpoints.values(), default=0.0)
    if saved and watch.status == "running":
        age = round(time.time() - saved)
        parts.append("saved just now" if age < 5 else f"saved {figures.duration(age)} ago")
    elif watch.folder.checkpoints:
        parts.append(f"step {figures.count(max(watch.folder.checkpoints))} saved")
    return " · ".join(filter(None, parts))


def _centred(widget: QWidget) -> QWidget:
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.addStretch(1)
    row.addWidget(widget, 10, Qt.AlignmentFlag.AlignTop)
    row.addStretch(1)
    return holder


def _load_plots(control: Control) -> None:
    """Loading pyqtgraph takes a fifth of a second: on a thread nobody waits for it."""
    import studio.gui.train_page.live_view  # noqa: F401
