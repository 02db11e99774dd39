"""Where each token of a row stands: laid out once a width, so that painting touches only the lines in sight."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtGui import QFont, QFontMetricsF

from studio.data.store.seen import MOST_TOKENS, SeenToken

_GAP = 1.0
_PARAGRAPH = 6.0
BREAK = "↵"


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a token on one line: its place in the row of tokens, its words, left edge and width."""

    token: int
    text: str
    x: float
    width: float


class TokenLayout:
    """Tokens in lines of a width.

    Attributes:
        pieces: all pieces, line by line.
        starts: first piece of each line.
        tops: top of each line.
        height: of the whole.
    """

    def __init__(self, tokens: Sequence[SeenToken], font: QFont, width: float, line_height: float, gaps: bool) -> None:
        """Lay out.

        Args:
            gaps: leave a gap between tokens, so that one sees where each ends.
        """
        self.pieces: list[Piece] = []
        self.starts: list[int] = [0]
        self.tops: list[float] = [0.0]
        self.line_height = line_height
        self._metrics = QFontMetricsF(font)
        self._widths: dict[str, float] = {}
        self._width = width
        self._gap = _GAP if gaps else 0.0
        self._x = 0.0
        self._is_wrapped = False
        self._tokens = tokens[:MOST_TOKENS]
        for word in _words(self._tokens):
            self._place_word(word)
        self.height = self.tops[-1] + line_height

    def lines(self, top: float, bottom: float) -> range:
        """The lines that reach into this height."""
        first = max(0, bisect.bisect_right(self.tops, top - self.line_height))
        return range(first, bisect.bisect_left(self.tops, bottom))

    def line(self, number: int) -> list[Piece]:
        """A line's pieces."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.pieces)
        return self.pieces[self.starts[number] : end]

    def token_at(self, x: float, y: float) -> int | None:
        """The token at a place, None where there is none."""
        number = bisect.bisect_right(self.tops, y) - 1
        if number < 0:
            return None
        return next((piece.token for piece in self.line(number) if piece.x <= x < piece.x + piece.width), None)

    def _place_word(self, word: range) -> None:
        """Put the tokens of a word on one line, where it fits into one."""
        width = sum(self._advance(_shown(self._tokens[at].text)) + self._gap for at in word)
        if self._x and self._x + width > self._width >= width:
            self._break(0.0)
        for at in word:
            self._place(at)

    def _place(self, at: int) -> None:
        token = self._tokens[at]
        parts = _shown(token.text).split("\n")
        for number, part in enumerate(parts):
            is_last = number == len(parts) - 1
            shown = part if is_last else part + BREAK
            # A space that begins a line because the line before is full is not drawn: lines stay flush.
            shown = shown.removeprefix(" ") if not self._x and self._is_wrapped else shown
            if shown:
                self._put(at, shown)
            if not is_last and not self._is_head(at):
                self._break(_PARAGRAPH if at and self._tokens[at - 1].is_special else 0.0, is_wrapped=False)

    def _is_head(self, at: int) -> bool:
        """Whether a line break only ends a turn's head (mark, role, break): what is said goes on behind it."""
        return self._tokens[at].text == "\n" and at >= 2 and self._tokens[at - 2].is_special

    def _put(self, at: int, text: str) -> None:
        width = self._advance(text)
        if self._x and self._x + width > self._width:
            self._break(0.0)
        while width > self._width and len(text) > 1:  # a token longer than a line goes over several
            room = max(1, int(len(text) * self._width / width) - 1)
            self.pieces.append(Piece(at, text[:room], self._x, self._advance(text[:room])))
            text = text[room:]
            width = self._advance(text)
            self._break(0.0)
        self.pieces.append(Piece(at, text, self._x, width))
        self._x += width + self._gap

    def _break(self, extra: float, *, is_wrapped: bool = True) -> None:
        self._is_wrapped = is_wrapped
        self.starts.append(len(self.pieces))
        self.tops.append(self.tops[-1] + self.line_height + extra)
        self._x = 0.0

    def _advance(self, text: str) -> float:
        width = self._widths.get(text)
        if width is None:
            width = self._widths[text] = self._metrics.horizontalAdvance(text)
        return width


def _words(tokens: Sequence[SeenToken]) -> Iterator[range]:
    """Runs of tokens that one reads as a word: a space, a line break or a mark begins another."""
    start = 0
    for at in range(1, len(tokens)):
        before, token = tokens[at - 1], tokens[at]
        is_inside = token.text[:1].isalnum() and before.text[-1:].isalnum()
        if not is_inside or token.is_special or before.is_special:
            yield range(start, at)
            start = at
    if tokens:
        yield range(start, len(tokens))


def _shown(text: str) -> str:
    return text.replace("\t", "    ") or "·"
