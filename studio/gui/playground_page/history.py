"""The menu of a project's earlier conversations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QWidget

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import Menu
from studio.gui.icons import Icon
from studio.gui.tasks import Control
from studio.project.conversations import Conversation, Kept, kept_conversations, load_conversation

_SHOWN = 12


class History(QObject):
    """Opens earlier conversations."""

    def __init__(
        self, context: Context, anchor: QWidget, on_chosen: Callable[[Conversation], object], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._context, self._anchor, self._on_chosen = context, anchor, on_chosen

    def open(self) -> None:
        """Show the menu once the folder was looked at."""
        project = self._context.session.project
        if project is not None:
            self._context.tasks.run(_look, project.folder, on_done=self._show)

    def _show(self, kept: list[Kept]) -> None:
        menu = Menu(self._anchor)
        for conversation in kept[:_SHOWN]:
            words = f"{conversation.title}   {figures.when(conversation.changed)}"
            menu.add(words, lambda path=conversation.path: self._load(path), icon=Icon.CHAT)  # type: ignore[misc]
        if not kept:
            menu.add("No earlier conversations", lambda: None, enabled=False)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self._anchor.mapToGlobal(QPoint(-180, self._anchor.height())))

    def _load(self, path: Path) -> None:
        self._context.tasks.run(_read, path, on_done=self._on_chosen)


def _look(control: Control, folder: Path) -> list[Kept]:
    return kept_conversations(folder)


def _read(control: Control, path: Path) -> Conversation:
    return load_conversation(path)
