"""A form over one section of the open draft: each edit is a setting by path, saved at once, undone by Ctrl+Z."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.declare import Settings
from studio.errors import UserError
from studio.gui.forms.editors import Editor
from studio.gui.forms.form import Form
from studio.gui.session import Session
from studio.spec.fields import FieldFacts, assignment, describe


class SpecForm(Form):
    """The settings of one section ("train", "method", ...) as that section declares them now.

    Signals:
        saved(str): the path of a setting that was changed here.
    """

    saved = Signal(str)

    def __init__(
        self,
        session: Session,
        section: str,
        *,
        editors: Mapping[str, Callable[[FieldFacts], Editor]] | None = None,
        is_narrow: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        self.session, self.section = session, section
        self.declared: type[Settings] = type(getattr(session.spec, section))
        super().__init__(describe(self.declared, section), editors=editors, is_narrow=is_narrow, parent=parent)
        self.edited.connect(self._on_edited)
        self.refresh()

    def fits(self) -> bool:
        """Whether the draft's section is still declared as it was when this was made."""
        return self.session.spec is not None and type(getattr(self.session.spec, self.section)) is self.declared

    def refresh(self) -> None:
        """Show what the draft says; call on `spec_changed`."""
        if self.fits():
            section: Settings = getattr(self.session.spec, self.section)
            self.set_values({row.facts.path: getattr(section, row.facts.name) for row in self.rows})

    def _on_edited(self, path: str, value: Any) -> None:
        row = self.row(path)
        assert row is not None
        try:
            self.session.edit(assignment(path, value), label=row.facts.title)
        except UserError as error:
            problem = error.problems[0] if error.problems else None
            row.show_problem(problem.message if problem else error.message)
            return
        row.clear_problem()
        self.saved.emit(path)
