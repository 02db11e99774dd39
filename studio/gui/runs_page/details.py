"""One run in detail: what it reached, what it was made of, its answers, notes, and what to do with it."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui import figures
from studio.gui.controls import Badge, Button, Card, Elided, Hairline, IconButton, ScrollColumn, Text, TextBox
from studio.gui.icons import Icon
from studio.gui.naming import model_name
from studio.gui.runs_page.library import Entry
from studio.gui.runs_page.model import state_words
from studio.gui.train_page.clamped import Clamped

_SAVE_MS = 700
_DEEDS = (
    ("open", "Open", Icon.TRAIN),
    ("chat", "Chat with it", Icon.PLAYGROUND),
    ("reproduce", "Reproduce", Icon.AGAIN),
    ("export", "Export", Icon.EXPORT),
    ("resume", "Resume", Icon.PLAY),
)
_RESUMABLE = ("stopped", "paused", "failed", "interrupted", "new")


class Details(Card):
    """The side pane.

    Signals:
        asked(str): "open", "chat", "export", "reproduce", "resume", "pack", "delete" or "folder", for the shown run.
        notes_changed(str, str): a run's name and its notes.
    """

    asked = Signal(str)
    notes_changed = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(padding=16, spacing=8, parent=parent)
        self._entry: Entry | None = None
        self._shown: tuple[object, ...] = ()
        self._title, self._badge = Text("", "heading"), Badge()
        self._subtitle = Elided("", "body", "text2")
        self._facts = QVBoxLayout()
        self._facts.setSpacing(6)
        self.notes = TextBox("What you tried, and what came of it", name="Notes", lines=3)
        self._save = QTimer(self, singleShot=True, interval=_SAVE_MS)
        self._buttons: dict[str, Button] = {}
        self._arranged: list[str] = []
        self._lay_out()
        self.notes.textChanged.connect(self._save.start)
        self._save.timeout.connect(self.keep_notes)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addStretch(1)
        head.addWidget(self._badge)
        self.body.addLayout(head)
        self.body.addWidget(self._subtitle)
        scroll = ScrollColumn(spacing=10)
        scroll.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        scroll.column.addLayout(self._facts)
        scroll.column.addWidget(Text("Notes", "small_strong"))
        scroll.column.addWidget(self.notes)
        scroll.column.addStretch(1)
        self.body.addWidget(scroll, 1)
        self.body.addLayout(self._actions())

    def _actions(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(8)
        self._grid = QGridLayout()
        self._grid.setSpacing(8)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1)
        for key, words, icon in _DEEDS:
            self._button(key, words, icon)
        column.addLayout(self._grid)
        foot = QHBoxLayout()
        foot.addWidget(self._button("pack", "Save as project file…", Icon.ARCHIVE, quiet=True))
        foot.addStretch(1)
        for key, name, icon in (("folder", "Show its folder", Icon.OPEN), ("delete", "Delete this run", Icon.TRASH)):
            button = IconButton(icon, name)
            button.clicked.connect(lambda _=False, key=key: self.asked.emit(key))
            self._buttons[key] = button
            foot.addWidget(button)
        column.addLayout(foot)
        return column

    def _button(self, key: str, words: str, icon: Icon, *, quiet: bool = False) -> Button:
        button = Button(words, "quiet" if quiet else "secondary", icon=icon, compact=quiet, parent=self)
        button.setSizePolicy(
            QSizePolicy.Policy.Minimum if quiet else QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed
        )
        button.clicked.connect(lambda: self.asked.emit(key))
        self._buttons[key] = button
        return button

    def show_entry(self, entry: Entry | None, *, is_best: bool) -> None:
        """Show a run; its notes are not touched while they are written."""
        is_other = entry is not self._entry
        if is_other:
            self.keep_notes()
        self._entry = entry
        if entry is None:
            return
        self._title.say(f"Run {entry.facts.number}" if entry.facts.number else entry.run.name)
        words, tone = ("Best so far", "good") if is_best else state_words(entry)
        self._badge.say(words, tone)  # type: ignore[arg-type]
        what = f"{entry.facts.method} on {model_name(entry.facts.model)}"
        self._subtitle.say(what if entry.facts.spec else entry.run.name)
        self._fill(entry)
        has_notes = entry.digest is not None
        self.notes.setEnabled(has_notes)
        if has_notes and not self.notes.hasFocus() and not self._save.isActive():
            self._put_notes(entry)
        self._show_buttons(entry)

    def keep_notes(self) -> None:
        """Hand on what was written."""
        self._save.stop()
        entry, text = self._entry, self.notes.toPlainText()
        if entry is not None and entry.digest is not None and text != entry.digest.notes:
            self.notes_changed.emit(entry.run.name, text)

    def _put_notes(self, entry: Entry) -> None:
        text = entry.digest.notes if entry.digest else ""
        if text != self.notes.toPlainText():
            self.notes.blockSignals(True)
            self.notes.setPlainText(text)
            self.notes.blockSignals(False)

    def _show_buttons(self, entry: Entry) -> None:
        status = entry.row.state.status
        has_result = entry.digest is not None and entry.digest.sizes.result > 0
        shown = {
            "open": True,
            "chat": has_result,
            "export": has_result,
            "reproduce": entry.facts.spec is not None,
            "resume": status in _RESUMABLE and not entry.is_damaged,
            "pack": not entry.is_damaged,
        }
        for key, is_shown in shown.items():
            self._buttons[key].setVisible(is_shown)
        self._arrange([key for key, _, _ in _DEEDS if shown[key]])
        self._buttons["delete"].setEnabled(status != "running")

    def _arrange(self, keys: list[str]) -> None:
        """Two in a row; an odd one at the end takes the whole."""
        if keys == self._arranged:
            return
        self._arranged = keys
        for at, key in enumerate(keys):
            is_alone = at == len(keys) - 1 and at % 2 == 0
            self._grid.addWidget(self._buttons[key], at // 2, at % 2, 1, 2 if is_alone else 1)

    # Facts

    def _fill(self, entry: Entry) -> None:
        key = (entry.run.name, id(entry.digest), entry.row.state, entry.facts.problem)
        if key == self._shown:
            return
        self._shown = key
        _clear(self._facts)
        if entry.is_damaged:
            problem = entry.facts.problem or entry.row.problem
            self._facts.addWidget(Text(f"{problem} What could be read of it is shown.", "body", "danger", wrap=True))
        for at, block in enumerate((_reached(entry), _made_of(entry))):
            if at:
                self._facts.addWidget(Hairline())
            for name, value, tip in block:
                self._facts.addWidget(_line(name, value, tip))
        for prompt, before, after in entry.digest.samples[:1] if entry.digest else ():
            self._facts.addWidget(Hairline())
            self._facts.addWidget(Clamped(prompt, "small_strong", lines=2))
            for title, text, tone in (("Before", before, "text2"), ("Tuned", after, "text")):
                if text:
                    self._facts.addWidget(Text(title, "caption", "accent_text" if title == "Tuned" else "text3"))
                    self._facts.addWidget(Clamped(text, "small", tone, lines=3))


def _reached(entry: Entry) -> list[tuple[str, str, str]]:
    state, found = entry.row.state, entry.digest
    steps = f"{figures.count(state.step)} of {figures.count(state.total)}" if state.total else figures.count(state.step)
    if found is not None and found.active_seconds:
        steps += f", {figures.duration(found.active_seconds)}"
    lines = [("Steps", steps, "")]
    if found is not None and found.best is not None:
        best = f"{figures.loss(found.best[1])} at step {figures.count(found.best[0])}"
        lines.insert(0, ("Held-out loss", best, "Loss on rows it never learns from, at its best"))
    if found is not None and found.before is not None:
        lines.insert(1, ("Before tuning", figures.loss(found.before), ""))
    if found is not None and found.all_tokens:
        lines.append(("Tokens read", figures.short_count(found.all_tokens), ""))
    if state.message:
        lines.append(("It ended", state.message, f"{state.message} {state.hint}"))
    return lines


def _made_of(entry: Entry) -> list[tuple[str, str, str]]:
    found, spec = entry.digest, entry.facts.spec
    lines: list[tuple[str, str, str]] = []
    if spec is not None:
        name = spec.data.path.replace("\\", "/").rsplit("/", 1)[-1]
        lines += [("Data", name, spec.data.path), ("Seed", str(spec.train.seed), "")]
    if found is not None:
        for name, mark in found.fingerprints.items():
            lines.append((f"{name.capitalize()} fingerprint", mark[:12], mark))
        number, size = found.sizes.num_checkpoints, found.sizes.checkpoints
        checkpoints = f"{number}, {figures.gigabytes(size)}" if number else "none"
        lines += [("Checkpoints", checkpoints, ""), ("On disk", figures.gigabytes(found.sizes.total), "")]
    if found is not None and found.num_skipped:
        lines.append(("Unreadable lines", figures.count(found.num_skipped), "Of its journal; they were passed over"))
    return lines


def _line(name: str, value: str, tip: str) -> QWidget:
    widget = QWidget()
    row = QHBoxLayout(widget)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(12)
    row.addWidget(Text(name, "small", "text2"))
    words = Elided(value, "small_strong")
    words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    row.addWidget(words, 1)
    widget.setToolTip(tip)
    return widget


def _clear(layout: QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
