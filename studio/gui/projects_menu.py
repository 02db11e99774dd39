"""Opening, changing and sharing projects: the switcher's menu and what stands behind its commands."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QWidget

from studio.gui import figures
from studio.gui.bundle_dialogs import ask_where, ask_with
from studio.gui.context import Context
from studio.gui.controls import Menu
from studio.gui.controls.dialogs import SHADOW
from studio.gui.files import ask_file, ask_folder, ask_new_file, show_folder
from studio.gui.icons import Icon
from studio.gui.tasks import Control
from studio.preferences import projects_folder
from studio.project import bundle_read
from studio.project.bundle_rules import Manifest
from studio.project.bundle_write import pack
from studio.project.folder import Project
from studio.project.recent import recent_projects

_SHOWN = 6
_PATTERN = "Tunesmith project files (*.tunesmith)"


class ProjectsMenu(QObject):
    """What can be done with whole projects."""

    def __init__(self, window: QWidget, context: Context) -> None:
        super().__init__(window)
        self._window, self._context = window, context

    def open_at(self, anchor: QWidget) -> None:
        """Show the menu below a widget."""
        menu = self.build()
        menu.setMinimumWidth(anchor.width() + 2 * SHADOW)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(anchor.mapToGlobal(QPoint(-SHADOW, anchor.height() - SHADOW + 4)))

    def build(self) -> Menu:
        """The menu as it stands now."""
        menu = Menu(self._window)
        open_one = self._context.session.project
        others = [recent for recent in recent_projects() if open_one is None or recent.folder != open_one.folder]
        for recent in others[:_SHOWN]:
            hint = str(recent.folder) if recent.is_there else "Folder not found"
            slot = lambda folder=recent.folder: self.open_project(folder)  # noqa: E731
            menu.add(recent.folder.name, slot, icon=Icon.FOLDER, enabled=recent.is_there, hint=hint)
        if others:
            menu.addSeparator()
        menu.add("New project", lambda: self._context.navigate("home", new=True), icon=Icon.PLUS, key="Ctrl+N")
        menu.add("Open project…", self.choose_project, icon=Icon.OPEN, key="Ctrl+O")
        menu.add("Open project file…", self.choose_bundle, icon=Icon.ARCHIVE)
        if open_one is not None:
            menu.addSeparator()
            menu.add("Save as project file…", self.save_bundle, icon=Icon.UPLOAD)
            menu.add("Show in file manager", lambda: show_folder(open_one.folder), icon=Icon.EXTERNAL)
        return menu

    def open_project(self, folder: Path) -> None:
        """Open a project and show its data; what is wrong with it is told."""
        if self._context.open_project(folder):
            self._context.navigate("data")

    def choose_project(self) -> None:
        """Ask for a project's folder and open it."""
        folder = ask_folder(self._window, "Open a project's folder", projects_folder(self._context.preferences))
        if folder is not None:
            self.open_project(folder)

    def choose_bundle(self) -> None:
        """Ask for a project file and open it."""
        path = ask_file(self._window, "Open a project file", _PATTERN)
        if path is not None:
            self.open_bundle(path)

    def open_bundle(self, path: Path) -> None:
        """List what a project file holds, ask where it goes, and unpack it there."""
        self._context.tasks.run(_inspect, path, on_done=lambda manifest: self._ask_where(path, manifest))

    def save_bundle(self) -> None:
        """Ask what travels along and where to, and write the project file."""
        project = self._context.session.project
        if project is None:
            return
        include = ask_with(self._window)
        if include is None:
            return
        proposal = project.folder.parent / f"{project.name}.tunesmith"
        path = ask_new_file(self._window, "Save as project file", proposal, _PATTERN)
        if path is not None:
            self._context.notify("Writing the project file", path.name)
            self._context.tasks.run(_pack, project, path, include, on_done=lambda size: self._on_packed(path, size))

    def _on_packed(self, path: Path, size: int) -> None:
        show = ("Show it", lambda: show_folder(path.parent))
        self._context.notify(f"Saved {path.name}, {figures.gigabytes(size)}", str(path.parent), "good", show)

    def _ask_where(self, path: Path, manifest: Manifest) -> None:
        folder = ask_where(self._window, path, manifest, projects_folder(self._context.preferences))
        if folder is not None:
            self._context.tasks.run(_unpack, path, folder, on_done=lambda _: self._on_unpacked(folder, manifest))

    def _on_unpacked(self, folder: Path, manifest: Manifest) -> None:
        self.open_project(folder)
        missing = [origin.name for origin in (manifest.model,) if origin.is_local]
        missing += [] if manifest.data.is_included else [manifest.data.name]
        if missing:
            self._context.notify("Some of it stayed with its maker", f"Choose your own: {', '.join(missing)}", "warn")


def _inspect(control: Control, path: Path) -> Manifest:
    return bundle_read.inspect(path)


def _unpack(control: Control, path: Path, folder: Path) -> Manifest:
    return bundle_read.unpack(path, folder)


def _pack(control: Control, project: Project, path: Path, include: frozenset[str]) -> int:
    pack(project, path, include=include)
    return path.stat().st_size
