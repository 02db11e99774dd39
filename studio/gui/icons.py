"""The icons the window uses, by what they mean. Phosphor as qtawesome ships it, drawn as glyphs: sharp at any scale.

Its files are read, its code is not loaded: that would load twelve other sets and a layer over all bindings of Qt, a
quarter of a second of the first frame.
"""

from __future__ import annotations

import json
from enum import Enum
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPixmap


class Icon(Enum):
    """Names in the Phosphor set."""

    HOME = "house"
    DATA = "database"
    METHOD = "sliders-horizontal"
    TRAIN = "chart-line-up"
    PLAYGROUND = "chats-circle"
    EXPORT = "package"
    RUNS = "clock-counter-clockwise"
    MODEL = "cube"
    SEARCH = "magnifying-glass"
    SETTINGS = "gear-six"
    OPEN = "folder-open"
    FOLDER = "folder"
    FILE = "file"
    FILE_IN = "file-arrow-down"
    FILE_TEXT = "file-text"
    GOAL = "target"
    PLAY = "play"
    PAUSE = "pause"
    STOP = "stop"
    SAVE = "floppy-disk"
    LOG = "list-dashes"
    TRASH = "trash"
    CLOSE = "x"
    CHECK = "check"
    CHECK_CIRCLE = "check-circle"
    INFO = "info"
    WARNING = "warning"
    ERROR = "warning-circle"
    CROSS_CIRCLE = "x-circle"
    MINUS_CIRCLE = "minus-circle"
    CIRCLE = "circle"
    SPINNER = "circle-dashed"
    CARET_DOWN = "caret-down"
    CARET_UP = "caret-up"
    CARET_RIGHT = "caret-right"
    CARET_LEFT = "caret-left"
    PLUS = "plus"
    MINUS = "minus"
    FILTER = "funnel-simple"
    COLUMNS = "columns"
    EDIT = "pencil-simple"
    COPY = "copy"
    AGAIN = "arrows-clockwise"
    UNDO = "arrow-u-up-left"
    BRANCH = "git-branch"
    SEND = "paper-plane-right"
    CHAT = "chat-circle"
    LOCK = "lock-simple"
    CARD = "cpu"
    MEMORY = "stack-simple"
    DISK = "hard-drives"
    DOWNLOAD = "download-simple"
    UPLOAD = "upload-simple"
    ARCHIVE = "archive-box"
    SCISSORS = "scissors"
    CROP = "crop"
    ZOOM_OUT = "arrows-out"
    FIT = "arrows-in-line-horizontal"
    STAR = "star"
    BUG = "bug"
    WRENCH = "wrench"
    LIGHTNING = "lightning"
    CLOCK = "clock"
    LINK = "link-simple"
    EXTERNAL = "arrow-square-out"
    USER = "user"
    ROBOT = "robot"
    QUESTION = "question"
    SWAP = "arrows-left-right"
    DUPLICATES = "copy-simple"
    CARDHOLDER = "identification-card"
    EYE = "eye"
    MORE = "dots-three"
    NOTE = "note-pencil"
    HEALTH = "heartbeat"
    TEXT = "text-aa"
    COMPARE = "square-half"
    KEYBOARD = "keyboard"
    CODE = "code"
    HASH = "hash"
    FLASK = "flask"


def paint_icon(painter: QPainter, icon: Icon, rect: QRect | QRectF, colour: QColor, size: int = 16) -> None:
    """Draw an icon of `size` pixels in the middle of `rect`."""
    painter.save()
    painter.setFont(_glyph_font(size))
    painter.setPen(colour)
    painter.drawText(QRectF(rect), Qt.AlignmentFlag.AlignCenter, _glyph(icon))
    painter.restore()


def icon_pixmap(icon: Icon, size: int, colour: QColor) -> QPixmap:
    """An icon as a pixmap, made once a size, colour and screen scale: what delegates draw."""
    screen = QGuiApplication.primaryScreen()
    return _pixmap(icon, size, colour.name(QColor.NameFormat.HexArgb), screen.devicePixelRatio() if screen else 1.0)


def qicon(icon: Icon, colour: QColor, size: int = 16) -> QIcon:
    """An icon for Qt's own widgets (menus, actions, line edits)."""
    return QIcon(icon_pixmap(icon, size, colour))


@lru_cache(maxsize=512)
def _pixmap(icon: Icon, size: int, colour: str, ratio: float) -> QPixmap:
    pixmap = QPixmap(round(size * ratio), round(size * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
    paint_icon(painter, icon, QRectF(QPointF(0, 0), QPointF(size, size)), QColor(colour), size)
    painter.end()
    return pixmap


@lru_cache(maxsize=16)
def _glyph_font(size: int) -> QFont:
    made = QFont(_family())
    made.setPixelSize(size)
    made.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return made


def _glyph(icon: Icon) -> str:
    return chr(int(_codes()[icon.value], 16))


@lru_cache(maxsize=1)
def _family() -> str:
    return QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(_file("phosphor-[0-9]*.ttf"))))[0]


@lru_cache(maxsize=1)
def _codes() -> dict[str, str]:
    codes: dict[str, str] = json.loads(_file("phosphor-charmap-*.json").read_text(encoding="utf-8"))
    return codes


def _file(pattern: str) -> Path:
    package = find_spec("qtawesome")
    assert package is not None and package.origin is not None, "qtawesome is not installed"
    return next((Path(package.origin).parent / "fonts").glob(pattern))
