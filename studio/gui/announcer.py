"""Tells how a run ended, whichever page is shown; and by a message of the system when the window is not in front."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QSystemTrayIcon, QWidget

from studio.gui import figures
from studio.gui.context import Context, ToastAction, Tone
from studio.gui.icons import Icon, qicon
from studio.gui.live_run import LiveRun
from studio.gui.session import RunRow
from studio.gui.theme import tokens

_SENTENCES: dict[str, tuple[str, Tone]] = {
    "done": ("{title} is finished", "good"),
    "stopped": ("{title} was stopped; what it learned is kept", "info"),
    "paused": ("{title} is paused", "info"),
    "failed": ("{title} could not go on", "danger"),
    "interrupted": ("{title} ended without a word", "danger"),
}


class Announcer(QObject):
    """Waits for the end of what trains."""

    def __init__(self, window: QWidget, context: Context) -> None:
        super().__init__(window)
        self._window, self._context = window, context
        self._ended: LiveRun | None = None
        self._awaited, self._title = "", ""
        self._tray: QSystemTrayIcon | None = None
        context.session.live_changed.connect(self._on_live)
        context.session.runs_changed.connect(self._on_runs)

    def close(self) -> None:
        """Take the sign in the system's tray away."""
        if self._tray is not None:
            self._tray.hide()

    def _on_live(self) -> None:
        live = self._context.session.live
        if live is not None:
            live.ended.connect(lambda: self._await(live))

    def _await(self, live: LiveRun) -> None:
        self._awaited, self._title = live.run.name, live.title

    def _on_runs(self) -> None:
        row = next((row for row in self._context.session.runs if row.run.name == self._awaited), None)
        if row is None or row.state.status not in _SENTENCES:
            return
        self._awaited = ""
        text, tone = _SENTENCES[row.state.status]
        self._tell(text.format(title=self._title), _detail(row), tone, self._action(row))

    def _action(self, row: RunRow) -> ToastAction:
        if row.state.status == "done":
            return "Chat with it", lambda: self._context.navigate("playground", run=row.run.name)
        return "Show it", lambda: self._context.navigate("train", run=row.run.name)

    def _tell(self, text: str, detail: str, tone: Tone, action: ToastAction) -> None:
        self._context.notify(text, detail, tone, action)
        is_seen = self._window.isActiveWindow() or not self._context.preferences.notify_when_done
        if is_seen or not QSystemTrayIcon.isSystemTrayAvailable():
            return
        if self._tray is None:
            self._tray = QSystemTrayIcon(qicon(Icon.TRAIN, tokens().accent, 32), self)
            self._tray.messageClicked.connect(self._window.activateWindow)
        self._tray.show()
        self._tray.showMessage(text, detail)


def _detail(row: RunRow) -> str:
    state = row.state
    if state.status == "failed":
        return f"{state.message} {state.hint}".strip()
    if state.best_eval is not None:
        return f"Best held-out loss {figures.loss(state.best_eval)} at step {figures.count(state.best_step)}"
    return f"Step {figures.count(state.step)} of {figures.count(state.total)}"
