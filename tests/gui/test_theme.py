"""The colours: everything that must be read can be read, and plots can be told apart by everybody."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from studio.gui.controls import Text
from studio.gui.tokens import DARK, KINDS, LIGHT, Tokens

_GROUNDS = ("bg", "rail", "surface", "raised", "inset", "hover", "sel")
_BOTH = [pytest.param(DARK, id="dark"), pytest.param(LIGHT, id="light")]


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _rgb(colour: QColor) -> tuple[float, float, float]:
    return _linear(colour.redF()), _linear(colour.greenF()), _linear(colour.blueF())


def _contrast(first: QColor, second: QColor) -> float:
    """WCAG 2.2's ratio."""
    weights = (0.2126, 0.7152, 0.0722)
    light, dark = sorted(
        (sum(w * c for w, c in zip(weights, _rgb(colour), strict=True)) for colour in (first, second)), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tokens", _BOTH)
@pytest.mark.parametrize("ink", ["text", "text2", "text3", "warn", "danger"])
def test_words_can_be_read_on_every_ground(tokens: Tokens, ink: str) -> None:
    for ground in _GROUNDS:
        assert _contrast(getattr(tokens, ink), getattr(tokens, ground)) >= 4.5, ground


@pytest.mark.parametrize("tokens", _BOTH)
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("on_accent", "accent"),
        ("on_accent", "accent_hover"),
        ("on_danger", "danger_fill"),
        ("accent_text", "accent_soft"),
        ("warn", "warn_soft"),
        ("danger", "danger_soft"),
        ("info", "info_soft"),
        ("text", "info_soft"),
        ("text", "danger_soft"),
        ("text2", "danger_soft"),
    ],
)
def test_words_can_be_read_on_fills(tokens: Tokens, ink: str, ground: str) -> None:
    assert _contrast(getattr(tokens, ink), getattr(tokens, ground)) >= 4.5


@pytest.mark.parametrize("tokens", _BOTH)
def test_outlines_of_controls_can_be_seen(tokens: Tokens) -> None:
    for ground in ("bg", "surface", "inset"):
        assert _contrast(tokens.strong, getattr(tokens, ground)) >= 3.0
        assert _contrast(tokens.accent, getattr(tokens, ground)) >= 3.0


# Machado, Oliveira and Fernandes 2009, full severity, on linear RGB.
_SIGHT = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def _seen(colour: QColor, sight: str) -> tuple[float, float, float]:
    """A colour in OKLab as somebody sees it."""
    raw = [sum(m * c for m, c in zip(row, _rgb(colour), strict=True)) for row in _SIGHT[sight]]
    r, g, b = (min(1.0, max(0.0, value)) for value in raw)
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


@pytest.mark.parametrize("tokens", _BOTH)
@pytest.mark.parametrize("sight", sorted(_SIGHT))
def test_parts_of_memory_can_be_told_apart(tokens: Tokens, sight: str) -> None:
    assert set(tokens.kinds) == set(KINDS)
    for first, second in itertools.combinations(KINDS, 2):
        distance = math.dist(_seen(tokens.kinds[first], sight), _seen(tokens.kinds[second], sight))
        assert distance >= 0.11, (first, second)


@pytest.mark.parametrize("tokens", _BOTH)
@pytest.mark.parametrize("sight", sorted(_SIGHT))
def test_overlaid_runs_can_be_told_apart(tokens: Tokens, sight: str) -> None:
    for first, second in itertools.combinations(tokens.overlay, 2):
        assert math.dist(_seen(first, sight), _seen(second, sight)) >= 0.095


def test_lines_of_plots_keep_their_width_at_every_scale() -> None:
    child = """
from PySide6.QtGui import QColor, QGuiApplication
from studio.gui.plots.pens import pen
application = QGuiApplication([])
print(pen(QColor("red")).widthF(), pen(QColor("red"), 2).widthF())
"""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": "2"}
    done = subprocess.run([sys.executable, "-c", child], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1.0", "4.0"], done.stderr


def test_a_figure_and_its_unit_stay_on_one_line(qtbot: QtBot) -> None:
    label = Text("It needs 6.8 GB, 12 % of it at once, and 3 Bears.", wrap=True)
    qtbot.addWidget(label)
    assert QLabel.text(label) == "It needs 6.8\u00a0GB, 12\u00a0% of it at once, and 3 Bears."
    assert label.text() == "It needs 6.8 GB, 12 % of it at once, and 3 Bears."
    label.say("Leave 900 kB free.")
    assert QLabel.text(label) == "Leave 900\u00a0kB free."
