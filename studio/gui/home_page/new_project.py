"""New project: which model, which data, what for. Each answer turns its mark; then it can be created."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import QRectF, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import Button, Card, Choice, Elided, PickButton, Text
from studio.gui.controls.painting import antialiased, fill_box
from studio.gui.files import ask_file
from studio.gui.icons import Icon
from studio.gui.tasks import Control
from studio.gui.theme import font, tokens
from studio.preferences import projects_folder
from studio.project.demo import free_folder
from studio.spec.fresh import fresh_spec
from studio.spec.goals import GOALS
from studio.spec.places import STARTER
from studio.spec.presets import assignments
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values

DATA_PATTERN = "Rows (*.jsonl *.json *.csv *.tsv *.parquet *.arrow *.txt *.md *.gz);;All files (*)"


class _Number(QWidget):
    """A question's number; accent once it is answered."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number, self._is_answered = number, False
        self.setFixedSize(24, 24)

    def set_answered(self, is_answered: bool) -> None:
        """Whether there is an answer."""
        self._is_answered = is_answered
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        fill_box(
            painter, QRectF(self.rect()).adjusted(1, 1, -1, -1), 11, t.accent_soft if self._is_answered else t.hover
        )
        painter.setFont(font("small_strong"))
        painter.setPen(t.accent_text if self._is_answered else t.text2)
        painter.drawText(QRectF(self.rect()), 0x84, str(self._number))  # centred both ways


class NewProject(Card):
    """The card.

    Signals:
        ready_changed(bool): whether all three answers are in.
        created(): the project is open.
    """

    ready_changed = Signal(bool)
    created = Signal()

    def __init__(self, context: Context) -> None:
        super().__init__("New project")
        self._context = context
        self.model, self.data = "", ""
        self.body.addWidget(
            Text(
                "Three answers, then Tunesmith proposes a method that fits this computer.", "small", "text2", wrap=True
            )
        )
        self.model_button = PickButton("On this computer or the Hub", icon=Icon.MODEL, name="Which model?")
        self.data_button = PickButton(
            "Drop a file, or choose one", icon=Icon.FILE_IN, name="Which data?", has_caret=False
        )
        self.goal_choice = Choice(name="What for?", placeholder="Tone, format, task or facts", icon=Icon.GOAL)
        for key, goal in GOALS.items():
            self.goal_choice.add(key, goal.title, hint=goal.summary)
        self.goal_choice.set_chosen("")
        self._numbers = [_Number(number) for number in (1, 2, 3)]
        self._lay_out()
        self.model_button.clicked.connect(self.pick_model)
        self.data_button.clicked.connect(self.pick_data)
        self.goal_choice.chosen.connect(self._refresh)
        self.create_button.clicked.connect(self.create_project)
        self._refresh()

    @property
    def is_ready(self) -> bool:
        """Whether all three answers are in."""
        return bool(self.model and self.data and self.goal_choice.chosen_key())

    @property
    def is_begun(self) -> bool:
        """Whether any answer is in."""
        return bool(self.model or self.data or self.goal_choice.chosen_key())

    def pick_model(self) -> None:
        """Ask for a model."""
        from studio.gui.models_page.picker import pick_model

        chosen = pick_model(self._context, self)
        if chosen:
            self.set_model(chosen)

    def pick_data(self) -> None:
        """Ask for a file of rows."""
        path = ask_file(self, "Choose a file of rows", DATA_PATTERN)
        if path is not None:
            self.set_data(str(path))

    def set_model(self, source: str) -> None:
        """Answer the first question."""
        self.model = source
        self.model_button.say("Starter, comes with Tunesmith" if source == STARTER else _short(source))
        self._refresh()

    def set_data(self, path: str) -> None:
        """Answer the second question."""
        self.data = path
        self.data_button.say(Path(path).name)
        self._refresh()

    def create_project(self) -> None:
        """Make the project and open it."""
        if not self.is_ready:
            return
        self.create_button.setEnabled(False)
        folder = free_folder(projects_folder(self._context.preferences) / _folder_name(self.data))
        arguments = (self.model, self.data, self.goal_choice.chosen_key(), folder)
        self._context.tasks.run(
            _draft, *arguments, on_done=lambda spec: self._on_drafted(folder, spec), on_error=self._on_failed
        )

    def clear(self) -> None:
        """Take the answers back."""
        self.model = self.data = ""
        self.model_button.say("")
        self.data_button.say("")
        self.goal_choice.set_chosen("")
        self._refresh()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(10)
        grid.setColumnMinimumWidth(1, 104)
        grid.setColumnStretch(2, 1)
        questions = ("Which model?", "Which data?", "What for?")
        for row, field in enumerate((self.model_button, self.data_button, self.goal_choice)):
            grid.addWidget(self._numbers[row], row, 0)
            grid.addWidget(Text(questions[row], "body_strong"), row, 1)
            grid.addWidget(field, row, 2)
        self.body.addLayout(grid)
        self.body.addStretch(1)
        foot = QHBoxLayout()
        self.note = Elided("", "small", "text2")
        self.create_button = Button("Create project")
        foot.addWidget(self.note, 1)
        foot.addWidget(self.create_button)
        self.body.addLayout(foot)

    def _refresh(self, *_: object) -> None:
        answers = (self.model, self.data, self.goal_choice.chosen_key())
        for number, answer in zip(self._numbers, answers, strict=True):
            number.set_answered(bool(answer))
        goal = GOALS.get(self.goal_choice.chosen_key())
        self.note.say((goal.caution or f"Usually takes {goal.needs}") if goal else "")
        self.create_button.setEnabled(self.is_ready)
        self.create_button.set_role("primary" if self.is_ready else "secondary")
        self.ready_changed.emit(self.is_ready)

    def _on_drafted(self, folder: Path, spec: RunSpec) -> None:
        try:
            self._context.session.create(folder, spec)
        except UserError as error:
            self._on_failed(error)
            return
        self.clear()
        self.created.emit()

    def _on_failed(self, error: Exception) -> None:
        self._refresh()
        self._context.tasks.faulted.emit(error)


def _draft(control: Control, model: str, data: str, goal: str, folder: Path) -> RunSpec:
    spec = fresh_spec(model=model, data=data, project=folder)
    return set_values(spec, assignments(goal, spec))


def _folder_name(data: str) -> str:
    """A folder's name from a file's: without what a file system forbids."""
    stem = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', " ", Path(data).stem).strip(" .")
    return stem[:60] or "Project"


def _short(source: str) -> str:
    path = Path(source)
    return path.name if path.is_absolute() else source
