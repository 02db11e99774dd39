"""One model in a list: its name with badges, a line of facts, and what can be done with it at the right."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.gui.controls import Badge, Button, Elided, Progress, Text
from studio.gui.controls.painting import antialiased
from studio.gui.controls.surfaces import BadgeTone
from studio.gui.figures import count, gigabytes, short_count
from studio.gui.icons import Icon
from studio.gui.models_page.downloads import Progress as Far
from studio.gui.theme import tokens
from studio.models.facts import ModelFacts
from studio.models.hub_search import FoundModel
from studio.models.on_disk import ModelOnDisk
from studio.models.streamed_copies import StreamedCopy
from studio.planner.rough import least_bytes

_KIND_WORDS = {"starter": ", comes with Tunesmith", "folder": " in your folder", "hub": " from the Hub"}


class ModelRow(QWidget):
    """A row: name, badges, facts; a bar while it is downloaded; buttons at the right; a hairline below."""

    def __init__(self, title: str, facts: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = Elided(title, "item", mode=Qt.TextElideMode.ElideMiddle)  # sizes stand at the end
        self.facts = Text(facts, "small", "text2", wrap=True)
        self.bar = Progress(name=f"Download of {title}")
        self.bar.hide()
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(6)
        self._badges = QHBoxLayout()
        self._badges.setSpacing(6)
        self._lay_out()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"{title}. {facts}")

    def add_badge(self, text: str, tone: BadgeTone = "neutral", icon: Icon | None = None) -> None:
        """Say something in one or two words."""
        self._badges.addWidget(Badge(text, tone, icon=icon))

    def add_button(self, button: Button, slot: Callable[[], object]) -> Button:
        """Offer something to do."""
        button.clicked.connect(lambda: slot())
        self.buttons.addWidget(button)
        return button

    def show_progress(self, far: Far | None, facts: str) -> None:
        """Show how far a download is, in the facts' place; None for none."""
        self.bar.setVisible(far is not None and far.state in ("running", "paused"))
        if far is not None:
            self.bar.set_share(far.share)
            self.bar.set_tone("accent" if far.state == "running" else "strong")
        self.facts.say(far.words() if far else facts, "danger" if far and far.state == "failed" else "text2")

    def paintEvent(self, event: QPaintEvent) -> None:
        line = QRectF(0, self.height() - 1, self.width(), 1 / self.devicePixelRatioF())
        antialiased(self).fillRect(line, tokens().border)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, super().minimumSizeHint().height())

    def _lay_out(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 10, 0, 11)
        layout.setSpacing(12)
        words = QVBoxLayout()
        words.setSpacing(3)
        head = QHBoxLayout()
        head.setSpacing(8)
        self.name.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        head.addWidget(self.name)
        head.addLayout(self._badges)
        head.addStretch(1)
        words.addLayout(head)
        words.addWidget(self.facts)
        words.addWidget(self.bar)
        layout.addLayout(words, 1)
        layout.addLayout(self.buttons)


def local_row(model: ModelOnDisk) -> ModelRow:
    """A row for a model on this computer."""
    row = ModelRow(model.title, local_facts(model))
    if model.kind == "folder":
        row.add_badge("Folder")
    if model.is_partial:
        row.add_badge("Unfinished", "warn")
    elif model.problem:
        row.add_badge("Cannot be used", "danger")
    elif model.facts is not None and not model.facts.has_chat_template:
        row.add_badge("No chat template", "warn")
    row.setToolTip(str(model.folder))
    return row


def local_facts(model: ModelOnDisk) -> str:
    """'4.02 B weights, 262,144 tokens of context, Qwen3; 8.1 GB from the Hub'."""
    place = f"{gigabytes(model.size_bytes)}{_KIND_WORDS[model.kind]}"
    if model.facts is None:
        return f"{place}. {model.problem}"
    return f"{in_words(model.facts)}; {place}"


def copy_row(copy: StreamedCopy) -> ModelRow:
    """A row for a base that is laid out for streaming."""
    row = ModelRow(copy.name, f"{gigabytes(copy.size_bytes)} of layers laid out for streaming, {copy.kind}")
    row.add_badge("Streamed copy")
    row.setToolTip(str(copy.folder))
    return row


def in_words(facts: ModelFacts) -> str:
    """'4.02 B weights, 262,144 tokens of context, Qwen3'."""
    parts = [f"{short_count(facts.num_parameters)} weights"]
    if facts.context_length:
        parts.append(f"{count(facts.context_length)} tokens of context")
    if facts.architecture:
        parts.append(facts.architecture.removesuffix("ForCausalLM").removesuffix("ForConditionalGeneration"))
    return ", ".join(parts)


def hub_facts(model: FoundModel) -> str:
    """'4.02 B weights, 8.1 GB, apache-2.0, tunes from about 4.1 GB; 1.2 M downloads'."""
    parts = []
    if model.parameters:
        parts.append(f"{short_count(model.parameters)} weights")
    if model.weight_bytes:
        parts.append(gigabytes(model.weight_bytes))
    parts.append(model.licence or "licence not said")
    if model.parameters:
        parts.append(f"tunes from about {gigabytes(least_bytes(model.parameters))}")
    return f"{', '.join(parts)}; {short_count(model.downloads)} downloads"
