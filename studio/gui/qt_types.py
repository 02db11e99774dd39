"""Qt's classes, made known to Python in the window's thread before another thread asks for them.

PySide makes each class the first time somebody names it. pyqtgraph names them all as it is imported, which is so long
that it is done on a thread; there, one time in some forty, it took the program down beside a window that draws.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator

_MODULES = ("QtCore", "QtGui", "QtWidgets", "QtSvg", "QtTest", "QtOpenGL", "QtOpenGLWidgets")
_AT_ONCE = 20


def _make() -> Iterator[None]:
    for name in _MODULES:
        try:
            module = importlib.import_module(f"PySide6.{name}")
        except ImportError:  # a system without OpenGL: pyqtgraph does without it as well
            continue
        for number, attribute in enumerate(dir(module)):
            getattr(module, attribute)
            if number % _AT_ONCE == 0:
                yield


_rest = _make()


def pieces() -> Iterator[None]:
    """Some more each time, a few milliseconds' worth, until all are there."""
    for _ in _rest:
        yield


def make_all() -> None:
    """Make what is missing now."""
    for _ in _rest:
        pass
