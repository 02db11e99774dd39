"""The window: rail, pages, strip, and what floats over them. It is a shell; pages know their own business."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QKeySequence,
    QPaintEvent,
    QResizeEvent,
    QShortcut,
)
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from studio.errors import UserError
from studio.gui import figures
from studio.gui.announcer import Announcer
from studio.gui.context import Context, ToastAction, Tone
from studio.gui.controls import ask
from studio.gui.controls.painting import antialiased
from studio.gui.drop_sheet import DropSheet
from studio.gui.dropping import Dropped, recognise
from studio.gui.faults import Faults
from studio.gui.help import show_help
from studio.gui.page import PAGES, Command, PageWidget
from studio.gui.palette import Palette
from studio.gui.projects_menu import ProjectsMenu
from studio.gui.rail import Rail
from studio.gui.shortcuts import guarded, is_bare
from studio.gui.strip import Strip
from studio.gui.theme import at_text_size, theme, tokens
from studio.gui.toasts import Toasts
from studio.gui.window_state import load_state, save_state
from studio.protocol import commands

_FOLD_BELOW = 1200


class Window(QWidget):
    """The main window.

    Signals:
        page_shown(str): another page is shown.
    """

    page_shown = Signal(str)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        context.shell = self
        self.setWindowTitle("Tunesmith")
        self.setAcceptDrops(True)
        self.setMinimumSize(1024, 680)
        self.resize(1280, 800)
        self._pages: dict[str, PageWidget] = {}
        self._page_keys: list[QShortcut] = []
        self.page_key = ""
        self.faults = Faults(self)
        self.rail, self.strip = Rail(context), Strip(context)
        self.stack = QStackedWidget()
        self._lay_out()
        self.toasts = Toasts(self)
        self.palette_view = Palette(self, self.all_commands)
        self.drop_sheet = DropSheet(self)
        self.projects_menu = ProjectsMenu(self, context)
        self.announcer = Announcer(self, context)
        self._connect()
        self._add_keys()
        self.rail.refresh()

    # What pages ask of the window

    def show_page(self, key: str, **arguments: object) -> None:
        """Show a page, built when it is first wanted."""
        page = PAGES.get(key)
        if page.needs_project and self.context.session.project is None:
            key, arguments = "home", {}
        if self.page_key and self.page_key != key:
            self._pages[self.page_key].leave()
        widget = self._pages.get(key) or self._build(key)
        self.page_key = key
        self.stack.setCurrentWidget(widget)
        self.rail.select(key)
        widget.enter(**arguments)
        self._set_page_keys(widget)
        self.page_shown.emit(key)

    def show_toast(self, text: str, detail: str, tone: Tone, action: ToastAction | None) -> None:
        """Tell something in passing."""
        self.toasts.show(text, detail, tone, action)

    def choose_project(self) -> None:
        """Ask for a project's folder and open it."""
        self.projects_menu.choose_project()

    def page(self, key: str) -> PageWidget:
        """A page's widget."""
        return self._pages.get(key) or self._build(key)

    # Opening

    def restore(self, project: Path | None = None) -> None:
        """Be where the window was last time, or open `project`."""
        state = load_state()
        if state.geometry_bytes():
            self.restoreGeometry(state.geometry_bytes())
        folder = project or (Path(state.project) if state.project else None)
        page = state.page if project is None else "home"
        if folder is not None and (project is not None or (folder / "project.yaml").is_file()):
            self.open_project(folder)
        if self.context.session.live is not None:
            page = "train"
        self.show_page(page if page in PAGES.all() else "home")

    def open_project(self, folder: Path) -> bool:
        """Open a project; what is wrong with it is told."""
        try:
            if not (folder / "project.yaml").is_file():
                what = "is no project: it has no project.yaml." if folder.is_dir() else "is not there any more."
                raise UserError(f"{folder.name} {what}", "A project's folder is where project.yaml lies.")
            self.context.session.open(folder)
        except UserError as error:
            self.faults.take(error)
            return False
        return True

    def take(self, dropped: Dropped) -> None:
        """Do with a dropped thing what it is for."""
        if dropped.kind == "project":
            if self.open_project(dropped.path):
                self.show_page("data")
        elif dropped.kind == "run":
            if self.open_project(dropped.path.parent.parent):
                self.show_page("train", run=dropped.path.name)
        elif dropped.kind == "bundle":
            self.projects_menu.open_bundle(dropped.path)
        elif dropped.kind == "gguf":
            self._with_project("playground", "home", source=str(dropped.path))
        elif dropped.kind == "model":
            self._with_project("method", "home", model=str(dropped.path))
        else:
            self._with_project("data", "home", data=str(dropped.path))

    def all_commands(self) -> list[Command]:
        """The page's commands, then the window's."""
        page = self._pages[self.page_key].commands() if self.page_key else []
        return [*page, *self._own_commands()]

    # Qt

    def paintEvent(self, event: QPaintEvent) -> None:
        antialiased(self).fillRect(QRectF(self.rect()), tokens().bg)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fold_rail()
        self.toasts.place()
        self.palette_view.place()
        self.drop_sheet.setGeometry(self.rect())

    def _fold_rail(self) -> None:
        self.rail.set_folded(self.width() < at_text_size(_FOLD_BELOW))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if len(paths) != 1:
            if paths:
                self.drop_sheet.refuse("Drop one file or folder at a time")
                event.acceptProposedAction()
            return
        event.acceptProposedAction()
        try:
            self.drop_sheet.offer(recognise(paths[0]))
        except UserError as error:
            self.drop_sheet.refuse(str(error))

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.drop_sheet.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        dropped = self.drop_sheet.offered
        self.drop_sheet.hide()
        event.acceptProposedAction()
        if dropped is not None:
            # After the drop has ended: a dialog would keep the program it comes from waiting.
            QTimer.singleShot(0, lambda: self.take(dropped))

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self._may_close():
            event.ignore()
            return
        project = self.context.session.project
        try:
            save_state(bytes(self.saveGeometry().data()), self.page_key, project.folder if project else None)
        except OSError:
            self.hide()  # a full disk must not keep the window open
        if self.page_key:
            self._pages[self.page_key].leave()
        self.context.session.close()
        self.context.machine.stop()
        self.context.tasks.close()
        self.faults.remove()
        self.announcer.close()
        event.accept()

    # Inside

    def _lay_out(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        middle = QHBoxLayout()
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addWidget(self.stack, 1)
        outer.addLayout(middle, 1)
        outer.addWidget(self.strip)

    def _connect(self) -> None:
        self.rail.page_chosen.connect(self.show_page)
        self.rail.palette_wanted.connect(self.palette_view.open)
        self.rail.projects_wanted.connect(lambda: self.projects_menu.open_at(self.rail.switcher))
        self.strip.job_clicked.connect(self.show_page)
        self.faults.told.connect(lambda text, hint: self.show_toast(text, hint, "danger", None))
        self.context.tasks.faulted.connect(self.faults.take)
        self.context.session.disturbed.connect(lambda text, hint: self.show_toast(text, hint, "warn", None))
        self.context.session.project_changed.connect(self._on_project)
        self.context.preferences_changed.connect(self._on_preferences)
        theme().changed.connect(self.update)
        theme().changed.connect(self._fold_rail)

    def _on_project(self) -> None:
        project = self.context.session.project
        self.setWindowTitle(f"{project.name} – Tunesmith" if project else "Tunesmith")
        if project is not None:
            self.context.machine.set_folder(project.folder)
        elif self.page_key and PAGES.get(self.page_key).needs_project and self.isVisible():
            self.show_page("home")

    def _on_preferences(self) -> None:
        chosen = self.context.preferences
        theme().apply(chosen.theme, text_percent=chosen.text_size, reduce_motion=chosen.reduce_motion)

    def _build(self, key: str) -> PageWidget:
        widget = PAGES.get(key).build(self.context)
        widget.setObjectName(f"page.{key}")
        self._pages[key] = widget
        self.stack.addWidget(widget)
        return widget

    def _with_project(self, key: str, otherwise: str, **arguments: object) -> None:
        self.show_page(key if self.context.session.project is not None else otherwise, **arguments)

    def _own_commands(self) -> list[Command]:
        stack = self.context.session.undo_stack
        pages = sorted(
            (page for page in PAGES.all().values() if page.order < 90 and page.is_in_rail), key=lambda p: p.order
        )
        found = [
            Command(f"Go to {page.title}", lambda key=page.key: self.show_page(key), f"Ctrl+{number}", "Page")  # type: ignore[misc]
            for number, page in enumerate(pages, 1)
        ]
        found += [
            Command("Preferences", lambda: self.show_page("preferences"), "Ctrl+,", "Page"),
            Command("Models on this computer", lambda: self.show_page("models"), "", "Page"),
            Command("New project", lambda: self.show_page("home", new=True), "Ctrl+N", "Project"),
            Command("Open project…", self.projects_menu.choose_project, "Ctrl+O", "Project"),
            Command("Open project file…", self.projects_menu.choose_bundle, "", "Project"),
        ]
        if self.context.session.project is not None:
            found.append(Command("Save as project file…", self.projects_menu.save_bundle, "", "Project"))
        undo = f"Undo {stack.undoText()}" if stack.canUndo() else "Undo"
        redo = f"Redo {stack.redoText()}" if stack.canRedo() else "Redo"
        found.append(Command(undo, stack.undo, "Ctrl+Z", "Edit"))
        found.append(Command(redo, stack.redo, "Ctrl+Shift+Z", "Edit"))
        return found

    def _add_keys(self) -> None:
        for command in self._own_commands():
            if command.key:
                self._key(command.key, command.slot)
        self._key("Ctrl+K", self.palette_view.open)
        self._key("F6", self._next_pane)
        self._key("F1", lambda: show_help(self))

    def _set_page_keys(self, widget: PageWidget) -> None:
        for shortcut in self._page_keys:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        keyed = [command for command in widget.commands() if command.key]
        self._page_keys = [self._key(command.key, command.slot) for command in keyed]

    def _key(self, key: str, slot: Callable[[], object]) -> QShortcut:
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.activated.connect(guarded(slot) if is_bare(key) else lambda: slot())
        return shortcut

    def _next_pane(self) -> None:
        panes: list[QWidget] = [self.rail, self.stack, self.strip]
        focused = self.focusWidget()
        at = next((n for n, pane in enumerate(panes) if focused is not None and pane.isAncestorOf(focused)), -1)
        for step in range(1, len(panes) + 1):
            if focus_first(panes[(at + step) % len(panes)]):
                return

    def _may_close(self) -> bool:
        live = self.context.session.live
        if live is None or live.has_ended:
            return True
        wish = self.context.preferences.on_close
        if wish == "ask":
            text = "It goes on without this window. Look in again at any time."
            if live.total and live.step:
                left = figures.duration(live.seconds_left)
                text = (
                    f"It goes on without this window: step {figures.count(live.step)} of {figures.count(live.total)}, "
                    f"{left} left. Look in again at any time."
                )
            answers = [("Cancel", "quiet"), ("Save and stop", "secondary"), ("Keep training", "primary")]
            answer = ask(self, "Training is still running", text, answers)  # type: ignore[arg-type]
            if not answer:
                return False
            wish = "stop" if answer == 1 else "keep"
        if wish == "stop":
            self.context.session.tell(live.run, commands.Stop())
        return True


def focus_first(pane: QWidget) -> bool:
    """Put the focus on the first thing in a pane that takes it."""
    for widget in pane.findChildren(QWidget):
        if widget.isVisible() and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            widget.setFocus(Qt.FocusReason.TabFocusReason)
            return True
    return False
