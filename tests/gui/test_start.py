"""The start: what is loaded before the window is there, and what the first frame costs in imports."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from studio.gui.collecting import Collector
from studio.gui.method_page.page import MethodPage
from studio.gui.page import PAGES
from studio.gui.warming import warm_up
from studio.gui.window import Window
from studio.project.folder import Project

_HEAVY = (
    *("torch", "transformers", "peft", "datasets", "pandas", "pyqtgraph", "duckdb", "llama_cpp", "pyarrow"),
    *("numpy", "jinja2", "qtpy", "keyring", "studio.planner.forecast"),  # a tenth of a second each
)

_CHILD = """
import sys
import threading
from studio.gui.app import make_application, start
application = make_application(["tunesmith"])
window = start(application)
application.processEvents()
assert window.isVisible()
print(",".join(sorted(set(sys.modules) & set(sys.argv[1].split(",")))))
window.close()
"""


def test_the_window_shows_without_anything_heavy(tmp_path: Path) -> None:
    environment = {**os.environ, "TUNESMITH_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", _CHILD, ",".join(_HEAVY)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == ""


def test_pages_are_built_in_pieces_while_nobody_waits(qtbot: QtBot, window: Window, starter_project: Project) -> None:
    warm_up(window)
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 0, timeout=60_000)
    gc.unfreeze()
    assert window.page_key == "home" and set(window._pages) == set(PAGES.all())
    method = window.page("method")
    assert isinstance(method, MethodPage) and not method._made("method")
    window.open_project(starter_project.folder)
    qtbot.waitUntil(lambda: method._made("method") and len(method.method.cards) >= 5, timeout=10_000)
    window.show_page("method")
    assert method.steps.state() == "method" and all(card.isVisibleTo(method) for card in method.method.cards.values())


def test_without_a_display_the_command_says_so(tmp_path: Path) -> None:
    hidden = {"QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["TUNESMITH_HOME"] = str(tmp_path)
    command = [sys.executable, "-m", "studio"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if sys.platform.startswith("linux"):
        assert done.returncode == 1
        assert "no display" in done.stdout


def test_qt_does_not_lose_references_to_none(qapp: object) -> None:
    """PySide6 6.12.0 on CPython 3.11 lost one for each call that returns nothing, and aborted in the end."""
    from PySide6.QtCore import QObject

    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(1000):
        thing.setObjectName("x")
    assert sys.getrefcount(None) > before - 500


def test_every_icon_is_in_the_set(qapp: object) -> None:
    from studio.gui.icons import Icon, _glyph

    assert all(_glyph(icon) for icon in Icon)


def test_rings_of_objects_are_taken_apart_in_the_windows_thread(qtbot: QtBot, qapp: QApplication) -> None:
    """One with something of Qt's in it would end the program elsewhere."""
    ends: list[threading.Thread] = []

    class Ring:
        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            ends.append(threading.current_thread())

    def make() -> None:
        for _ in range(5000):
            Ring()

    collector = Collector(qapp)
    try:
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        assert not ends
        qtbot.waitUntil(lambda: len(ends) == 5000)
    finally:
        collector.stop()
        collector.deleteLater()
    assert set(ends) == {threading.main_thread()}


def test_the_plots_library_finds_qts_classes_made() -> None:
    """Made while another thread draws, one of them takes the program down."""
    child = """
from PySide6 import QtCore, QtGui, QtWidgets
from studio.gui import qt_types
missing = lambda: sum(name not in vars(module) for module in (QtCore, QtGui, QtWidgets) for name in dir(module))
before = missing()
qt_types.make_all()
print(before > 100, missing())
"""
    said = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "0"]
