"""The Runs page: every run of the project, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.gui import figures, qt_types
from studio.gui.context import Context
from studio.gui.controls import Button, EmptyState, ScrollColumn, Skeleton, States
from studio.gui.icons import Icon
from studio.gui.page import Command, PageWidget
from studio.gui.projects_menu import ProjectsMenu
from studio.gui.runs_page.deeds import Deeds
from studio.gui.runs_page.library import Entry, Library
from studio.gui.tasks import Control
from studio.gui.theme import at_text_size, theme

if TYPE_CHECKING:
    from studio.gui.runs_page.board import Board
    from studio.gui.runs_page.overlay_card import OverlayCard

_TICKED_AT_FIRST = 3
_NARROW = 940


class RunsPage(PageWidget):
    """All runs of the project."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Runs")
        self.library = Library(context, self)
        self.deeds = Deeds(context, self.library, self)
        self.board: Board | None = None
        self._bundles = ProjectsMenu(self, context)
        self._has_ticked = False
        self.states = States()
        self.states.add("empty", self._empty())
        self.states.add("busy", _skeleton())
        self.body.addWidget(self.states, 1)
        self._details = Button("Details", "quiet", icon=Icon.INFO)
        self._open = Button("Open project file…", "quiet", icon=Icon.OPEN)
        self._free = Button("Free space…", icon=Icon.TRASH)
        for button in (self._details, self._open, self._free):
            self.action_row.addWidget(button)
        self._connect()

    def _connect(self) -> None:
        self._open.clicked.connect(self._bundles.choose_bundle)
        self._free.clicked.connect(self.deeds.free_space)
        self._details.clicked.connect(self._toggle_details)
        theme().changed.connect(self._offer_details)
        self.library.changed.connect(self._refresh)
        self.library.digested.connect(self._on_digested)
        self.context.session.runs_changed.connect(self._on_runs)
        self.context.session.project_changed.connect(self._on_project)

    # The page

    def enter(self, **arguments: object) -> None:
        if self.board is not None:
            self.library.refresh()
            return
        qt_types.make_all()
        self.context.tasks.run(_load_plots, on_done=self._on_plots)
        self._refresh()

    def leave(self) -> None:
        if self.board is not None:
            self.board.details.keep_notes()

    def commands(self) -> list[Command]:
        found = [
            Command("Open project file…", self._bundles.choose_bundle, "", "Runs"),
            Command("Free space…", self.deeds.free_space, "", "Runs"),
        ]
        found.append(Command("Show the curves as a table", self._open_table, "Ctrl+T", "Runs"))
        if self.board is None or not self.library.entries:
            return found
        names = {
            "open": "Open the run",
            "chat": "Chat with the run",
            "export": "Export the run",
            "reproduce": "Reproduce the run",
            "resume": "Resume the run",
            "delete": "Delete the run",
        }
        return [*(Command(words, lambda key=key: self._ask(key), "", "Runs") for key, words in names.items()), *found]  # type: ignore[misc]

    # What it shows

    def _on_plots(self, _: object) -> None:
        """Build the plot, then the rest, a turn of the loop for each: in one go it would be felt. Then read the runs:
        beside a thread that reads, each turn takes twice as long.
        """
        QTimer.singleShot(0, self, self._build_plot)

    def _build_plot(self) -> None:
        from studio.gui.runs_page.overlay_card import OverlayCard  # heavy: pyqtgraph, loaded on a thread by now

        overlay = OverlayCard(self)
        overlay.hide()
        QTimer.singleShot(0, self, lambda: self._build_board(overlay))

    def _build_board(self, overlay: OverlayCard) -> None:
        from studio.gui.runs_page.board import Board  # heavy: pyqtgraph

        if self.board is None:  # else the page was left and opened again meanwhile
            self.board = Board(overlay)
            overlay.show()
            self.board.asked.connect(self._ask)
            self.board.details.notes_changed.connect(self.deeds.keep_notes)
            scroll = ScrollColumn()  # a window too low for plot and table scrolls; nothing is cut off
            scroll.column.addWidget(self.board)
            self.states.add("full", scroll)
        else:
            overlay.deleteLater()
        QTimer.singleShot(0, self, self.library.refresh)

    def _on_runs(self) -> None:
        if self.isVisible():
            self.library.refresh()

    def _on_project(self) -> None:
        self._has_ticked = False
        if self.board is not None:
            self.board.forget_all()
        self.library.clear()

    def _on_digested(self, name: str) -> None:
        if self.board is not None:
            self.board.tell_digested(name)
        self._say_facts()

    def _refresh(self) -> None:
        entries = self.library.entries
        has_runs = bool(self.context.session.runs)
        self._free.setVisible(has_runs)
        self._say_facts()
        if not has_runs:
            self.states.show_state("empty")
            return
        if self.board is None or not entries:
            self.states.show_state("busy")
            return
        self.board.show_entries(entries)
        if not self._has_ticked:
            self._has_ticked = True
            self.board.tick(_worth_seeing(entries)[:_TICKED_AT_FIRST])
        self.states.show_state("full")
        self._offer_details()

    def _say_facts(self) -> None:
        entries, project = self.library.entries, self.context.session.project
        if not entries or project is None:
            self.facts.say(f"No runs of {project.name} yet" if project and not self.context.session.runs else "")
            return
        count = f"{figures.count(len(entries))} run{'' if len(entries) == 1 else 's'} of {project.name}"
        sizes = [entry.digest.sizes.total for entry in entries if entry.digest is not None]
        self.facts.say(f"{count}, {figures.gigabytes(sum(sizes))} on disk" if len(sizes) == len(entries) else count)

    def _ask(self, key: str) -> None:
        entry = self._current()
        if entry is None:
            return
        if key == "pack":
            self._bundles.save_bundle()
        else:
            self.deeds.do(key, entry)

    def _current(self) -> Entry | None:
        return self.library.entry(self.board.current_name()) if self.board is not None else None

    def _open_table(self) -> None:
        if self.board is not None and self.states.state() == "full":
            self.board.overlay.open_table()

    def _toggle_details(self) -> None:
        if self.board is not None:
            self.board.toggle_details()

    def _empty(self) -> QWidget:
        text = "Each training run appears here with its curve, its settings and its answers."
        return EmptyState(Icon.RUNS, "No runs yet", text, [("Go to Method", lambda: self.context.navigate("method"))])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._offer_details()

    def _offer_details(self) -> None:
        """Where they have no room of their own, a button opens them."""
        self._details.setVisible(self.states.width() < at_text_size(_NARROW) and self.states.state() == "full")


def _worth_seeing(entries: list[Entry]) -> list[str]:
    """Runs with a curve, those first that did not end badly."""
    ended_badly = ("failed", "interrupted", "new")
    ordered = sorted(entries, key=lambda entry: entry.row.state.status in ended_badly)
    return [entry.run.name for entry in ordered if entry.row.state.step]


def _skeleton() -> QWidget:
    holder = QWidget()
    column = QVBoxLayout(holder)
    column.addWidget(Skeleton(9))
    column.addStretch(1)
    return holder


def _load_plots(control: Control) -> None:
    """Loading pyqtgraph takes a fifth of a second: on a thread nobody waits for it."""
    import studio.gui.runs_page.board  # noqa: F401
