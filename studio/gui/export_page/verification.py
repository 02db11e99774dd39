"""What an exported file is worth: the verdict first, then each claim with its figure, then one answer of the file."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from studio.export.exports import Exported
from studio.gui import figures
from studio.gui.controls import Badge, Button, Card, Elided, Hairline, ScrollColumn, Text
from studio.gui.controls.painting import antialiased, edge_box, fill_box
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import icon_size, theme, tokens
from studio.gui.tokens import RADIUS_BOX
from studio.sizes import human_share

_WHAT_IT_IS = (
    "Each GGUF file is read by llama.cpp and compared with the tuned model on rows it never learned from: the same "
    "tokens, the same next word, a small drift. A file that fails keeps its place under a name that says so."
)
_NO_CHECK = "llama.cpp checks GGUF files. This is for programs that read it as it is, and is written without a check."


class _Mark(QWidget):
    def __init__(self, is_good: bool) -> None:
        super().__init__()
        self._is_good = is_good
        self._fit()
        theme().changed.connect(self._fit)

    def paintEvent(self, event: QPaintEvent) -> None:
        icon, colour = (
            (Icon.CHECK_CIRCLE, tokens().accent_text) if self._is_good else (Icon.CROSS_CIRCLE, tokens().danger)
        )
        paint_icon(antialiased(self), icon, QRectF(self.rect()), colour, icon_size())

    def _fit(self) -> None:
        self.setFixedSize(icon_size(18), icon_size(18))


class _Claim(QWidget):
    """A claim, what it rests on, and its figure."""

    def __init__(self, claim: str, detail: str, figure: str, *, is_good: bool) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 7, 0, 7)
        row.setSpacing(9)
        row.addWidget(_Mark(is_good), 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(Text(claim, "body_strong"))
        words.addWidget(Text(detail, "small", "text2", wrap=True))
        row.addLayout(words, 1)
        row.addWidget(Text(figure, "body_strong", "text" if is_good else "danger"))
        self.setAccessibleName(f"{claim}: {figure}, {'good' if is_good else 'not good'}; {detail}")


class _Quote(QFrame):
    """One answer of the file."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 10, 14, 12)
        column.setSpacing(5)
        column.addWidget(Text("The file answers", "caption", "text3"))
        column.addWidget(Text(f"“{report['question']}”", "body_strong", wrap=True, selectable=True))
        column.addWidget(Text(str(report["answer"]).strip() or "(nothing)", "body", wrap=True, selectable=True))
        if report["answer"] == report.get("tuned_answer"):
            column.addWidget(Text("=  Word for word as the tuned model", "small_strong", "accent_text", wrap=True))
        else:
            said = str(report.get("tuned_answer", "")).strip()
            column.addWidget(Text(f"The tuned model: {said}", "small", "text2", wrap=True, selectable=True))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = antialiased(self)
        fill_box(painter, QRectF(self.rect()), RADIUS_BOX, tokens().inset)
        edge_box(painter, QRectF(self.rect()), RADIUS_BOX, tokens().border)


class VerificationCard(Card):
    """The card.

    Signals:
        chat_wanted(object): talk to this file (its path).
        folder_wanted(object): show where it lies.
    """

    chat_wanted = Signal(object)
    folder_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__("Verification", spacing=8)
        self.exported: Exported | None = None
        self.badge = Badge("")
        self.header.addWidget(self.badge)
        self.file = Elided("", "small", "text2", mode=Qt.TextElideMode.ElideMiddle)
        self.body.addWidget(self.file)
        self._scroll = ScrollColumn(spacing=0, margins=(0, 0, 8, 0))
        self.body.addWidget(self._scroll, 1)
        self.chat = Button("Chat with this file", "primary", icon=Icon.PLAYGROUND)
        self.folder = Button("Open folder", "secondary", icon=Icon.OPEN)
        for button in (self.chat, self.folder):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self.body.addWidget(button)
        self.chat.clicked.connect(lambda: self._tell(self.chat_wanted))
        self.folder.clicked.connect(lambda: self._tell(self.folder_wanted))
        self.show_nothing()

    def show_nothing(self, *, can_check: bool = True) -> None:
        """Nothing was exported yet; whether what is chosen can be checked."""
        self._begin(None, "Not run yet" if can_check else "No check")
        self._scroll.column.addWidget(Text(_WHAT_IT_IS if can_check else _NO_CHECK, "small", "text2", wrap=True))
        self._scroll.column.addStretch(1)

    def show_busy(self, words: str) -> None:
        """An export is on its way."""
        self._begin(None, "Waiting")
        self._say_file(words)
        self._scroll.column.addWidget(Text(_WHAT_IT_IS, "small", "text2", wrap=True))
        self._scroll.column.addStretch(1)

    def show_exported(self, exported: Exported) -> None:
        """What is known of a file."""
        report = exported.report
        self._begin(exported, "")
        self._say_file(f"{exported.path.name}, {figures.gigabytes(exported.num_bytes)}")
        if report is None:
            self.badge.say("Not checked", "neutral")
            is_file = exported.path.suffix == ".gguf"
            words = "It was not checked." if is_file else "llama.cpp can only check GGUF files."
            self._scroll.column.addWidget(Text(words, "small", "text2", wrap=True))
        else:
            good = bool(report.get("passed"))
            self.badge.say("Passed" if good else "Failed", "good" if good else "danger", icon=_icon(good))
            self._add_claims(report)
        self._scroll.column.addStretch(1)

    def _say_file(self, words: str) -> None:
        self.file.say(words)
        self.file.setVisible(bool(words))

    def _begin(self, exported: Exported | None, badge: str) -> None:
        self.exported = exported
        self.badge.say(badge, "neutral")
        self.badge.setVisible(bool(badge) or exported is not None)
        self._say_file("")
        self.chat.setVisible(exported is not None and exported.can_chat)
        self.folder.setVisible(exported is not None)
        while (item := self._scroll.column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def _add_claims(self, report: dict[str, Any]) -> None:
        for sentence in report.get("problems", ()):
            self._scroll.column.addWidget(Text(str(sentence), "small_strong", "danger", wrap=True))
        for claim in claims(report):
            self._scroll.column.addWidget(claim)
            self._scroll.column.addWidget(Hairline())
        if report.get("question"):
            self._scroll.column.addSpacing(10)
            self._scroll.column.addWidget(_Quote(report))

    def _tell(self, signal: Any) -> None:
        if self.exported is not None:
            signal.emit(self.exported.path)


def claims(report: dict[str, Any]) -> list[QWidget]:
    """The report's figures, each with its limit; none where nothing could be compared."""
    positions = int(report.get("positions", 0))
    if not positions:
        return []
    agreement, least = float(report["agreement"]), float(report["least_agreement"])
    drift, most = float(report["mean_kl"]), float(report["most_kl"])
    same = bool(report["has_equal_tokens"])
    counts = f"{figures.count(agreement * positions)} of {figures.count(positions)} predicted tokens"
    agreeing = f"{counts} are the tuned model's; {figures.share(least)} at least"
    rows = int(report.get("rows", 0))
    return [
        _Claim("Same next word", agreeing, human_share(agreement), is_good=agreement >= least),
        _Claim("Drift", f"mean KL in nats, {most:g} at most", f"{drift:.4f}", is_good=drift <= most),
        _Claim("Same tokens", "text is cut as the model learned it", "identical" if same else "other", is_good=same),
        _Claim(
            "Compared on",
            f"{figures.count(positions)} places",
            f"{rows} {'row' if rows == 1 else 'rows'}",
            is_good=True,
        ),
    ]


def _icon(is_good: bool) -> Icon:
    return Icon.CHECK if is_good else Icon.CLOSE
