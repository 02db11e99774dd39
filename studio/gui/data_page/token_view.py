"""What the model sees of a row, token by token: learned, read only, special, cut off. Painted by us, line by line."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from studio.data.store.seen import MOST_TOKENS, SeenToken
from studio.gui import figures
from studio.gui.controls.painting import edge_box, fill_box
from studio.gui.controls.scroll import thin_scroll_bars
from studio.gui.data_page.token_layout import Piece, TokenLayout
from studio.gui.theme import font, theme, tokens
from studio.gui.tokens import RADIUS_TOKEN, faded, mixed

_LINE = 21
_KIND_WORDS = {"trained": "learned", "read": "read, not learned", "cut": "cut off"}


class TokenView(QAbstractScrollArea):
    """Tokens of a row. Select with the pointer or Ctrl+A, copy with Ctrl+C; a token's tool tip tells its id."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tokens: Sequence[SeenToken] = ()
        self._gaps = True
        self._layout: TokenLayout | None = None
        self._selected: tuple[int, int] | None = None
        self.setFrameShape(QFrame.Shape.NoFrame)
        thin_scroll_bars(self)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("What the model sees")
        self.viewport().setAutoFillBackground(False)
        self.viewport().setCursor(Qt.CursorShape.IBeamCursor)
        self.viewport().installEventFilter(self)
        theme().changed.connect(self._lay_out)

    def show_tokens(self, shown: Sequence[SeenToken]) -> None:
        """Show a row's tokens."""
        self._tokens, self._selected = shown, None
        self.verticalScrollBar().setValue(0)
        text = "".join(token.text for token in shown)
        self.setAccessibleDescription(f"{_counts(shown)}. {text[:4000]}")
        self._lay_out()

    def set_gaps(self, gaps: bool) -> None:
        """Show where each token ends, or running text."""
        self._gaps = gaps
        self._lay_out()

    def selected_text(self) -> str:
        """The text of the selected tokens."""
        if self._selected is None:
            return ""
        first, last = sorted(self._selected)
        return "".join(token.text for token in self._tokens[first : last + 1])

    # Qt

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.viewport() and event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            self._tell(event)
            return True
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and self._selected is not None:
            QGuiApplication.clipboard().setText(self.selected_text())
        elif event.matches(QKeySequence.StandardKey.SelectAll) and self._tokens:
            self._select(0, len(self._tokens) - 1)
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = self._token_at(event.position())
        self._selected = None if at is None else (at, at)
        self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = self._token_at(event.position())
        if at is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._select(self._selected[0] if self._selected else at, at)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._layout is None:
            return
        painter = QPainter(self.viewport())
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
        painter.setFont(font("mono"))
        offset = self.verticalScrollBar().value()
        painter.translate(1, -offset)
        visible = event.rect().translated(0, offset)
        for number in self._layout.lines(visible.top(), visible.bottom() + 1):
            for piece in self._layout.line(number):
                self._paint_piece(painter, piece, self._layout.tops[number])
        if len(self._tokens) > MOST_TOKENS:
            painter.setPen(tokens().text3)
            more = f"… and {figures.count(len(self._tokens) - MOST_TOKENS)} more tokens"
            painter.drawText(QPointF(0, self._layout.height + 16), more)
        if self.hasFocus():
            painter.resetTransform()
            edge_box(painter, QRectF(self.viewport().rect()), RADIUS_TOKEN, faded(tokens().accent, 0.6), 1)

    # Inside

    def _paint_piece(self, painter: QPainter, piece: Piece, top: float) -> None:
        token, t = self._tokens[piece.token], tokens()
        box = QRectF(piece.x, top + 2, piece.width, self._layout.line_height - 4 if self._layout else _LINE)
        ink: QColor = t.text2
        if token.kind == "cut":
            fill_box(painter, box, RADIUS_TOKEN if self._gaps else 0, t.danger_soft)
            ink = t.danger
        elif token.kind == "trained":
            fill_box(painter, box, RADIUS_TOKEN if self._gaps else 0, t.accent_soft)
            painter.fillRect(QRectF(box.left(), box.bottom() - 1.5, box.width(), 1.5), t.accent)
            ink = t.accent_text if token.is_special else t.text
        if token.is_special and self._gaps:
            ink = ink if token.kind != "read" else t.text3
            edge_box(
                painter, box, RADIUS_TOKEN, mixed(t.border, t.strong, 0.5) if token.kind != "trained" else t.accent
            )
        if self._is_selected(piece.token):
            fill_box(painter, box, 0, faded(t.accent, 0.30))
        painter.setPen(ink)
        baseline = top + (self._layout.line_height if self._layout else _LINE) * 0.69
        painter.drawText(QPointF(piece.x, baseline), piece.text)
        if token.kind == "cut":
            painter.setPen(QPen(t.danger, 1))
            painter.drawLine(QPointF(box.left(), box.center().y()), QPointF(box.right(), box.center().y()))

    def _lay_out(self) -> None:
        line = _LINE * max(1.0, theme().scale)
        width = max(60, self.viewport().width() - 4)
        self._layout = TokenLayout(self._tokens, font("mono"), width, line, self._gaps)
        more = 24 if len(self._tokens) > MOST_TOKENS else 0
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, round(self._layout.height) + more - self.viewport().height()))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(round(line))
        self.viewport().update()

    def _select(self, first: int, last: int) -> None:
        self._selected = (first, last)
        self.viewport().update()

    def _is_selected(self, token: int) -> bool:
        return self._selected is not None and min(self._selected) <= token <= max(self._selected)

    def _token_at(self, place: QPointF) -> int | None:
        return (
            self._layout.token_at(place.x() - 1, place.y() + self.verticalScrollBar().value()) if self._layout else None
        )

    def _tell(self, event: QHelpEvent) -> None:
        at = self._token_at(QPointF(event.pos()))
        if at is None:
            QToolTip.hideText()
            return
        token = self._tokens[at]
        special = ", a mark of the model's own" if token.is_special else ""
        QToolTip.showText(
            event.globalPos(), f"Token {token.id}: {token.text!r}\n{_KIND_WORDS[token.kind]}{special}", self
        )


def _counts(shown: Sequence[SeenToken]) -> str:
    kinds = [token.kind for token in shown]
    return ", ".join(f"{figures.count(kinds.count(kind))} {words}" for kind, words in _KIND_WORDS.items())  # type: ignore[arg-type]
