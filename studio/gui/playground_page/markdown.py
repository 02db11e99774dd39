"""A model's answer as Markdown. Its words are never read as HTML, and nothing that it names is ever fetched.

While words stream, only the end of the answer is parsed and laid out anew; once it is over, the whole is, once.
"""

from __future__ import annotations

import re

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextTable,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextEdit, QVBoxLayout, QWidget

from studio.gui.controls.text import Tone
from studio.gui.theme import font, theme, tokens

_FEATURES = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
_CODE = (QTextFormat.Property.BlockCodeFence, QTextFormat.Property.BlockCodeLanguage)
_GATHER_MS = 33
_LONGEST_END = 1_200  # letters that are parsed anew at each repaint, at most, where the text has blocks at all
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)


class AnswerText(QWidget):
    """An answer, growing or finished."""

    def __init__(self, tone: Tone = "text", *, name: str = "Answer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tone, self._name = tone, name
        self._source, self._settled = "", 0
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._end = self._add()
        self._gather = QTimer(self)
        self._gather.setSingleShot(True)
        self._gather.setInterval(_GATHER_MS)
        self._gather.timeout.connect(self._on_gathered)

    @property
    def source(self) -> str:
        """The text as it came."""
        return self._source

    def shown(self) -> str:
        """What can be read, without Markdown's marks."""
        return "\n".join(view.toPlainText() for view in self.findChildren(MarkdownView) if not view.isHidden())

    def show_whole(self, text: str) -> None:
        """Show a finished answer."""
        self._gather.stop()
        self._source, self._settled = text, 0
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._end = self._add()
        self._end.show_markdown(text)

    def show_growing(self, text: str) -> None:
        """Show an answer that goes on; repaints are gathered to thirty a second."""
        self._source = text
        if not self._gather.isActive():
            self._gather.start()

    def _on_gathered(self) -> None:
        end = self._source[self._settled :]
        if len(end) > _LONGEST_END and (split := last_block(end)):
            self._end.show_markdown(end[:split])
            self._settled += split
            self._end, end = self._add(), end[split:]
        self._end.show_markdown(end)

    def _add(self) -> MarkdownView:
        view = MarkdownView(self._tone, name=self._name)
        self._layout.addWidget(view)
        return view


class _Sealed(QTextDocument):
    """A document that loads nothing, whatever its text names."""

    def loadResource(self, kind: int, name: QUrl | str) -> object:
        return QByteArray()


class MarkdownView(QTextEdit):
    """Markdown as tall as it must be; selectable, its links dead, its pictures words."""

    def __init__(self, tone: Tone = "text", *, name: str = "Answer", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tone, self._markdown = tone, ""
        self.setDocument(_Sealed(self))
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(name)
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(24)
        self._dress()
        theme().changed.connect(self._dress)

    def show_markdown(self, text: str) -> None:
        """Show this."""
        self._markdown = text
        self.document().setMarkdown(text, _FEATURES)
        block = self.document().begin()
        while block.isValid():
            _dress_block(block)
            block = block.next()
        self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the column scrolls

    def resizeEvent(self, event: object) -> None:
        super().resizeEvent(event)  # type: ignore[arg-type]
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(200, self.minimumHeight())

    def _dress(self) -> None:
        self.document().setDefaultFont(font("body"))
        palette = self.palette()
        palette.setColor(palette.ColorRole.Base, Qt.GlobalColor.transparent)
        palette.setColor(palette.ColorRole.Text, getattr(tokens(), self._tone))
        self.setPalette(palette)
        if self._markdown:
            self.show_markdown(self._markdown)

    def _fit(self) -> None:
        if self.document().textWidth() != self.viewport().width():
            self.document().setTextWidth(self.viewport().width())
        height = max(20, round(self.document().size().height() + 0.5))
        if height != self.minimumHeight():
            self.setFixedHeight(height)


def last_block(text: str) -> int:
    """Where the last block of Markdown begins: behind the last empty line that is not inside fenced code; or 0."""
    fences = [match.start() for match in _FENCE.finditer(text)]
    at = text.rfind("\n\n")
    while at >= 0 and len([fence for fence in fences if fence <= at]) % 2:  # inside code: look before its fence
        at = text.rfind("\n\n", 0, max(fence for fence in fences if fence <= at))
    return at + 2 if at >= 0 else 0


def _dress_block(block: QTextBlock) -> None:
    """Our fonts, fills and distances."""
    layout, is_code, cursor = block.blockFormat(), _is_code(block), QTextCursor(block)
    level, table = layout.headingLevel(), cursor.currentTable()
    follows_on = (is_code and _is_code(block.next())) or table is not None
    layout.setTopMargin(8 if level and block.position() else 0)
    layout.setBottomMargin(0 if follows_on else 3 if block.textList() is not None else 8)
    layout.setLineHeight(100 if is_code else 120, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
    layout.setNonBreakableLines(False)  # a long line of code is wrapped, never lost at the edge
    if is_code:
        layout.setBackground(tokens().inset)
    cursor.setBlockFormat(layout)
    if table is not None:
        _dress_table(table)
    _dress_letters(block, is_code=is_code, level=level)


def _is_code(block: QTextBlock) -> bool:
    return block.isValid() and any(block.blockFormat().hasProperty(mark) for mark in _CODE)


def _dress_table(table: QTextTable) -> None:
    layout = table.format()
    if layout.cellPadding() != 5:
        layout.setCellPadding(5)
        layout.setCellSpacing(0)
        layout.setBorderCollapse(True)
        layout.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        layout.setBorder(1)
        layout.setBorderBrush(tokens().border)
        table.setFormat(layout)


def _dress_letters(block: QTextBlock, *, is_code: bool, level: int) -> None:
    """Pictures become words; bold is the weight we ship; code is mono; headings keep to the scale."""
    fragments = []
    walker = block.begin()
    while not walker.atEnd():
        fragments.append(walker.fragment())
        walker += 1
    for fragment in reversed(fragments):
        cursor = QTextCursor(block)
        cursor.setPosition(fragment.position())
        cursor.setPosition(fragment.position() + fragment.length(), QTextCursor.MoveMode.KeepAnchor)
        letters = fragment.charFormat()
        if letters.isImageFormat():
            cursor.insertText(f"[picture: {letters.toImageFormat().name()}]", QTextCharFormat())
            continue
        is_mono = is_code or letters.fontFixedPitch()
        role = "mono" if is_mono else "heading" if 0 < level <= 2 else "item" if level else ""
        change = QTextCharFormat()
        if role:
            change.setFont(font(role), QTextCharFormat.FontPropertiesInheritanceBehavior.FontPropertiesSpecifiedOnly)
            change.setProperty(QTextFormat.Property.FontSizeAdjustment, 0)
        if is_mono and not is_code:
            change.setBackground(tokens().hover)
        if letters.fontWeight() > QFont.Weight.DemiBold.value:
            change.setFontWeight(QFont.Weight.DemiBold)
        cursor.mergeCharFormat(change)
