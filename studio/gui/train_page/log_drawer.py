"""What the run said: its messages, and the last lines of its worker's log."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QHideEvent, QKeyEvent, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QWidget

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import Card, IconButton, Segment
from studio.gui.controls.dialogs import paint_floating
from studio.gui.controls.painting import antialiased
from studio.gui.files import show_folder
from studio.gui.icons import Icon
from studio.gui.tasks import Control
from studio.gui.theme import font, theme, tokens
from studio.gui.tokens import PAGE_MARGIN
from studio.gui.train_page.run_watch import RunWatch
from studio.project.launch import last_log_lines
from studio.project.runs import Run
from studio.spec.words import in_words

_REFRESH_MS = 1500
_MARKS = {"info": "", "warning": "Warning: ", "error": "Error: "}


class LogDrawer(Card):
    """A panel that floats over the page's foot."""

    def __init__(self, context: Context, on_close: Callable[[], object], parent: QWidget) -> None:
        super().__init__("Log", padding=14, spacing=6, parent=parent)
        self._context, self._page = context, parent
        self._watch: RunWatch | None = None
        self._log = ""
        self._choice = Segment((("messages", "Messages"), ("log", "Process log")), name="Which log")
        copy, folder = IconButton(Icon.COPY, "Copy all of it"), IconButton(Icon.OPEN, "Open the run's folder")
        close = IconButton(Icon.CLOSE, "Close the log")
        for widget in (self._choice, copy, folder, close):
            self.header.addWidget(widget)
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setFrameShape(QPlainTextEdit.Shape.NoFrame)
        self.text.setAccessibleName("Log")
        self.text.setMaximumBlockCount(2000)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.body.addWidget(self.text, 1)
        self._timer = QTimer(self, interval=_REFRESH_MS)
        self._timer.timeout.connect(self._read)
        self._choice.chosen.connect(lambda _: self._show_text())
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.toPlainText()))
        folder.clicked.connect(self._open_folder)
        close.clicked.connect(lambda: on_close())
        self._close = on_close
        self._dress()
        theme().changed.connect(self._dress)

    def set_watch(self, watch: RunWatch | None) -> None:
        """Whose log."""
        self._watch, self._log = watch, ""
        if self.isVisible():
            self._read()

    def place(self) -> None:
        """Lie over the foot of the page."""
        page = self._page
        height = min(300, page.height() // 2)
        self.setGeometry(PAGE_MARGIN, page.height() - height - 18, page.width() - 2 * PAGE_MARGIN, height)

    def report(self) -> str:
        """Everything, as text to pass on."""
        return f"{self._messages()}\n\n{self._log}".strip()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.place()
        self.raise_()
        self._read()
        self._timer.start()

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_floating(antialiased(self), QRectF(self.rect()).adjusted(0, 2, 0, 0))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._close()
        else:
            super().keyPressEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        self._timer.stop()
        super().hideEvent(event)

    def _read(self) -> None:
        if self._watch is not None:
            self._context.tasks.run(_read_log, self._watch.run, on_done=self._on_read)

    def _on_read(self, text: str) -> None:
        self._log = text
        self._show_text()

    def _show_text(self) -> None:
        is_log = self._choice.chosen_key() == "log"
        text = (self._log or "The process has written nothing.") if is_log else (self._messages() or "No messages yet.")
        if text == self.text.toPlainText():
            return
        bar = self.text.verticalScrollBar()
        was_at_end = bar.value() >= bar.maximum() - 4
        self.text.setPlainText(text)
        if was_at_end:
            bar.setValue(bar.maximum())

    def _messages(self) -> str:
        if self._watch is None:
            return ""
        lines = [
            f"{figures.clock(notice.time)}  {_MARKS[notice.severity]}{notice.text} {notice.hint}".rstrip()
            for notice in self._watch.curves.notices
        ]
        if self._watch.num_skipped:
            lines.append(
                f"{figures.count(self._watch.num_skipped)} lines of its journal could not be read and were passed over."
            )
        return in_words("\n".join(lines))

    def _open_folder(self) -> None:
        if self._watch is not None:
            show_folder(self._watch.run.folder)

    def _dress(self) -> None:
        self.text.setFont(font("mono"))
        palette = self.text.palette()
        palette.setColor(palette.ColorRole.Base, tokens().raised)
        palette.setColor(palette.ColorRole.Text, tokens().text2)
        self.text.setPalette(palette)


def _read_log(control: Control, run: Run) -> str:
    return last_log_lines(run.log_path)
