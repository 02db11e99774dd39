"""Home: what to begin, what was begun, and what this computer has."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from studio.gui.context import Context
from studio.gui.controls import Button
from studio.gui.home_page.computer import Computer
from studio.gui.home_page.new_project import NewProject
from studio.gui.home_page.recents import Recents
from studio.gui.home_page.try_it import TryIt
from studio.gui.icons import Icon
from studio.gui.page import Command, PageWidget
from studio.gui.tokens import CARD_GAP


class HomePage(PageWidget):
    """Home."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Home")
        self.facts.say("Everything stays on this computer.")
        self.open_button = Button("Open project…", icon=Icon.OPEN)
        self.action_row.addWidget(self.open_button)
        self.new_project, self.try_it = NewProject(context), TryIt(context)
        self.recents, self.computer = Recents(context), Computer(context)
        self.body.addLayout(_row(self.new_project, self.try_it, 9, 8))
        self.body.addLayout(_row(self.recents, self.computer, 11, 4), 1)
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

    def _connect(self) -> None:
        self.open_button.clicked.connect(lambda: self.context.open_project_dialog())
        self.new_project.created.connect(lambda: self.context.navigate("data"))
        self.new_project.ready_changed.connect(self._on_ready)
        self.context.session.runs_changed.connect(self._on_runs)

    def _on_ready(self, is_ready: bool) -> None:
        # One primary button in sight: the one that the person is heading for.
        self.try_it.start_button.set_role("secondary" if self.new_project.is_begun else "primary")

    def _on_runs(self) -> None:
        if self.isVisible():
            self.recents.refresh()


def _row(left: QWidget, right: QWidget, left_share: int, right_share: int) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(CARD_GAP)
    for widget, share in ((left, left_share), (right, right_share)):
        widget.setSizePolicy(QSizePolicy.Policy.Ignored, widget.sizePolicy().verticalPolicy())
        row.addWidget(widget, share)
    return row
