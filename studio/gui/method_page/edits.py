"""What choosing does to the draft: each is one edit by path, saved at once, undone by Ctrl+Z."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.files import ask_file
from studio.gui.models_page.use import use_model
from studio.spec.fields import assignment
from studio.spec.fresh import place_data
from studio.spec.presets import assignments


class DraftEdits(QObject):
    """Edits of the open draft."""

    def __init__(self, context: Context, page: QWidget, on_refused: Callable[[], object]) -> None:
        """Make it; `on_refused` shows again what the draft still says."""
        super().__init__(page)
        self._context, self._page, self._on_refused = context, page, on_refused

    def choose_goal(self, key: str) -> None:
        """Set the goal and what it proposes."""
        session = self._context.session
        assert session.spec is not None
        self._edit(*assignments(key, session.spec, session.num_rows), label="Goal")

    def choose_method(self, key: str) -> None:
        """Set the method; settings that the new one knows as well are kept."""
        self._edit(assignment("method.key", key), label="Method")

    def pick_model(self) -> None:
        """Ask for a model."""
        from studio.gui.models_page.picker import pick_model  # built when it is first wanted

        source = pick_model(self._context, self._page)
        if source is not None:
            use_model(self._context, source)

    def pick_data(self) -> None:
        """Ask for a file of rows."""
        path = ask_file(self._page, "Choose a file of rows")
        project = self._context.session.project
        if path is not None and project is not None:
            self._edit(assignment("data.path", place_data(str(path), project.folder)), label="Data")

    def _edit(self, *settings: str, label: str) -> None:
        try:
            self._context.session.edit(*settings, label=label)
        except UserError as error:
            self._context.notify(error.message, error.hint, "danger")
            self._on_refused()
