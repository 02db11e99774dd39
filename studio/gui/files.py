"""Asking for a file or a folder, and showing one in the system's own file manager."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QWidget


def ask_file(parent: QWidget, title: str, pattern: str = "All files (*)", start: Path | None = None) -> Path | None:
    """A file that exists, or None."""
    found, _ = QFileDialog.getOpenFileName(parent, title, str(start or Path.home()), pattern)
    return Path(found) if found else None


def ask_folder(parent: QWidget, title: str, start: Path | None = None) -> Path | None:
    """A folder that exists, or None."""
    found = QFileDialog.getExistingDirectory(parent, title, str(start or Path.home()))
    return Path(found) if found else None


def ask_new_file(parent: QWidget, title: str, proposal: Path, pattern: str) -> Path | None:
    """Where to write a file; the system asks before one is replaced."""
    found, _ = QFileDialog.getSaveFileName(parent, title, str(proposal), pattern)
    return Path(found) if found else None


def show_folder(folder: Path) -> None:
    """Open a folder in the file manager."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
