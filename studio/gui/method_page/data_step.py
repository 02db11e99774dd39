"""Step 3: which rows, and which of their tokens are learned. Looking at them is the Data page's matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from studio.errors import Problem
from studio.formats import FORMATS
from studio.gui.context import Context
from studio.gui.controls import Banner, Button, Card, Elided, ScrollColumn, Text
from studio.gui.figures import gigabytes
from studio.gui.forms import SpecForm
from studio.gui.forms.editors import ChoiceEditor, Editor
from studio.gui.forms.holdout import HoldoutEditor
from studio.gui.icons import Icon
from studio.gui.method_page.forecasts import Forecasts
from studio.gui.method_page.layouts import clear
from studio.gui.tasks import Control
from studio.sizes import counted
from studio.spec.fields import FieldFacts


class DataStep(QWidget):
    """The rows.

    Signals:
        pick_wanted(): another file is to be chosen.
    """

    pick_wanted = Signal()

    def __init__(self, context: Context, forecasts: Forecasts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._forecasts = context, forecasts
        self._size: int | None = None
        self._path = ""
        self.name = Elided("", "heading")
        self.place = Text("", "small", "text2", wrap=True)
        self.pick = Button("Choose another file…", icon=Icon.FILE_IN)
        self.look = Button("Look at the rows", "quiet", icon=Icon.EYE)
        self.card = Card("What is learned", spacing=2)
        self.form: SpecForm | None = None
        self._problems = QVBoxLayout()
        self._lay_out()
        self.pick.clicked.connect(self.pick_wanted)
        self.look.clicked.connect(lambda: self._context.navigate("data"))

    def refresh(self, problems: tuple[Problem, ...]) -> None:
        """Show the draft's rows."""
        session = self._context.session
        placed = session.placed_spec
        if placed is None or session.spec is None:
            return
        path = Path(placed.data.path)
        has_path = bool(session.spec.data.path.strip())
        self.name.say(path.name if has_path else "No rows yet")
        self.pick.setText("Choose another file…" if has_path else "Choose a file…")
        if self._path != str(path):
            self._path, self._size = str(path), None
            self._context.tasks.run(_size_of, path, on_done=self._on_size)
        self._say_place(path if has_path else None)
        self._show_form(problems)
        self._show_problems(problems)
        # Where the way ends here, this is what to press.
        self.pick.set_role("primary" if any(problem.is_fatal for problem in problems) else "secondary")

    def _lay_out(self) -> None:
        file = Card(spacing=12)
        head = QHBoxLayout()
        head.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.name)
        words.addWidget(self.place)
        head.addLayout(words, 1)
        head.addWidget(self.look)
        head.addWidget(self.pick)
        file.body.addLayout(head)
        file.body.addLayout(self._problems)
        scroll = ScrollColumn(spacing=12)
        scroll.column.addWidget(file)
        scroll.column.addWidget(self.card)
        scroll.column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(scroll)

    def _show_form(self, problems: tuple[Problem, ...]) -> None:
        session = self._context.session
        if self.form is None:
            self.form = SpecForm(session, "data", editors=_EDITORS)
            self.card.header.addWidget(self.form.toggle)
            self.card.body.addWidget(self.form)
            path = self.form.row("data.path")
            assert path is not None
            path.hide()  # the card above says it
        self.form.refresh()
        self.form.show_problems(problems)

    def _show_problems(self, problems: tuple[Problem, ...]) -> None:
        clear(self._problems)
        for problem in problems:
            if problem.path == "data.path" and problem.is_fatal:
                self._problems.addWidget(Banner("danger", problem.message, problem.hint))

    def _say_place(self, path: Path | None) -> None:
        session = self._context.session
        if path is None:
            self.place.say("JSONL, JSON, CSV, TSV, Parquet, Arrow or text.")
            return
        parts = [str(path.parent)]
        if self._size is not None:
            parts.append(gigabytes(self._size))
        rows = self._forecasts.rows
        if session.num_rows is not None or rows is not None:
            parts.append(counted(session.num_rows or (rows.count if rows else 0), "row"))
        if rows is not None:
            parts.append(f"{rows.mean:,.0f} tokens a row")
        self.place.say(" · ".join(parts))

    def _on_size(self, found: tuple[Path, int | None]) -> None:
        path, size = found
        if str(path) == self._path:
            self._size = size
            self._say_place(path)


def _format_editor(facts: FieldFacts) -> ChoiceEditor:
    """The row formats by name."""
    return ChoiceEditor(
        facts, [("auto", "What the program finds"), *((key, unit.title) for key, unit in FORMATS.all().items())]
    )


_EDITORS: dict[str, Callable[[FieldFacts], Editor]] = {"data.format": _format_editor, "data.holdout": HoldoutEditor}


def _size_of(control: Control, path: Path) -> tuple[Path, int | None]:
    try:
        return path, path.stat().st_size
    except OSError:
        return path, None
