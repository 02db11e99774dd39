"""The Playground page: two columns, one composer, and the settings beside them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from studio.gui import figures
from studio.gui.context import Context
from studio.gui.controls import Button, Choice, EmptyState, IconButton, Segment, States
from studio.gui.files import ask_file
from studio.gui.icons import Icon
from studio.gui.page import Command, PageWidget
from studio.gui.playground_page.chat import BASE, TUNED, Chat
from studio.gui.playground_page.column import ChatColumn
from studio.gui.playground_page.composer import Chips, Composer
from studio.gui.playground_page.correction_flow import CorrectionFlow
from studio.gui.playground_page.history import History
from studio.gui.playground_page.models_loaded import Models
from studio.gui.playground_page.prompt_dialog import PromptDialog
from studio.gui.playground_page.sampling_card import SamplingCard
from studio.gui.sources import Ideas, Source, find_ideas, find_sources, of_file
from studio.gui.tasks import Control
from studio.gui.theme import at_text_size, theme
from studio.project.conversations import Conversation
from studio.project.runs import Run
from studio.project.state import RunState
from studio.spec.run_spec import RunSpec
from studio.spec.sampling import Sampling

_DRAWER_BELOW, _WIDE_FROM = 1100, 1600
_SIDE_WIDTH, _SIDE_WIDE = 248, 320
_SETTLE_MS = 150


class PlaygroundPage(PageWidget):
    """The page."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Playground")
        self.chat = Chat(context.tasks, self)
        self.models = Models(context, self.chat)
        self._is_shown = self._is_looking = False
        self._is_to_load = False
        self._wanted_run = ""
        self._ideas_of = ""
        self._edited: int | None = None
        self.source = Choice(name="Which tuned model answers", placeholder="Nothing tuned yet", compact=True)
        self.recent = IconButton(Icon.RUNS, "Earlier conversations")
        self.clear = Button("Clear", "quiet", icon=Icon.UNDO)
        self.export = Button("Export", "quiet", icon=Icon.EXPORT)
        self.sides = Segment([("both", "Side by side"), ("tuned", "Tuned only")], name="Who answers")
        self.settings = IconButton(Icon.METHOD, "Sampling and system prompt")
        self.base = ChatColumn(self.chat, BASE, tone="text2", is_tuned=False)
        self.tuned = ChatColumn(self.chat, TUNED, tone="text", is_tuned=True)
        self.tuned_place = States()
        self.composer, self.chips = Composer(), Chips()
        self.sampling = SamplingCard()
        self.corrections = CorrectionFlow(context, self.chat, self.tuned, self)
        self.history = History(context, self.recent, self._on_conversation, self)
        self._settling = QTimer(self)  # who only passes by starts no process
        self._settling.setSingleShot(True)
        self._settling.setInterval(_SETTLE_MS)
        self._settling.timeout.connect(self.models.load)
        self._lay_out()
        self._connect()
        self._on_project()

    @property
    def columns(self) -> dict[str, ChatColumn]:
        """The columns by side."""
        return {BASE: self.base, TUNED: self.tuned}

    # Shown and left

    def enter(self, **arguments: object) -> None:
        """Show it; `run` (a Run or its name) or `source` (a GGUF file) says whom to talk to, `prompt` what to ask."""
        is_back, self._is_shown = not self._is_shown, True
        if isinstance(prompt := arguments.get("prompt"), str):
            self.composer.write(prompt)
        if isinstance(file := arguments.get("source"), str | Path):
            self.models.choose(of_file(Path(file)))
        if (run := arguments.get("run")) is not None:
            self._wanted_run = run.name if isinstance(run, Run) else str(run)
        if is_back or arguments:
            self.models.unload()
            self._is_to_load = True
            self._look()
        self._find_ideas()
        self.composer.box.setFocus()

    def leave(self) -> None:
        """End both processes; the words stay."""
        if self._is_shown:
            self._is_shown = False
            self._settling.stop()
            self.chat.stop()
            self.models.unload()

    def commands(self) -> list[Command]:
        return [
            Command("Answer again", self._on_again_key, "Ctrl+R", "Playground"),
            Command("Correct the last answer", self._on_correct_key, "Ctrl+E", "Playground"),
            Command("Earlier checkpoint", lambda: self.tuned.slider.move_by(-1), "[", "Playground"),
            Command("Later checkpoint", lambda: self.tuned.slider.move_by(1), "]", "Playground"),
            Command("Stop the answer", self.chat.stop, "", "Playground"),
            Command("Begin a new conversation", self._on_clear, "", "Playground"),
            Command("Show the exact prompt", self._on_prompt, "", "Playground"),
            Command("Talk to a GGUF file…", self._on_choose_file, "", "Playground"),
        ]

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_settings()

    # Laying out and wiring

    def _lay_out(self) -> None:
        for widget in (self.source, self.recent, self.settings, self.clear, self.sides, self.export):
            self.action_row.addWidget(widget)
        self.source.setMaximumWidth(220)
        self.settings.setCheckable(True)
        self.tuned_place.add("column", self.tuned)
        nothing = EmptyState(
            Icon.TRAIN,
            "Nothing tuned yet",
            "Train a run, and it answers here beside the base.",
            [("Go to Train", lambda: self.context.navigate("train"))],
        )
        self.tuned_place.add("nothing", nothing)
        columns, middle, row = QHBoxLayout(), QVBoxLayout(), QHBoxLayout()
        columns.setSpacing(12)
        columns.addWidget(self.base, 1)
        columns.addWidget(self.tuned_place, 1)
        middle.setSpacing(12)
        middle.addLayout(columns, 1)
        middle.addWidget(self.chips)
        middle.addWidget(self.composer)
        row.setSpacing(14)
        row.addLayout(middle, 1)
        row.addWidget(self.sampling)
        self.body.addLayout(row, 1)

    def _connect(self) -> None:
        theme().changed.connect(self._place_settings)
        session = self.context.session
        session.runs_changed.connect(self._on_runs)
        session.project_changed.connect(self._on_project)
        session.facts_changed.connect(self._on_facts)
        self.chat.turned.connect(self._on_turned)
        self.chat.grew.connect(self._on_grew)
        self.chat.moved.connect(self._refresh)
        self.source.chosen.connect(self._on_source)
        self.recent.clicked.connect(self.history.open)
        self.clear.clicked.connect(self._on_clear)
        self.export.clicked.connect(self._on_export)
        self.sides.chosen.connect(self._on_sides)
        self.settings.toggled.connect(self._place_settings)
        self.composer.sent.connect(self._on_sent)
        self.composer.stop_wanted.connect(self.chat.stop)
        self.composer.edit_cancelled.connect(self._on_edit_cancelled)
        self.chips.chosen.connect(self._on_sent)
        self.sampling.sampling_changed.connect(self._on_sampling)
        self.sampling.same_seed_changed.connect(self._on_same_seed)
        self.sampling.system_changed.connect(self._on_system)
        self.sampling.prompt_wanted.connect(self._on_prompt)
        for name, column in self.columns.items():
            self._connect_column(name, column)
        self.tuned.slider.settled.connect(self._on_moment)
        self.tuned.slider.valueChanged.connect(self._show_moment)

    def _connect_column(self, name: str, column: ChatColumn) -> None:
        column.edit_wanted.connect(self._on_edit)
        column.branch_wanted.connect(self.chat.branch)
        column.branch_chosen.connect(self.chat.show_branch)
        column.again_wanted.connect(lambda key: self.chat.again(key, name))
        column.version_chosen.connect(lambda key, at: self.chat.show_version(key, name, at))
        column.correct_wanted.connect(self.corrections.open)
        column.load_wanted.connect(lambda: self._on_load_again(name))
        self.chat.sides[name].rendered.connect(lambda text, count: self._show_prompt(name, text, count))

    # Which models

    def _look(self) -> None:
        """Find what can be talked to, off the window's thread."""
        session = self.context.session
        if session.project is None or self._is_looking:
            return
        self._is_looking = True
        rows = [(number, row.run, row.state) for number, row in enumerate(session.runs, 1) if not row.problem]
        self.context.tasks.run(
            _sources, rows, session.project.exports_dir, on_done=self._on_found, on_error=self._on_not_found
        )

    def _on_found(self, sources: list[Source]) -> None:
        self._is_looking = False
        had = self.models.source
        self.models.update(sources)
        if self._wanted_run:
            wanted = next((each for each in sources if each.is_run and Path(each.key).name == self._wanted_run), None)
            self._wanted_run = ""
            self.models.choose(wanted or self.models.source)
        self._show_sources()
        is_new = had is None and self.models.source is not None
        if self._is_shown and (self._is_to_load or is_new):
            self._is_to_load = False
            self._settling.start()
        self._refresh()

    def _on_not_found(self, error: Exception) -> None:
        self._is_looking = False
        self.context.tasks.faulted.emit(error)

    def _show_sources(self) -> None:
        self.source.clear()
        for source in self.models.sources:
            self.source.add(source.key, source.title)
        chosen = self.models.source
        self.source.set_chosen(chosen.key if chosen else "")
        for widget in (self.source, self.sides):
            widget.setVisible(bool(self.models.sources))
        self._place_settings()
        self.source.updateGeometry()
        self.tuned_place.show_state("column" if chosen else "nothing")
        stops = chosen.stops if chosen is not None else ()
        self.tuned.slider.set_stops(stops, stops.index(self.models.stop) if self.models.stop in stops else 0)
        self.tuned.show_slider(bool(stops))
        self._show_moment()
        self._name_columns()

    def _name_columns(self) -> None:
        source = self.models.source
        self.base.say("Before" if source else "Model", f"{self.models.base_name}, unchanged")
        is_file = source is not None and not source.is_run
        self.tuned.say("File" if is_file else "Tuned", source.title if source else "")

    def _show_moment(self) -> None:
        source = self.models.source
        stop = source.stops[self.tuned.slider.value()] if source is not None and source.stops else None
        self.tuned.say_moment(stop.title if stop else "", is_best=stop is not None and stop.is_best)

    def _on_source(self, key: str) -> None:
        self.models.choose(next((source for source in self.models.sources if source.key == key), None))
        self._show_sources()
        self.models.load()

    def _on_export(self) -> None:
        """What comes next for whoever likes what it hears."""
        source = self.models.source
        if source is not None and source.is_run:
            self.context.navigate("export", run=Path(source.key).name)

    def _on_moment(self, at: int) -> None:
        source = self.models.source
        if source is not None and source.stops:
            self.models.choose(source, source.stops[at])
            if self._is_shown:
                self.models.load_tuned()

    def _on_sides(self, key: str) -> None:
        self.models.with_base = key == "both"
        self.base.setVisible(self.models.asks_base)
        if self._is_shown:
            self.models.load_base()

    def _on_load_again(self, name: str) -> None:
        if name == BASE:
            self.models.load_base(may_download=True)
        else:
            self.models.load_tuned()

    def _on_choose_file(self) -> None:
        file = ask_file(self, "Talk to a GGUF file", "GGUF files (*.gguf)")
        if file is not None:
            self.enter(source=file)

    def _on_runs(self) -> None:
        if self._is_shown:
            self._look()

    def _on_facts(self) -> None:
        is_coming = self._is_looking or self._settling.isActive()
        if self._is_shown and self.chat.sides[BASE].state in ("off", "ended") and not is_coming:
            self.models.load_base()
        self._name_columns()

    def _on_project(self) -> None:
        self._settling.stop()
        self.models.unload()
        self.models.sources, self.models.source, self.models.stop = [], None, None
        project = self.context.session.project
        self.chat.begin(project.folder if project else None, Conversation(system=""))
        self.sampling.set_system("")
        self._ideas_of = ""
        self.chips.set_questions([])
        self._show_sources()
        self._refresh()

    # Talking

    def _on_sent(self, text: str) -> None:
        if not self.chat.active() or self.chat.is_answering:
            self.composer.write(text)
            return
        edited, self._edited = self._edited, None
        self.composer.end_edit()
        for column in self.columns.values():
            column.follow()
        if edited is None:
            self.chat.ask(text)
        else:
            self.chat.edit(edited, text)

    def _on_edit(self, key: int) -> None:
        self._edited = key
        self.composer.edit(self.chat.conversation.nodes[key].question)

    def _on_edit_cancelled(self) -> None:
        self._edited = None

    def _on_clear(self) -> None:
        self.chat.begin(self.chat.folder, Conversation(system=self.sampling.system.toPlainText()))

    def _on_conversation(self, conversation: Conversation) -> None:
        self.chat.begin(self.chat.folder, conversation)
        self.sampling.set_system(conversation.system)

    def _on_again_key(self) -> None:
        last = self.chat.conversation.last
        if last is not None and not self.chat.is_answering and (active := self.chat.active()):
            self.chat.again_all(last, active)

    def _on_correct_key(self) -> None:
        key = self.tuned.last_answered()
        if key is not None:
            self.corrections.open(key)

    def _on_sampling(self, sampling: Sampling) -> None:
        self.chat.sampling = sampling

    def _on_same_seed(self, same: bool) -> None:
        self.chat.same_seed = same

    def _on_system(self, text: str) -> None:
        self.chat.conversation.system = text

    def _on_prompt(self) -> None:
        """Ask the tuned model, or the base where there is none, for what it would read."""
        name = next((name for name in (TUNED, BASE) if self.chat.sides[name].is_loaded), None)
        if name is None:
            self.context.notify("No model is loaded", "Its template makes the prompt.")
            return
        self.chat.sides[name].render(self.chat.next_messages(name, self.composer.box.toPlainText().strip()))

    def _show_prompt(self, name: str, text: str, count: int) -> None:
        dialog = PromptDialog(text, count, "the tuned model" if name == TUNED else "the model before tuning", self)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # Showing

    def _on_turned(self) -> None:
        self.corrections.forget()
        for column in self.columns.values():
            column.rebuild()
        self._refresh()

    def _on_grew(self, name: str) -> None:
        self.columns[name].grow()

    def _refresh(self) -> None:
        """Show what the models do, and what can be done."""
        for column in self.columns.values():
            column.refresh()
        active = self.chat.active()
        self.chips.setVisible(not self.chat.conversation.nodes and bool(active))
        self.clear.setEnabled(bool(self.chat.conversation.nodes))
        self.base.setVisible(self.models.asks_base)
        words = "Write to both…" if len(active) > 1 else "Write a message…" if active else "Nothing is loaded"
        self.composer.set_state(can_send=bool(active), is_answering=self.chat.is_answering, placeholder=words)
        self.composer.say_context(self.chat.share_of_context())
        self.facts.say(self._facts())

    def _facts(self) -> str:
        if self.models.spares_card:
            return "A run trains on the card, so chat answers on the processor meanwhile."
        who = ("Nothing is loaded.", "One prompt.", "One prompt, both models.")[len(self.chat.active())]
        size = self.models.num_bytes
        return f"{who} Chat runs apart; leaving this page frees {figures.gigabytes(size)}." if size else who

    def _find_ideas(self) -> None:
        spec = self.context.session.placed_spec
        wanted = f"{spec.data.path} {spec.data.holdout} {spec.train.seed}" if spec else ""
        if spec is not None and wanted != self._ideas_of:
            self._ideas_of = wanted
            self.context.tasks.run(_ideas, spec, on_done=self._on_ideas, on_error=self._on_no_ideas)

    def _on_ideas(self, ideas: Ideas) -> None:
        self.chips.set_questions(ideas.prompts)
        self.sampling.suggest_system(ideas.system)

    def _on_no_ideas(self, error: Exception) -> None:
        self.chips.set_questions([])  # the Data page says what is wrong with the file

    def _place_settings(self) -> None:
        is_narrow = self.window().width() < at_text_size(_DRAWER_BELOW)
        self.settings.setVisible(is_narrow)
        source = self.models.source
        self.export.setVisible(not is_narrow and source is not None and source.is_run)
        self.sampling.setVisible(not is_narrow or self.settings.isChecked())
        width = _SIDE_WIDE if self.window().width() >= at_text_size(_WIDE_FROM) else _SIDE_WIDTH
        self.sampling.setFixedWidth(at_text_size(width))


def _sources(control: Control, rows: list[tuple[int, Run, RunState]], exports: Path) -> list[Source]:
    return find_sources(rows, exports)


def _ideas(control: Control, spec: RunSpec) -> Ideas:
    return find_ideas(spec)
