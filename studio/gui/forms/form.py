"""A form of rows: everyday settings open, advanced ones folded away behind a button that says how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.errors import Problem
from studio.gui.controls import Button
from studio.gui.forms.editors import Editor
from studio.gui.forms.row import FieldRow
from studio.gui.icons import Icon
from studio.spec.fields import FieldFacts


class Form(QWidget):
    """Rows of settings.

    Attributes:
        toggle: the button that unfolds the advanced rows; its owner places it. Hidden when there are none.

    Signals:
        edited(str, object): path and the value the person wrote.
    """

    edited = Signal(str, object)

    def __init__(
        self,
        fields: Iterable[FieldFacts],
        *,
        editors: Mapping[str, Callable[[FieldFacts], Editor]] | None = None,
        is_narrow: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make one.

        Args:
            fields: in the order in which they are shown.
            editors: for the few paths that need an editor of their own.
            is_narrow: in a side column.
        """
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._advanced = QWidget()
        folded = QVBoxLayout(self._advanced)
        folded.setContentsMargins(0, 0, 0, 0)
        folded.setSpacing(0)
        self._rows: dict[str, FieldRow] = {}
        for facts in fields:
            own = editors[facts.path](facts) if editors and facts.path in editors else None
            row = FieldRow(facts, editor=own, is_narrow=is_narrow)
            row.edited.connect(self.edited)
            self._rows[facts.path] = row
            (folded if facts.is_advanced else self._column).addWidget(row)
        self._column.addWidget(self._advanced)
        self._advanced.hide()
        self.toggle = Button(f"Advanced ({folded.count()})", "quiet", icon=Icon.CARET_RIGHT, compact=True)
        self.toggle.setCheckable(True)
        if folded.count() == 0:
            self.toggle.hide()  # never shown from here: without a parent yet it would be a window of its own
        self.toggle.toggled.connect(self.unfold)

    @property
    def rows(self) -> tuple[FieldRow, ...]:
        """All rows in their order."""
        return tuple(self._rows.values())

    def row(self, path: str) -> FieldRow | None:
        """The row of a path, or of the setting that the path goes into ("data.columns.question")."""
        found = [known for known in self._rows if path == known or path.startswith(f"{known}.")]
        return self._rows[found[0]] if found else None

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show values by path, silently."""
        for path, value in values.items():
            if path in self._rows:
                self._rows[path].set_value(value)

    def show_problems(self, problems: Iterable[Problem]) -> None:
        """Mark the rows that have problems; rows without one show their help again."""
        by_row = {row: problem for problem in problems if (row := self.row(problem.path)) is not None}
        for row in self._rows.values():
            problem = by_row.get(row)
            if problem is not None:
                row.show_problem(f"{problem.message} {problem.hint}".strip(), is_fatal=problem.is_fatal)
            elif not row.problem:
                row.clear_problem()

    def unfold(self, is_open: bool = True) -> None:
        """Show or hide the advanced rows."""
        self._advanced.setVisible(is_open)
        self.toggle.setChecked(is_open)
        self.toggle.set_glyph(Icon.CARET_DOWN if is_open else Icon.CARET_RIGHT)

    def go_to(self, path: str) -> bool:
        """Put the focus into a setting's field, unfolding it; False when it is not here."""
        row = self.row(path)
        if row is None:
            return False
        if row.facts.is_advanced:
            self.unfold()
        row.editor.setFocus()
        return True
