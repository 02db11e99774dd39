"""Editors for folders: one, or a list of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import Button, Elided, Field, IconButton
from studio.gui.forms.editors import Editor
from studio.gui.icons import Icon
from studio.spec.fields import FieldFacts

_WIDTH = 340


class FolderEditor(Editor):
    """One folder, written or chosen; empty is the usual place, which is shown."""

    def __init__(self, facts: FieldFacts, *, usual: Path) -> None:
        box = QWidget()
        box.setFixedWidth(_WIDTH)
        line = QHBoxLayout(box)
        line.setContentsMargins(0, 0, 0, 0)
        self.field = Field(str(usual), name=facts.title)
        browse = IconButton(Icon.OPEN, f"Choose the folder: {facts.title}", role="secondary", compact=False)
        line.addWidget(self.field, 1)
        line.addWidget(browse)
        super().__init__(box)
        self.setFocusProxy(self.field)
        self._shown = ""
        self.field.editingFinished.connect(self._on_finished)
        browse.clicked.connect(self._on_browse)

    def set_value(self, value: Any) -> None:
        self._shown = str(value)
        self.field.setText(self._shown)

    def set_wrong(self, wrong: bool) -> None:
        self.field.set_wrong(wrong)

    def _on_finished(self) -> None:
        if self.field.text() != self._shown:
            self._shown = self.field.text()
            self.edited.emit(self._shown.strip())

    def _on_browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder", self._shown or str(Path.home()))
        if folder:
            self.field.setText(folder)
            self._on_finished()


class FolderListEditor(Editor):
    """Several folders, each with a cross; one button adds another."""

    def __init__(self, facts: FieldFacts) -> None:
        box = QWidget()
        box.setFixedWidth(_WIDTH)
        box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Minimum)
        self._column = QVBoxLayout(box)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self.add = Button("Add a folder…", icon=Icon.PLUS)
        super().__init__(box)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Minimum)
        self.setFocusProxy(self.add)
        self._column.addWidget(self.add, 0, Qt.AlignmentFlag.AlignRight)
        self._folders: list[str] = []
        self._lines: list[QWidget] = []
        self.add.clicked.connect(self._on_add)

    def set_value(self, value: Any) -> None:
        self._folders = list(value)
        for line in self._lines:
            line.hide()
            line.deleteLater()
        self._lines = [self._line(folder) for folder in self._folders]
        for at, line in enumerate(self._lines):
            self._column.insertWidget(at, line)

    def _line(self, folder: str) -> QWidget:
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(Elided(folder, "body", mode=Qt.TextElideMode.ElideMiddle), 1)
        remove = IconButton(Icon.CLOSE, f"Do not list {folder}")
        remove.clicked.connect(lambda: self.edited.emit([known for known in self._folders if known != folder]))
        layout.addWidget(remove)
        return line

    def _on_add(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder of models", str(Path.home()))
        if folder and folder not in self._folders:
            self.edited.emit([*self._folders, folder])
