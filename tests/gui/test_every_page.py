"""What holds on every page: names for all that can be used, Tab reaches it, nothing is left behind by leaving."""

from __future__ import annotations

import gc
import threading
from functools import partial

import psutil
import pytest
from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from studio.gui.controls import Button
from studio.gui.page import PAGES
from studio.gui.theme import theme
from studio.gui.window import Window
from studio.project.folder import Project
from tests.gui.cut_words import cut_words

_INTERACTIVE = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
)
_ROUNDS = 50
_ALL = sorted(PAGES.all())


def _interactive(root: QWidget) -> list[QWidget]:
    found = [widget for widget in root.findChildren(QWidget) if isinstance(widget, _INTERACTIVE)]
    return [
        widget
        for widget in found
        if widget.isVisible()
        and widget.isEnabled()
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        # A spin box speaks for the line it is written in, a combo box for its list.
        and not isinstance(widget.parent(), QAbstractSpinBox | QComboBox)
    ]


def _name(widget: QWidget) -> str:
    return widget.accessibleName() or (widget.text() if isinstance(widget, QAbstractButton) else "")


def _settle(window: Window, qtbot: QtBot, project: Project) -> None:
    window.open_project(project.folder)
    qtbot.waitUntil(
        lambda: window.context.session.facts is not None and window.context.session.runs != [], timeout=20_000
    )


def _show_whole(window: Window, qtbot: QtBot, key: str) -> list[QWidget]:
    """Show a page and wait for what comes to it piece by piece; returns what can be used on it."""
    window.show_page(key)
    if key == "train":
        qtbot.waitUntil(lambda: window.page(key).states.state() == "full", timeout=30_000)  # type: ignore[attr-defined]
    seen: list[set[QWidget]] = []

    def is_still() -> bool:
        seen.append(set(_interactive(window.page(key))))
        qtbot.wait(100)
        return len(seen) > 5 and all(seen[-1] == before for before in seen[-5:])

    qtbot.waitUntil(is_still, timeout=30_000)
    return _interactive(window.page(key))


@pytest.mark.parametrize("key", _ALL)
def test_everything_that_can_be_used_has_a_name(
    window: Window, qtbot: QtBot, trained_project: Project, key: str
) -> None:
    _settle(window, qtbot, trained_project)
    assert _show_whole(window, qtbot, key)
    nameless = [f"{type(widget).__name__} {widget.geometry()}" for widget in _interactive(window) if not _name(widget)]
    assert nameless == []


@pytest.mark.parametrize("key", _ALL)
def test_tab_reaches_everything(window: Window, qtbot: QtBot, trained_project: Project, key: str) -> None:
    _settle(window, qtbot, trained_project)
    wanted = _show_whole(window, qtbot, key)
    reached = _walk(window)
    missed = [_name(widget) for widget in wanted if widget not in reached and not _stands_for(widget, reached)]
    assert missed == []


def _walk(window: Window) -> set[QWidget]:
    """Every widget that Tab comes to, once around."""
    window.activateWindow()
    reached: set[QWidget] = set()
    for _ in range(600):
        window.focusNextPrevChild(True)
        focused = QApplication.focusWidget()
        if focused is None or focused in reached:
            break
        reached.add(focused)
    return reached


def _stands_for(widget: QWidget, reached: set[QWidget]) -> bool:
    """Of a group of which one is on, Tab comes to that one; the arrows go on from there."""
    if not isinstance(widget, QAbstractButton):
        return False
    group = widget.group()
    if group is not None and group.exclusive():
        return any(button in reached for button in group.buttons())
    parent = widget.parentWidget()
    if widget.autoExclusive() and parent is not None:
        return any(isinstance(other, QAbstractButton) and other.parentWidget() is parent for other in reached)
    return False


@pytest.mark.parametrize("key", _ALL)
def test_coming_and_going_leaves_nothing(window: Window, qtbot: QtBot, trained_project: Project, key: str) -> None:
    _settle(window, qtbot, trained_project)
    other = "home" if key != "home" else "preferences"
    for _ in range(3):  # what is made once and kept
        _visit(window, qtbot, key, other)
    if key == "data":  # its import ends when it ends; only then is the library that reads rows loaded
        qtbot.waitUntil(lambda: window.context.session.row_lengths is not None, timeout=30_000)
    if key == "method":  # cards of methods that are proposed come with the forecasts, once
        window.show_page(key)
        qtbot.waitUntil(lambda: bool(window.page(key).forecasts.outlook.by_method), timeout=30_000)  # type: ignore[attr-defined]
        _visit(window, qtbot, key, other)
    if key == "train":  # a run's curves are drawn once it has been read, which a short look may not wait for
        window.show_page(key)
        qtbot.waitUntil(lambda: window.page(key).states.state() == "full", timeout=30_000)  # type: ignore[attr-defined]
        _visit(window, qtbot, key, other)
    before = _census(window, qtbot)
    for _ in range(_ROUNDS):
        _visit(window, qtbot, key, other)
    after = _census(window, qtbot)
    assert after["threads"] <= before["threads"]
    assert after["top-level widgets"] <= before["top-level widgets"]
    assert after["running timers"] <= before["running timers"]
    assert after["objects"] <= before["objects"] + 20
    assert after["megabytes"] <= before["megabytes"] + 25


def _visit(window: Window, qtbot: QtBot, key: str, other: str) -> None:
    window.show_page(key)
    qtbot.wait(10)
    window.show_page(other)
    qtbot.wait(1)


def _census(window: Window, qtbot: QtBot) -> dict[str, float]:
    """What there is. Threads of Qt's pool, which Python knows as dummies, come and go by Qt's own clock."""
    qtbot.waitUntil(lambda: not window.context.tasks.is_busy, timeout=20_000)
    qtbot.wait(200)
    gc.collect()
    objects = window.findChildren(QObject) + window.context.findChildren(QObject)
    return {
        "threads": sum(not isinstance(thread, threading._DummyThread) for thread in threading.enumerate()),
        "top-level widgets": len(QApplication.topLevelWidgets()),
        "running timers": sum(isinstance(thing, QTimer) and thing.isActive() for thing in objects),
        "objects": len(objects),
        "megabytes": psutil.Process().memory_info().rss / 1e6,
    }


@pytest.mark.parametrize(
    ("percent", "width", "height"),
    [(150, 1280, 800), (100, 1024, 680), (150, 1024, 680)],
    ids=["largest text", "least window", "both"],
)
def test_no_words_are_cut(
    window: Window, qtbot: QtBot, trained_project: Project, percent: int, width: int, height: int
) -> None:
    theme().apply("dark", text_percent=percent, reduce_motion=True)
    try:
        window.resize(width, height)
        window.open_project(trained_project.folder)
        for key in ("home", "data", "method", "train", "playground", "export", "runs", "models", "preferences"):
            window.show_page(key)
            qtbot.waitUntil(partial(_has_buttons, window.page(key)), timeout=30_000)
            qtbot.wait(300)  # what is read in the background comes

            def none_is_cut(key: str = key) -> None:
                assert cut_words(window.page(key)) == [], key

            qtbot.waitUntil(none_is_cut, timeout=3_000)
    finally:
        theme().apply("dark", reduce_motion=True)


def _has_buttons(page: QWidget) -> bool:
    return sum(each.isVisible() for each in page.findChildren(Button)) > 1
