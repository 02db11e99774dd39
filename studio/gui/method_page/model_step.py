"""Step 2: which model. What is known of it without loading it, what is wrong with it, and how to take another."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from studio.errors import Problem
from studio.gui.context import Context
from studio.gui.controls import Badge, Banner, Button, Card, Elided, Progress, Text
from studio.gui.figures import count, gigabytes, short_count
from studio.gui.forms import SpecForm
from studio.gui.icons import Icon
from studio.gui.method_page.forecasts import Forecasts
from studio.gui.method_page.layouts import clear
from studio.gui.models_page.downloads import downloads_of
from studio.gui.naming import model_words
from studio.models.facts import ModelFacts
from studio.spec.places import STARTER, model_path


class ModelStep(QWidget):
    """The base model.

    Signals:
        pick_wanted(): another model is to be chosen.
    """

    pick_wanted = Signal()

    def __init__(self, context: Context, forecasts: Forecasts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._forecasts = context, forecasts
        self._downloads = downloads_of(context)
        self.name = Elided("", "heading")
        self.place = Text("", "small", "text2", wrap=True)
        self.pick = Button("Choose another model…", icon=Icon.MODEL)
        self.manage = Button("All models", "quiet")
        self.get = Button("Download now", "secondary", icon=Icon.DOWNLOAD)
        self.bar = Progress(name="Download")
        self._badges = QHBoxLayout()
        self._facts = QGridLayout()
        self._problems = QVBoxLayout()
        self._form_place = QVBoxLayout()
        self.settings = Card("Settings", spacing=2)
        self.form: SpecForm | None = None
        self._lay_out()
        self._connect()

    def refresh(self, problems: tuple[Problem, ...]) -> None:
        """Show the draft's model."""
        session = self._context.session
        if session.spec is None:
            return
        source = session.spec.model.source
        self.name.say(model_words(source))
        self.pick.setText("Choose another model…" if source.strip() else "Choose a model…")
        self._show_facts(self._forecasts.facts)
        self._show_problems(problems)
        # Where the way ends here, this is what to press.
        self.pick.set_role("primary" if any(problem.is_fatal for problem in problems) else "secondary")
        self._show_download()
        if self.form is None or self.form.session is not session:
            self.form = SpecForm(session, "model")
            self._form_place.addWidget(self.form)
            for row in self.form.rows:
                row.setVisible(row.facts.is_advanced)
            self.form.unfold()
        self.form.refresh()
        assert session.project is not None
        is_local = source == STARTER or model_path(source, session.project.folder) is not None
        self.settings.setVisible(not is_local)  # only the Hub has revisions

    def _lay_out(self) -> None:
        self._badges.setSpacing(6)
        self._facts.setHorizontalSpacing(28)
        self._facts.setVerticalSpacing(10)
        card = Card(spacing=12)
        head = QHBoxLayout()
        head.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.name)
        words.addWidget(self.place)
        head.addLayout(words, 1)
        head.addWidget(self.manage)
        head.addWidget(self.pick)
        card.body.addLayout(head)
        card.body.addLayout(self._badges)
        card.body.addLayout(self._facts)
        card.body.addLayout(self._problems)
        line = QHBoxLayout()
        line.addWidget(self.bar, 1)
        line.addWidget(self.get)
        card.body.addLayout(line)
        self.settings.body.addLayout(self._form_place)
        column = QVBoxLayout()
        column.setSpacing(12)
        column.addWidget(card)
        column.addWidget(self.settings)
        column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addLayout(column, 1)

    def _connect(self) -> None:
        self.pick.clicked.connect(self.pick_wanted)
        self.manage.clicked.connect(lambda: self._context.navigate("models"))
        self.get.clicked.connect(self._on_get)
        self._downloads.changed.connect(self._on_download)
        self._downloads.finished.connect(self._on_finished)

    def _show_facts(self, facts: ModelFacts | None) -> None:
        clear(self._badges)
        clear(self._facts)
        if facts is None:
            return
        if self._context.session.facts is not None:
            self.place.say(str(facts.folder))
        self._badges.addWidget(_tokenizer_badge(facts))
        self._badges.addWidget(_template_badge(facts))
        self._badges.addStretch(1)
        for at, (title, value) in enumerate(_lines(facts)):
            column = QVBoxLayout()
            column.setSpacing(1)
            column.addWidget(Text(title, "small", "text3"))
            column.addWidget(Text(value, "body_strong"))
            self._facts.addLayout(column, at // 4, at % 4)
        for at in range(4):
            self._facts.setColumnStretch(at, 1)

    def _show_problems(self, problems: tuple[Problem, ...]) -> None:
        clear(self._problems)
        for problem in problems:
            tone = "danger" if problem.is_fatal else "warn"
            self._problems.addWidget(Banner(tone, problem.message, problem.hint))  # type: ignore[arg-type]

    def _show_download(self) -> None:
        session = self._context.session
        if session.spec is None:
            return
        source = session.spec.model.source
        is_missing = session.facts is None and not session.facts_problem and bool(source.strip())
        far = self._downloads.progress.get(source)
        self.get.setVisible(is_missing and not self._downloads.is_running(source))
        self.get.setText("Resume the download" if far is not None else "Download now")
        self.bar.setVisible(far is not None)
        self.bar.set_share(far.share if far else None)
        if far is not None:
            self.place.say(far.words(), "danger" if far.state == "failed" else "text2")
        elif is_missing:
            facts = self._forecasts.facts
            size = f" {gigabytes(facts.weight_bytes)} come over before training starts, or now." if facts else ""
            problem = self._forecasts.remote.problem
            self.place.say(f"Not on this computer yet.{size} {problem}".strip(), "warn" if problem else "text2")

    def _on_download(self, name: str) -> None:
        self._show_download()

    def _on_get(self) -> None:
        spec = self._context.session.spec
        if spec is not None:
            self._downloads.start(spec.model.source)

    def _on_finished(self, name: str) -> None:
        spec = self._context.session.spec
        if spec is not None and spec.model.source == name:
            self._context.session.read_facts_again()


def _tokenizer_badge(facts: ModelFacts) -> Badge:
    if facts.has_tokenizer:
        return Badge("Tokenizer", "good", icon=Icon.CHECK)
    return Badge("No tokenizer", "danger", icon=Icon.CLOSE)


def _template_badge(facts: ModelFacts) -> Badge:
    if facts.has_chat_template:
        return Badge("Chat template", "good", icon=Icon.CHECK)
    return Badge("No chat template: a plain one is used", "warn", icon=Icon.WARNING)


def _lines(facts: ModelFacts) -> list[tuple[str, str]]:
    """Title and value, what is not said left out."""
    lines = [
        ("Weights", short_count(facts.num_parameters)),
        ("On disk", gigabytes(facts.weight_bytes)),
        ("Context", f"{count(facts.context_length)} tokens" if facts.context_length else ""),
        ("Architecture", facts.architecture.removesuffix("ForCausalLM")),
        ("Layers", count(facts.num_layers) if facts.num_layers else ""),
        ("Width", count(facts.hidden_size) if facts.hidden_size else ""),
        ("Vocabulary", f"{count(facts.vocab_size)} tokens" if facts.vocab_size else ""),
    ]
    return [(title, value) for title, value in lines if value]
