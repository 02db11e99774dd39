"""Home: what to begin, what was begun, and what this computer has."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QWidget

from studio.gui.context import Context
from studio.gui.controls import Button, ScrollColumn
from studio.gui.home_page.computer import Computer
from studio.gui.home_page.new_project import NewProject
from studio.gui.home_page.recents import Recents
from studio.gui.home_page.try_it import TryIt
from studio.gui.icons import Icon
from studio.gui.page import Command, PageWidget
from studio.gui.theme import at_text_size, theme
from studio.gui.tokens import CARD_GAP

_LEAST_RECENTS, _WHOLE_COMPUTER = 200, 272
_LEAST_WIDTH = 720  # for two cards side by side, at the usual size of text


class HomePage(PageWidget):
    """Home."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Home")
        self.facts.say("Everything stays on this computer.")
        self.open_button = Button("Open project…", icon=Icon.OPEN)
        self.action_row.addWidget(self.open_button)
        self.new_project, self.try_it = NewProject(context), TryIt(context)
        self.recents, self.computer = Recents(context), Computer(context)
        self._top, self._low = _row(), _row()
        self._cards = ScrollColumn(spacing=CARD_GAP)  # a low window with large text has no room for all
        self._cards.column.addLayout(self._top)
        self._cards.column.addLayout(self._low, 1)
        self._rest = QWidget()  # below the cards of a first run, which are as high as what is in them
        self._cards.column.addWidget(self._rest, 1)
        self.body.addWidget(self._cards, 1)
        self._arrange()
        self._connect()

    def enter(self, **arguments: object) -> None:
        """Show what is recent.

        Args:
            new: put the focus on the first question.
            model: answer the first question.
            data: answer the second question.
        """
        self.recents.refresh()
        if arguments.get("model"):
            self.new_project.set_model(str(arguments["model"]))
        if arguments.get("data"):
            self.new_project.set_data(str(arguments["data"]))
        if arguments:
            self.new_project.model_button.setFocus()

    def commands(self) -> list[Command]:
        return [
            Command("Try the starter", self.try_it.start, group="Home"),
            Command("Choose a model for a new project", self.new_project.pick_model, group="Home"),
            Command("Choose data for a new project", self.new_project.pick_data, group="Home"),
        ]

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._turn()

    def _connect(self) -> None:
        self.open_button.clicked.connect(lambda: self.context.open_project_dialog())
        self.new_project.created.connect(lambda: self.context.navigate("data"))
        self.new_project.ready_changed.connect(self._on_ready)
        self.context.session.runs_changed.connect(self._on_runs)
        self.recents.emptied.connect(self._arrange)
        theme().changed.connect(self._fit)

    def _arrange(self) -> None:
        """The first time there is nothing to go back to: the quickest way in takes the whole width."""
        is_first = self.recents.is_empty
        for row in (self._top, self._low):
            while row.takeAt(0) is not None:
                pass
        if is_first:
            self._top.addWidget(self.try_it)
        else:
            _share(self._top, (self.new_project, 9), (self.try_it, 8))
        _share(self._low, (self.new_project if is_first else self.recents, 11), (self.computer, 4))
        self.recents.setVisible(not is_first)
        self._rest.setVisible(is_first)
        self._cards.column.setStretch(1, 0 if is_first else 1)
        self._fit()

    def _fit(self) -> None:
        self.recents.setMinimumHeight(at_text_size(_LEAST_RECENTS))
        # Where the row is only as high as the card beside it, there is room below for all of this one.
        self.computer.setMinimumHeight(at_text_size(_WHOLE_COMPUTER) if self.recents.is_empty else 0)
        self._turn()

    def _turn(self) -> None:
        """Cards side by side, or where words would be cut one below the other."""
        is_narrow = self.width() < _LEAST_WIDTH * theme().scale
        direction = QBoxLayout.Direction.TopToBottom if is_narrow else QBoxLayout.Direction.LeftToRight
        self._top.setDirection(direction)
        self._low.setDirection(direction)

    def _on_ready(self, is_ready: bool) -> None:
        # One primary button in sight: the one that the person is heading for.
        self.try_it.start_button.set_role("secondary" if self.new_project.is_begun else "primary")

    def _on_runs(self) -> None:
        if self.isVisible():
            self.recents.refresh()


def _row() -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(CARD_GAP)
    return row


def _share(row: QHBoxLayout, *parts: tuple[QWidget, int]) -> None:
    """Side by side, each with its share of the width, whatever its words would like."""
    for widget, share in parts:
        widget.setSizePolicy(QSizePolicy.Policy.Ignored, widget.sizePolicy().verticalPolicy())
        row.addWidget(widget, share)
