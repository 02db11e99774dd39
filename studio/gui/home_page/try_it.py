"""Try it now: the bundled model and rows, with a before and an after in words, and one button."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout

from studio.errors import UserError
from studio.gui.context import Context
from studio.gui.controls import Button, Card, Elided, Text
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.icons import Icon
from studio.gui.theme import tokens
from studio.gui.tokens import RADIUS_BOX, mixed
from studio.preferences import projects_folder
from studio.project.demo import example, make_demo_project


class _Said(QFrame):
    """What a model says: grey before, accent after."""

    def __init__(self, who: str, words: str, *, is_tuned: bool) -> None:
        super().__init__()
        self._is_tuned = is_tuned
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 14, 10)
        layout.setSpacing(4)
        layout.addWidget(Text(who, "small_strong", "accent_text" if is_tuned else "text3"))
        layout.addWidget(Text(words, "body", "text" if is_tuned else "text2", wrap=True))
        layout.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(f"{who}: {words}")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect = QRectF(self.rect())
        fill_box(painter, rect, RADIUS_BOX, t.accent_soft if self._is_tuned else t.inset)
        edge_box(painter, rect, RADIUS_BOX, mixed(t.accent_soft, t.accent, 0.35) if self._is_tuned else t.border)


class TryIt(Card):
    """The card."""

    def __init__(self, context: Context) -> None:
        super().__init__("Try it now")
        self._context = context
        self.body.addWidget(Text("Tune the small model that comes with Tunesmith.", "small", "text2", wrap=True))
        self.start_button = Button("Start", "primary", icon=Icon.PLAY)
        self.start_button.setAccessibleName("Start tuning the starter")
        foot = QHBoxLayout()
        self._show_example()
        self.body.addStretch(1)
        self.note = Elided("A few minutes, no download, no GPU", "small", "text2")
        foot.addWidget(self.note, 1)
        foot.addWidget(self.start_button)
        self.body.addLayout(foot)
        self.start_button.clicked.connect(self.start)

    def start(self) -> None:
        """Make the starter's project, open it, and train."""
        self.start_button.setEnabled(False)
        try:
            project = make_demo_project(projects_folder(self._context.preferences) / "Starter voice")
            self._context.session.open(project.folder)
        except UserError as error:
            self.start_button.setEnabled(True)
            self._context.tasks.faulted.emit(error)
            return
        self.note.say("Getting ready…")
        self._context.session.start_run(on_started=self._on_started, on_error=self._on_failed)
        self._context.navigate("train")

    def _on_started(self, run: object) -> None:
        self.start_button.setEnabled(True)
        self.note.say("A few minutes, no download, no GPU")

    def _on_failed(self, error: Exception) -> None:
        self._on_started(None)
        self._context.tasks.faulted.emit(error)

    def _show_example(self) -> None:
        try:
            shown = example()
        except UserError as error:
            self.body.addWidget(Text(error.message, "body", "text2", wrap=True))
            self.start_button.setEnabled(False)
            return
        self.body.addWidget(Text(f"“{shown.question}”", "body_strong"))
        pair = QHBoxLayout()
        pair.setSpacing(10)
        pair.addWidget(_Said("Before", shown.before, is_tuned=False), 1)
        pair.addWidget(_Said("After", shown.after, is_tuned=True), 1)
        self.body.addLayout(pair)
