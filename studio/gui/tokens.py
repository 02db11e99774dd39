"""Every colour of the window, in two sets, and the few sizes that are not Qt's. No other file names a colour."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor

SPACE = (4, 8, 12, 16, 20, 24, 28)
PAGE_MARGIN = 28
CARD_PADDING = 18
CARD_GAP = 14
CONTROL_GAP = 8
CONTROL_HEIGHT = 32
COMPACT_HEIGHT = 28
ROW_HEIGHT = 33
LIST_ROW_HEIGHT = 60
RAIL_WIDTH = 204
RAIL_FOLDED = 60
STRIP_HEIGHT = 30
RADIUS_TOKEN, RADIUS_BADGE, RADIUS_CONTROL, RADIUS_BOX, RADIUS_CARD, RADIUS_COMPOSER = 3, 5, 7, 8, 10, 12

# The parts of memory, from the bottom of a stack to its top.
KINDS = ("other", "weights", "adapter", "quantisation", "gradients", "optimizer", "activations", "logits", "cache")


@dataclass(frozen=True)
class Tokens:
    """One set of colours.

    Attributes:
        is_dark: which set.
        bg ... info: as LOOK's table names them.
        kinds: part of memory -> its fill.
        held_out: the line of held-out loss.
        overlay: colours of runs laid over each other, in order; each also has a line style of its own.
    """

    is_dark: bool
    bg: QColor
    rail: QColor
    surface: QColor
    raised: QColor
    inset: QColor
    hover: QColor
    sel: QColor
    border: QColor
    grid: QColor
    strong: QColor
    text: QColor
    text2: QColor
    text3: QColor
    accent: QColor
    accent_hover: QColor
    accent_press: QColor
    on_accent: QColor
    accent_soft: QColor
    accent_text: QColor
    warn_soft: QColor
    warn: QColor
    danger_soft: QColor
    danger: QColor
    danger_fill: QColor
    on_danger: QColor
    info_soft: QColor
    info: QColor
    kinds: dict[str, QColor]
    held_out: QColor
    overlay: tuple[QColor, ...]

    @property
    def field_edge(self) -> QColor:
        """A field's outline: the hairline, a third of the way to a control's outline."""
        return mixed(self.border, self.strong, 0.34)


def mixed(first: QColor, second: QColor, share: float) -> QColor:
    """`first`, moved by `share` (0 to 1) towards `second`."""
    blend = [
        round(a + (b - a) * share)
        for a, b in (
            (first.red(), second.red()),
            (first.green(), second.green()),
            (first.blue(), second.blue()),
        )
    ]
    return QColor(*blend)


def faded(colour: QColor, alpha: float) -> QColor:
    """The same colour, see-through (`alpha` 0 to 1)."""
    result = QColor(colour)
    result.setAlphaF(alpha)
    return result


_COLOURS: dict[str, tuple[str, str]] = {
    # token: (dark, light)
    "bg": ("#0E1113", "#F6F6F3"),
    "rail": ("#0B0D0F", "#EFEFEB"),
    "surface": ("#15191C", "#FFFFFF"),
    "raised": ("#1C2125", "#FFFFFF"),
    "inset": ("#101416", "#FAFAF8"),
    "hover": ("#1F252A", "#EFEFEB"),
    "sel": ("#1B2F2D", "#E3F1ED"),
    "border": ("#242A2F", "#E2E2DC"),
    "grid": ("#222930", "#ECECE7"),
    "strong": ("#5D6871", "#868C90"),
    "text": ("#ECEFF1", "#15191B"),
    "text2": ("#AEB7BE", "#4A5258"),
    "text3": ("#8B959D", "#646C72"),
    "accent": ("#4FC7AE", "#0A7263"),
    "accent_hover": ("#6AD8C0", "#085F53"),
    "accent_press": ("#3FB39B", "#064C42"),
    "on_accent": ("#05231C", "#FFFFFF"),
    "accent_soft": ("#12302B", "#DCF0EB"),
    "accent_text": ("#62D2BA", "#0A6B5D"),
    "warn_soft": ("#2E2412", "#FBF0D8"),
    "warn": ("#E9B156", "#855400"),
    "danger_soft": ("#351C1C", "#FBE7E5"),
    "danger": ("#F4857F", "#B02F29"),
    "danger_fill": ("#C9413A", "#B8332C"),
    "on_danger": ("#FFFFFF", "#FFFFFF"),
    "info_soft": ("#16273A", "#E4EEF9"),
    "info": ("#82B6F4", "#1D5F9F"),
    "held_out": ("#E0752A", "#C2600F"),
}

_KIND_COLOURS: dict[str, tuple[str, str]] = {
    "weights": ("#6E8093", "#71849B"),
    "adapter": ("#7CEBD0", "#2CC4AE"),
    "quantisation": ("#88A898", "#506080"),
    "gradients": ("#DCC457", "#8A7A12"),
    "optimizer": ("#7F57CB", "#5B2A8C"),
    "activations": ("#E0752A", "#EE8F2E"),
    "logits": ("#881080", "#580848"),
    "cache": ("#74C2F5", "#4AA3EE"),
    "other": ("#B2413F", "#7A2A2C"),
}

_OVERLAY = (
    ("#4FC7AE", "#E0752A", "#74C2F5", "#DCC457", "#7F57CB"),
    ("#0A7263", "#C2600F", "#4A9BE0", "#4A3A00", "#5B2A8C"),
)


def _build(side: int) -> Tokens:
    kinds = {kind: QColor(pair[side]) for kind, pair in _KIND_COLOURS.items()}
    return Tokens(
        is_dark=side == 0,
        kinds=kinds,
        overlay=tuple(map(QColor, _OVERLAY[side])),
        **{name: QColor(pair[side]) for name, pair in _COLOURS.items()},
    )


DARK = _build(0)
LIGHT = _build(1)
