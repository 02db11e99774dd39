"""What the window looks like now: which set of colours, how large the type, whether things move.

Painted controls ask `tokens()` and `font()` each time they paint, so a change needs no more than a repaint.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, cast

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from studio.gui.tokens import DARK, LIGHT, Tokens, mixed
from studio.paths import resources_dir

Role = Literal[
    "display",
    "title",
    "heading",
    "item",
    "body",
    "body_strong",
    "small",
    "small_strong",
    "caption",
    "mono",
]

# Role -> family, size in pixels, weight.
_ROLES: dict[str, tuple[str, int, QFont.Weight]] = {
    "display": ("Inter Display", 26, QFont.Weight.DemiBold),
    "title": ("Inter Display", 20, QFont.Weight.DemiBold),
    "heading": ("Inter", 15, QFont.Weight.DemiBold),
    "item": ("Inter", 13, QFont.Weight.DemiBold),
    "body": ("Inter", 13, QFont.Weight.Normal),
    "body_strong": ("Inter", 13, QFont.Weight.Medium),
    "small": ("Inter", 12, QFont.Weight.Normal),
    "small_strong": ("Inter", 12, QFont.Weight.Medium),
    "caption": ("Inter", 11, QFont.Weight.Medium),
    "mono": ("JetBrains Mono", 12, QFont.Weight.Normal),
}


class Theme(QObject):
    """The look that is on.

    Signals:
        changed: colours, type size or motion are others than before; caches of painted things are stale.
    """

    changed = Signal()

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self.tokens: Tokens = DARK
        self.scale = 1.0
        self.moves = True
        self._application = application
        self._choice: str = "system"
        load_fonts()
        application.setStyle("Fusion")
        application.styleHints().colorSchemeChanged.connect(self._on_system_changed)

    def apply(self, choice: str = "system", *, text_percent: int = 100, reduce_motion: bool = False) -> None:
        """Put a look on.

        Args:
            choice: "dark", "light", or "system" to follow it.
            text_percent: the size of all type, 100 being the usual.
            reduce_motion: nothing moves, all changes are at once.
        """
        self._choice = choice
        self.scale = text_percent / 100
        self.moves = not reduce_motion
        self.tokens = self._chosen()
        _font.cache_clear()
        self._application.setPalette(_palette(self.tokens))
        self._application.setFont(font("body"))
        for widget in self._application.topLevelWidgets():
            widget.update()
        self.changed.emit()

    def _on_system_changed(self) -> None:
        if self._choice == "system":
            self.apply("system", text_percent=round(self.scale * 100), reduce_motion=not self.moves)

    def _chosen(self) -> Tokens:
        if self._choice == "system":
            is_light = self._application.styleHints().colorScheme() == Qt.ColorScheme.Light
            return LIGHT if is_light else DARK
        return DARK if self._choice == "dark" else LIGHT


def at_text_size(pixels: int) -> int:
    """A width of the layout (a side panel, or where the layout changes): half as much wider as the text is larger."""
    return round(pixels * (1 + max(1.0, theme().scale)) / 2)


def icon_size(pixels: int = 16) -> int:
    """An icon beside words: as much larger as they are."""
    return round(pixels * max(1.0, theme().scale))


def theme() -> Theme:
    """The running application's look."""
    found = cast(QApplication, QApplication.instance()).findChild(Theme)
    assert found is not None, "the application has no Theme yet"
    return found


def tokens() -> Tokens:
    """The colours that are on."""
    return theme().tokens


def font(role: Role | str) -> QFont:
    """The font of a role, at the chosen text size, figures all of one width."""
    return _font(role, theme().scale)


def load_fonts() -> None:
    """Make the bundled families known to Qt; the system's fonts stay the fallback for other scripts."""
    for path in sorted((resources_dir() / "fonts").glob("*.[ot]tf")):
        QFontDatabase.addApplicationFont(str(path))


@lru_cache(maxsize=64)
def _font(role: str, scale: float) -> QFont:
    family, size, weight = _ROLES[role]
    made = QFont([family, "Inter", "sans-serif"] if family != "JetBrains Mono" else [family, "monospace"])
    made.setPixelSize(max(8, round(size * scale)))
    made.setWeight(weight)
    made.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    made.setFeature(QFont.Tag("tnum"), 1)
    if role == "mono":
        # Ligatures would draw <|im_start|> as one sign: the tokens shown must be the tokens read.
        made.setFeature(QFont.Tag("calt"), 0)
        made.setFeature(QFont.Tag("liga"), 0)
    return made


def _palette(t: Tokens) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for name, colour in {
        role.Window: t.bg,
        role.WindowText: t.text,
        role.Base: t.inset,
        role.AlternateBase: t.surface,
        role.Text: t.text,
        role.Button: t.raised,
        role.ButtonText: t.text,
        role.BrightText: t.danger,
        role.Highlight: t.accent,
        role.HighlightedText: t.on_accent,
        role.Link: t.accent_text,
        role.LinkVisited: t.accent_text,
        role.PlaceholderText: t.text3,
        role.ToolTipBase: t.raised,
        role.ToolTipText: t.text,
        role.Light: t.border,
        role.Midlight: t.border,
        role.Mid: t.border,
        role.Dark: t.border,
        role.Shadow: t.border,
        role.Accent: t.accent,
    }.items():
        palette.setColor(name, colour)
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, mixed(t.text3, t.bg, 0.25))
    return palette
