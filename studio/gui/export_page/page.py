"""The Export page: a tuned model, what as, which types, where to; then how far, and what each file is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from studio.errors import Cancelled, UserError
from studio.export.exports import Exported, list_exports
from studio.export.forecast import Survey, survey
from studio.export.target import TARGETS
from studio.gui import figures
from studio.gui.context import Activity, Context
from studio.gui.controls import (
    Button,
    Card,
    Check,
    Choice,
    EmptyState,
    ErrorState,
    Hairline,
    ScrollColumn,
    States,
    Text,
)
from studio.gui.controls.surfaces import ANY_SIZE
from studio.gui.export_page.disk_card import DiskCard
from studio.gui.export_page.export_run import ExportRun
from studio.gui.export_page.exports_card import ExportsCard
from studio.gui.export_page.progress_card import ProgressCard
from studio.gui.export_page.target_cards import TargetCards
from studio.gui.export_page.types_table import NOT_MADE, NUM_TYPES, TypesModel, TypesTable
from studio.gui.export_page.verification import VerificationCard
from studio.gui.files import ask_folder, show_folder
from studio.gui.icons import Icon
from studio.gui.page import Command, PageWidget
from studio.gui.sources import Source, Stop, find_sources
from studio.gui.tasks import Control, Task
from studio.gui.theme import at_text_size, theme
from studio.project.jobs import WorkerFailed
from studio.project.runs import Run
from studio.project.state import RunState
from studio.project.tuned import find_tuned

_SIDE_NARROW, _SIDE_WIDTH, _SIDE_WIDE = 296, 332, 400
_PLAIN, _BELOW, _TYPES, _REPORT = 132, 172, 260, 340
_LEAST_WIDTH = 820  # for the verification beside the rest, at the usual size of text
_NARROW_BELOW, _WIDE_FROM, _LOW_BELOW, _TALL_FROM = 1100, 1600, 740, 1000


class ExportPage(PageWidget):
    """The page."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Export")
        self.source, self.moment = Choice(name="Which run", compact=True), Choice(name="Which moment", compact=True)
        self.start = Button("Export", "primary", icon=Icon.EXPORT)
        self.targets, self.types = TargetCards(), TypesModel()
        self.table = TypesTable(self.types)
        self.not_made = Text(NOT_MADE, "small", "text3", wrap=True)
        self.plain = Text("", "body", "text2", wrap=True)
        self.kinds, self.below = States(), States()
        self.types_foot, self.plain_foot = QHBoxLayout(), QHBoxLayout()
        self.disk, self.checks = DiskCard(), Check("Check each file against the tuned model")
        self.all_types = Button(f"All {NUM_TYPES} types", "quiet", icon=Icon.CARET_DOWN, compact=True)
        self.progress, self.exports = ProgressCard(), ExportsCard()
        self.verification = VerificationCard()
        self.states = States()
        self.error = ErrorState()
        self.run: ExportRun | None = None
        self.survey: Survey | None = None
        self.folder: Path | None = None
        self._sources: list[Source] = []
        self._wanted_run, self._made = "", ""
        self._looking: Task | None = None
        self._has_chosen_list = False
        self._lay_out()
        self._connect()
        self._refresh()

    # Shown

    def enter(self, **arguments: object) -> None:
        """Show it; `run` (a Run or its name) says what to export."""
        if (run := arguments.get("run")) is not None:
            self._wanted_run = run.name if isinstance(run, Run) else str(run)
        self._look()
        self._list_exports()

    def commands(self) -> list[Command]:
        return [
            Command("Export", self._on_start, "Ctrl+Return", "Export"),
            Command("Open the exports' folder", self._on_exports_folder, "", "Export"),
            Command("Write into another folder…", self._on_folder, "", "Export"),
        ]

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        is_narrow = self.width() < _LEAST_WIDTH * theme().scale
        self._row.setDirection(QBoxLayout.Direction.TopToBottom if is_narrow else QBoxLayout.Direction.LeftToRight)
        self._scroll.set_fits(not is_narrow)  # one below the other all have the height they need
        self._fit_kinds(is_narrow=is_narrow)
        self.verification.setMinimumHeight(round(_REPORT * theme().scale) if is_narrow else 0)
        self.targets.set_compact(not is_narrow and self.window().height() < at_text_size(_LOW_BELOW))
        if is_narrow:
            self.verification.setMinimumWidth(0)
            self.verification.setMaximumWidth(ANY_SIZE)
        else:
            self.verification.setFixedWidth(at_text_size(self._side_width()))
        if not self._has_chosen_list:
            self.all_types.setChecked(self.window().height() >= _TALL_FROM)

    def _fit_kinds(self, *, is_narrow: bool) -> None:
        """The room goes to what has rows: the types, or where there are none to choose from, what was exported."""
        has_types, scale = TARGETS.get(self.targets.chosen_key()).is_verified, theme().scale
        self.kinds.setMinimumHeight(round(_TYPES * scale) if is_narrow and has_types else 0)
        self.kinds.setMaximumHeight(ANY_SIZE if has_types else round(_PLAIN * scale))
        self.below.setMinimumHeight(at_text_size(_BELOW))
        self.below.setMaximumHeight(at_text_size(_BELOW) if has_types else ANY_SIZE)

    def _side_width(self) -> int:
        width = self.window().width()
        if width >= at_text_size(_WIDE_FROM):
            return _SIDE_WIDE
        return _SIDE_NARROW if width < at_text_size(_NARROW_BELOW) else _SIDE_WIDTH

    # Laying out and wiring

    def _lay_out(self) -> None:
        for widget in (self.source, self.moment, self.start):
            self.action_row.addWidget(widget)
        left, row = QVBoxLayout(), QBoxLayout(QBoxLayout.Direction.LeftToRight)
        row.setSpacing(14)
        self._row, self._scroll = row, ScrollColumn()
        self._scroll.column.addLayout(row)
        left.setSpacing(12)
        left.addWidget(self.targets)
        self.kinds.add("types", self._types_card())
        self.kinds.add("plain", self._plain_card())
        left.addWidget(self.kinds, 3)
        left.addWidget(self.disk)
        self.below.add("exports", self.exports)
        self.below.add("progress", self.progress)
        left.addWidget(self.below, 2)
        row.addLayout(left, 1)
        row.addWidget(self.verification)
        self.checks.setChecked(True)
        self.checks.setToolTip("llama.cpp reads each GGUF file, and its words are compared with the tuned model's")
        self.states.add("empty", self._empty())
        self.states.add("error", self.error)
        self.states.add("full", self._scroll)
        self.body.addWidget(self.states, 1)

    def _types_card(self) -> Card:
        card = Card(padding=4, spacing=0)
        card.body.addWidget(self.table, 1)
        self.not_made.setContentsMargins(16, 4, 16, 6)
        self.not_made.hide()
        card.body.addWidget(self.not_made)
        self.types_foot.setContentsMargins(16, 4, 12, 6)
        self.all_types.setCheckable(True)
        self.types_foot.addWidget(self.all_types)
        self.types_foot.addStretch(1)
        card.body.addWidget(Hairline())
        card.body.addLayout(self.types_foot)
        return card

    def _plain_card(self) -> Card:
        card = Card("What it makes")
        card.body.addWidget(self.plain)
        card.body.addStretch(1)
        self.plain_foot.addStretch(1)
        card.body.addLayout(self.plain_foot)
        return card

    def _empty(self) -> EmptyState:
        return EmptyState(
            Icon.EXPORT,
            "Train or open a run first",
            "What was trained is exported as a file for llama.cpp, Ollama and LM Studio, as a merged model, or alone.",
            [
                ("Go to Train", lambda: self.context.navigate("train")),
                ("Go to Home", lambda: self.context.navigate("home")),
            ],
        )

    def _connect(self) -> None:
        theme().changed.connect(self._fit)
        self.context.session.runs_changed.connect(self._on_runs)
        self.context.session.project_changed.connect(self._on_project)
        self.context.machine.changed.connect(self._show_need)
        self.source.chosen.connect(self._on_source)
        self.moment.chosen.connect(lambda _: self._survey())
        self.targets.chosen.connect(self._on_target)
        self.types.ticked.connect(self._on_choice)
        self.targets.chosen.connect(self._on_choice)
        self.all_types.toggled.connect(self._on_all_types)
        self.all_types.clicked.connect(self._on_list_chosen)
        self.disk.folder_wanted.connect(self._on_folder)
        self.start.clicked.connect(self._on_start)
        self.progress.cancel_wanted.connect(self._on_cancel)
        self.exports.chosen.connect(self._on_exported)
        self.verification.chat_wanted.connect(lambda path: self.context.navigate("playground", source=str(path)))
        self.verification.folder_wanted.connect(lambda path: show_folder(path.parent))

    # What can be exported

    def _on_project(self) -> None:
        self.survey, self.folder, self._sources, self._wanted_run = None, None, [], ""
        self.exports.show_files([])
        self.verification.show_nothing()
        self._refresh()

    def _on_runs(self) -> None:
        if self.isVisible():
            self._look()

    def _look(self) -> None:
        session = self.context.session
        if session.project is None or self._looking is not None:
            return
        rows = [(number, row.run, row.state) for number, row in enumerate(session.runs, 1) if not row.problem]
        self._looking = self.context.tasks.run(
            _find, rows, session.project.exports_dir, on_done=self._on_found, on_error=self._on_not_found
        )

    def _on_found(self, sources: list[Source]) -> None:
        self._looking = None
        before, moment = self.source.chosen_key(), self.moment.chosen_key()
        changed = sources != self._sources
        self._sources = sources
        wanted = next((each.key for each in sources if Path(each.key).name == self._wanted_run), "")
        self._wanted_run = ""
        key = wanted or before or (sources[0].key if sources else "")
        if changed:
            self.source.clear()
            for source in sources:
                self.source.add(source.key, source.title)
        if changed or key != before:
            self.source.set_chosen(key)
            self._show_moments(moment if key == before else "")
            self._survey()
        self._refresh()

    def _on_not_found(self, error: Exception) -> None:
        self._looking = None
        self.context.tasks.faulted.emit(error)

    def _on_source(self, key: str) -> None:
        self._show_moments("")
        self._survey()

    def _show_moments(self, key: str) -> None:
        self.moment.clear()
        source = self._source()
        for stop in reversed(source.stops if source is not None else ()):
            self.moment.add(str(stop.step), f"{stop.title}{' (best)' if stop.is_best else ''}")
        self.moment.set_chosen(key)
        if self.moment.currentIndex() < 0 and self.moment.count():
            self.moment.setCurrentIndex(0)
        self.moment.updateGeometry()

    def _source(self) -> Source | None:
        return next((source for source in self._sources if source.key == self.source.chosen_key()), None)

    def _stop(self) -> Stop | None:
        source = self._source()
        stops = source.stops if source is not None else ()
        return next((stop for stop in stops if str(stop.step) == self.moment.chosen_key()), None)

    def _survey(self) -> None:
        """Forecast everything that the chosen model could become, off the window's thread."""
        source, stop, project = self._source(), self._stop(), self.context.session.project
        if source is None or stop is None or project is None:
            return
        folder = self.folder or project.exports_dir
        self.context.tasks.run(
            _survey, source.key, stop.step, folder, on_done=self._on_surveyed, on_error=self._on_no_survey
        )

    def _on_surveyed(self, found: Survey) -> None:
        self.survey = found
        self.types.set_sizes(found.types)
        self.targets.say(found.targets)
        self.error.say("", "")
        self._on_target(self.targets.chosen_key())

    def _on_no_survey(self, error: Exception) -> None:
        self.survey = None
        if not isinstance(error, UserError | OSError):
            self.context.tasks.faulted.emit(error)
        text = f"{error.message} {error.hint}".strip() if isinstance(error, UserError) else str(error)
        ways = [("Look again", self._survey), ("Go to Models", lambda: self.context.navigate("models"))]
        self.error.say("This run cannot be exported", text, ways)
        self._refresh()

    # What as, and where to

    def _on_target(self, key: str) -> None:
        target = TARGETS.get(key)
        self.kinds.show_state("types" if target.is_verified else "plain")
        self._fit()
        foot = self.types_foot if target.is_verified else self.plain_foot
        foot.addWidget(self.checks)  # it is one box, wherever the target's choices are
        self.checks.setVisible(target.is_verified or target.needs_base)
        self._say_unchecked()
        forecast = self.survey.targets.get(key) if self.survey is not None else None
        size = f" About {figures.gigabytes(forecast.num_bytes)}." if forecast is not None and forecast.num_bytes else ""
        self.plain.say(f"{target.summary}{size}")
        self._refresh()

    def _say_unchecked(self) -> None:
        """Say what the check will be, where none can be shown."""
        if self.run is None and self.verification.exported is None:
            target = TARGETS.get(self.targets.chosen_key())
            self.verification.show_nothing(can_check=target.is_verified or target.needs_base)

    def _on_choice(self, *_: object) -> None:
        self._made = ""  # what comes next is another export, not the chat with the last one
        self._refresh()

    def _on_list_chosen(self) -> None:
        self._has_chosen_list = True

    def _on_all_types(self, is_on: bool) -> None:
        self.types.show_all(is_on)
        self.not_made.setVisible(is_on)
        self.all_types.setText("Common types" if is_on else f"All {NUM_TYPES} types")
        self.all_types.set_glyph(Icon.CARET_UP if is_on else Icon.CARET_DOWN)

    def _parts(self) -> list[tuple[str, int]]:
        """Name and bytes of what would be made."""
        target = TARGETS.get(self.targets.chosen_key())
        if target.is_verified:
            return [(name, self.types.size(name)) for name in self.types.in_order()]
        forecast = self.survey.targets.get(target.key) if self.survey is not None else None
        return [(target.title, forecast.num_bytes if forecast is not None else 0)]

    def _on_folder(self) -> None:
        project = self.context.session.project
        chosen = ask_folder(self, "Export into", self.folder or (project.folder if project else None))
        if chosen is not None:
            self.folder = chosen
            self._survey()

    def _on_exports_folder(self) -> None:
        project = self.context.session.project
        folder = self.folder or (project.exports_dir if project else None)
        if folder is not None and folder.is_dir():
            show_folder(folder)
        else:
            self.context.notify("There are no exports yet")

    # Exporting

    def _on_start(self) -> None:
        source, stop = self._source(), self._stop()
        if not self.start.isEnabled() or source is None or stop is None:
            return
        target = TARGETS.get(self.targets.chosen_key())
        arguments: dict[str, Any] = {
            "source": source.key,
            "to": target.key,
            "quant": ",".join(self.types.in_order()),
            "out": str(self.folder) if self.folder else None,
            "checkpoint": stop.step,
            "is_checked": self.checks.isChecked(),
        }
        self.run = ExportRun(self.context.tasks, arguments, self)
        self.run.changed.connect(self._on_progress)
        self.run.ended.connect(self._on_ended)
        self.types.lock(True)
        self.verification.show_busy("After the files are written")
        self._on_progress()
        self._refresh()
        self.progress.cancel.setFocus()

    def _on_cancel(self) -> None:
        if self.run is not None:
            self.run.cancel()

    def _on_progress(self) -> None:
        if self.run is not None:
            self.progress.show_run(self.run)
            current = self.run.current
            name = current.path.name if current is not None else ""
            self.context.show_activity(Activity("export", self.run.phase.split(" ")[0], name, self.run.share))

    def _on_ended(self, files: list[dict[str, Any]], error: Exception | None) -> None:
        run, self.run = self.run, None
        self.context.show_activity(None)
        self.types.lock(False)
        if run is not None:
            for notice in run.notices:
                self.context.notify(notice, tone="warn")
            run.deleteLater()
        self._made = Path(files[0]["path"]).name if files else ""
        self._tell_end(files, error)
        self._refresh()
        self._list_exports()

    def _tell_end(self, files: list[dict[str, Any]], error: Exception | None) -> None:
        if isinstance(error, Cancelled):
            self.context.notify("Export cancelled", "What was finished before is kept; nothing is half-made.")
        elif isinstance(error, UserError):
            self.context.notify(error.message, error.hint, "danger")
        elif isinstance(error, WorkerFailed):
            self.context.notify("The export ended", f"{error.message} What was finished before is kept.", "danger")
        elif error is not None:
            self.context.tasks.faulted.emit(error)
        else:
            failed = [file for file in files if file["report"] and not file["report"]["passed"]]
            words, made = "The export is done", [Path(file["path"]).name for file in files]
            what = made[0] if len(made) == 1 else f"{len(made)} files"
            action = ("Open folder", lambda: show_folder(Path(files[0]["path"]).parent))
            if failed:
                self.context.notify(f"{words}, {len(failed)} failed the check", what, "warn", action)
            else:
                self.context.notify(words, what, "good", action)

    # What was exported

    def _list_exports(self) -> None:
        project = self.context.session.project
        if project is not None:
            self.context.tasks.run(_list, self.folder or project.exports_dir, on_done=self._on_listed)

    def _on_listed(self, files: list[Exported]) -> None:
        self.exports.show_files(files, self._made)
        if not files and self.run is None:
            self.verification.exported = None
            self._say_unchecked()

    def _on_exported(self, exported: Exported) -> None:
        if self.run is None:
            self.verification.show_exported(exported)
            self._refresh()
            if exported.path.name == self._made:
                self._scroll.ensureWidgetVisible(self.verification)

    # Showing

    def _refresh(self) -> None:
        has_run = bool([source for source in self._sources if source.is_run])
        self.states.show_state("empty" if not has_run else "error" if self.error.title.text() else "full")
        for widget in (self.source, self.moment, self.start):
            widget.setVisible(has_run)
        self.below.show_state("progress" if self.run is not None else "exports")
        self._show_need()
        parts = self._parts()
        self.start.setText(self._verb(len(parts)))
        exported = self.verification.exported
        is_new = exported is not None and exported.can_chat and exported.path.name == self._made
        self.start.set_role("secondary" if is_new else "primary")
        self.verification.chat.set_role("primary" if is_new else "secondary")
        is_ready = self.survey is not None and bool(parts) and not self.disk.missing and self.run is None
        self.start.setEnabled(is_ready)
        self.start.setToolTip("" if is_ready else self._reason(parts))
        choosers: tuple[QWidget, ...] = (self.source, self.moment, self.targets, self.disk.other, self.checks)
        for chooser in choosers:
            chooser.setEnabled(self.run is None)
        self.facts.say(self._facts() if has_run else "")

    def _verb(self, parts: int) -> str:
        """'Export 2 files', 'Export the merged model'."""
        target = TARGETS.get(self.targets.chosen_key())
        if not target.is_verified:
            title = target.title
            return f"Export the {title if title[:2].isupper() else title[:1].lower() + title[1:]}"
        return f"Export {parts} {'file' if parts == 1 else 'files'}" if parts else "Export"

    def _reason(self, parts: list[tuple[str, int]]) -> str:
        if self.run is not None:
            return "An export is on its way."
        if not parts:
            return "Tick a type first."
        return "It does not fit on the disk." if self.disk.missing else "The sizes are being worked out."

    def _facts(self) -> str:
        source, stop = self._source(), self._stop()
        if source is None or stop is None:
            return ""
        place = f"into {self.folder}" if self.folder is not None else "into the project's exports"
        return f"From {source.title}, step {stop.at:,}, {place}."

    def _show_need(self) -> None:
        found, project = self.survey, self.context.session.project
        if project is None:
            return
        parts = self._parts() if found is not None else []
        resources = self.context.machine.resources
        free = found.disk_free if found is not None else 0
        if found is not None and resources is not None and self.folder is None:
            free = resources.disk_free  # fresher: it is looked at every two seconds
        total = found.disk_total if found is not None else 0
        self.disk.show_need(self.folder or project.exports_dir, parts, free, total)


def _find(control: Control, rows: list[tuple[int, Run, RunState]], exports: Path) -> list[Source]:
    return [source for source in find_sources(rows, exports) if source.is_run]


def _survey(control: Control, source: str, step: int | None, folder: Path) -> Survey:
    return survey(find_tuned(source, checkpoint=step), folder)


def _list(control: Control, folder: Path) -> list[Exported]:
    return list_exports(folder)
