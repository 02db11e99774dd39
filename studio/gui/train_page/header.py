"""The page's buttons: which of them a run's state asks for, the primary last."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QHBoxLayout

from studio.gui.controls import Badge, Button
from studio.gui.controls.surfaces import BadgeTone
from studio.gui.icons import Icon
from studio.project.state import Status

BADGES: dict[Status, tuple[str, BadgeTone]] = {
    "new": ("Not begun", "neutral"),
    "running": ("Training", "good"),
    "done": ("Finished", "good"),
    "stopped": ("Stopped", "neutral"),
    "paused": ("Paused", "warn"),
    "failed": ("Failed", "danger"),
    "interrupted": ("Interrupted", "danger"),
}


@dataclass(frozen=True)
class _Wanted:
    """Keys of the buttons that are shown, and which is the primary."""

    keys: tuple[str, ...]
    primary: str = ""


_RUNNING = _Wanted(("log", "save", "stop", "pause"))
_READY = _Wanted(("log",))
_BY_STATUS: dict[Status, _Wanted] = {
    "running": _RUNNING,
    "done": _Wanted(("log", "export", "chat"), "chat"),
    "stopped": _Wanted(("log", "export", "chat", "resume"), "chat"),
    "paused": _Wanted(("log", "resume"), "resume"),
    "failed": _Wanted(("log",)),
    "interrupted": _Wanted(("log",)),
    "new": _Wanted(("log", "resume"), "resume"),
}
_BUTTONS = {
    "answers": ("Answers", Icon.CHAT),
    "log": ("Log", Icon.LOG),
    "save": ("Save now", Icon.SAVE),
    "stop": ("Stop and keep", Icon.STOP),
    "pause": ("Pause", Icon.PAUSE),
    "export": ("Export", Icon.EXPORT),
    "resume": ("Resume", Icon.PLAY),
    "chat": ("Chat with it", Icon.PLAYGROUND),
}
_QUIET = ("answers", "log", "save")


class RunButtons:
    """The buttons, by key."""

    def __init__(self, row: QHBoxLayout) -> None:
        self._buttons: dict[str, Button] = {}
        for key, (words, icon) in _BUTTONS.items():
            button = Button(words, "quiet" if key in _QUIET else "secondary", icon=icon)
            button.hide()
            row.addWidget(button)
            self._buttons[key] = button

    def __getitem__(self, key: str) -> Button:
        return self._buttons[key]

    def show_for(self, status: Status | None, *, is_ready: bool, has_result: bool, is_narrow: bool) -> None:
        """Show what this state asks for; none without a run."""
        wanted = _Wanted(()) if status is None else _READY if is_ready else _BY_STATUS[status]
        hidden = set() if has_result else {"chat", "export"}
        keys = {*wanted.keys, *(("answers",) if is_narrow and wanted.keys else ())} - hidden
        for key, button in self._buttons.items():
            role = "primary" if key == wanted.primary else "quiet" if key in _QUIET else "secondary"
            if button.role != role:
                button.role = role  # type: ignore[assignment]
                button.update()
            button.setVisible(key in keys)

    def asked(self, key: str | None) -> None:
        """A command is on its way: its button says so until the worker answers."""
        for name in ("save", "stop", "pause"):
            self._buttons[name].setEnabled(key is None)
        words = {"save": "Saving…", "stop": "Stopping…", "pause": "Pausing…"}
        for name in words:
            text = words[name] if name == key else _BUTTONS[name][0]
            if self._buttons[name].text() != text:
                self._buttons[name].setText(text)
                self._buttons[name].updateGeometry()


def show_badge(badge: Badge, status: Status, *, is_ready: bool) -> None:
    """Say a run's state."""
    text, tone = ("Getting ready", "info") if is_ready else BADGES[status]
    badge.say(text, tone, dot=status == "running")  # type: ignore[arg-type]
