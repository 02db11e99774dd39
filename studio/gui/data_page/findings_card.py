"""What is worth a look, each with its count and the one click that mends it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from studio.data.store.findings import Finding
from studio.gui import figures
from studio.gui.controls import Card, Hairline, ScrollColumn, Skeleton, Text
from studio.gui.controls.painting import KeyboardFocus, antialiased, edge_box, fill_box
from studio.gui.data_page.work import Summary
from studio.gui.icons import Icon, paint_icon
from studio.gui.theme import font, icon_size, theme, tokens
from studio.gui.tokens import RADIUS_CONTROL

_ICONS = {
    "leaked": Icon.SWAP,
    "repeats": Icon.DUPLICATES,
    "emails": Icon.CARDHOLDER,
    "echo": Icon.AGAIN,
    "question_last": Icon.QUESTION,
    "one_word": Icon.TEXT,
    "set_aside": Icon.WARNING,
}

_LINK_INSET = 4


class LinkButton(KeyboardFocus, QPushButton):
    """Words in the accent's colour that do something."""

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(round(QFontMetricsF(font("body_strong")).horizontalAdvance(self.text())) + 2 * _LINK_INSET, 28)

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, t = antialiased(self), tokens()
        rect = QRectF(self.rect())
        if self.underMouse():
            fill_box(painter, rect.adjusted(0, 2, 0, -2), RADIUS_CONTROL, t.hover)
        if self.shows_focus:
            edge_box(painter, rect.adjusted(0, 1, 0, -1), RADIUS_CONTROL, t.accent, 2)
        painter.setFont(font("body_strong"))
        painter.setPen(t.accent_text if self.isEnabled() else t.text3)
        painter.drawText(rect.adjusted(_LINK_INSET, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text())


class _Row(QWidget):
    """One finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.setToolTip(finding.explanation)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 4)
        layout.setSpacing(6)
        layout.addWidget(_Glyph(_ICONS.get(finding.key, Icon.INFO), finding.tone), 0, Qt.AlignmentFlag.AlignTop)
        words = QVBoxLayout()
        words.setSpacing(0)
        head = QHBoxLayout()
        head.setContentsMargins(_LINK_INSET, 0, 0, 0)  # above the words of the links
        title = Text(finding.title, "body_strong", wrap=True)
        head.addWidget(title, 1)
        count = Text(figures.count(finding.count), "body_strong", finding.tone)
        head.addWidget(count, 0, Qt.AlignmentFlag.AlignTop)
        words.addLayout(head)
        self.links = QHBoxLayout()
        self.links.setSpacing(4)
        words.addLayout(self.links)
        layout.addLayout(words, 1)

    def add_link(self, text: str, name: str) -> LinkButton:
        link = LinkButton(text)
        link.setAccessibleName(name)
        self.links.addWidget(link)
        return link


class _Glyph(QWidget):
    def __init__(self, icon: Icon, tone: str) -> None:
        super().__init__()
        self._icon, self._tone = icon, tone
        self._fit()
        theme().changed.connect(self._fit)

    def paintEvent(self, event: QPaintEvent) -> None:
        paint_icon(antialiased(self), self._icon, self.rect(), getattr(tokens(), self._tone), icon_size())

    def _fit(self) -> None:
        self.setFixedSize(icon_size(18), icon_size(18))


class FindingsCard(Card):
    """All findings.

    Signals:
        fix_wanted(object): a finding is to be mended.
        show_wanted(str): the rows of a filter are to be shown.
    """

    fix_wanted = Signal(object)
    show_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Findings", padding=16, spacing=6, parent=parent)
        self.amount = Text("", "small", "text3")
        self.header.addWidget(self.amount)
        self.scroller = ScrollColumn(margins=(0, 0, 6, 0))
        self.body.addWidget(self.scroller, 1)
        self.foot = QHBoxLayout()
        self._foot_glyph = _Glyph(Icon.CHECK_CIRCLE, "accent_text")
        self._foot_words = Text("", "small", "text2", wrap=True)
        self.foot.addWidget(self._foot_glyph, 0, Qt.AlignmentFlag.AlignTop)
        self.foot.addWidget(self._foot_words, 1)
        self.body.addLayout(self.foot)
        self._shown: tuple[object, ...] | None = None
        self.show_summary(None)

    def show_summary(self, summary: Summary | None, waiting: str = "") -> None:
        """Show what was found; skeletons until all rows were looked at, or what has to be done before."""
        found = summary.findings if summary is not None else None
        key = (found is None, waiting, *(found or ()))
        if key != self._shown:
            self._shown = key
            self._fill(found, waiting)
        self._say_foot(summary)

    def _fill(self, found: list[Finding] | None, waiting: str) -> None:
        while (item := self.scroller.column.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.amount.say(str(len(found)) if found else "")
        if found is None:
            self.scroller.column.addWidget(Text(waiting, "small", "text2", wrap=True) if waiting else Skeleton(4))
        elif not found:
            self.scroller.column.addWidget(
                Text("Nothing odd: no repeats, no leaks, no addresses.", "small", "text2", wrap=True)
            )
        for number, finding in enumerate(found or ()):
            if number:
                self.scroller.column.addWidget(Hairline())
            self.scroller.column.addWidget(self._row(finding))
        self.scroller.column.addStretch(1)

    def _row(self, finding: Finding) -> _Row:
        row = _Row(finding)
        if finding.fix:
            fix = row.add_link(finding.fix_text, f"{finding.fix_text}: {finding.title}")
            fix.clicked.connect(lambda: self.fix_wanted.emit(finding))
        show = row.add_link("Show", f"Show: {finding.title}")
        show.clicked.connect(lambda: self.show_wanted.emit(finding.key))
        row.links.addStretch(1)
        return row

    def _say_foot(self, summary: Summary | None) -> None:
        least = summary.figures.shortest_trained if summary and summary.figures.is_counted else 0
        self._foot_glyph.setVisible(least > 0)
        plural = "token" if least == 1 else "tokens"
        words = f"Every row that is used trains at least {figures.count(least)} {plural}."
        self._foot_words.say(words if least else "")
