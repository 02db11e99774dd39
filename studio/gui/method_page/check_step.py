"""Step 6: everything that is wrong or worth knowing, each with the way to it; and what will happen."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from studio.errors import Problem
from studio.gui.context import Context
from studio.gui.controls import Banner, Card, Elided, ScrollColumn, Text
from studio.gui.controls.messages import BannerTone
from studio.gui.figures import UNKNOWN, count, duration, gigabytes, rate
from studio.gui.method_page.forecasts import Forecasts
from studio.gui.method_page.layouts import clear
from studio.gui.method_page.plan import PlanColumn
from studio.gui.naming import model_words
from studio.methods import METHODS
from studio.optimizers import OPTIMIZERS
from studio.planner.forecast import Forecast
from studio.sizes import counted
from studio.spec.check import resolve
from studio.spec.goals import GOALS
from studio.spec.run_spec import RunSpec


class CheckStep(QWidget):
    """Problems and a summary.

    Signals:
        led(str): the path of the setting to go to.
    """

    led = Signal(str)

    def __init__(self, context: Context, forecasts: Forecasts, plan: PlanColumn, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context, self._forecasts, self.plan = context, forecasts, plan
        self._problems = QVBoxLayout()
        self._problems.setSpacing(8)
        self._shown: tuple[object, ...] = ()
        self._lines = QGridLayout()
        self._lines.setHorizontalSpacing(24)
        self._lines.setVerticalSpacing(8)
        self._lines.setColumnStretch(1, 1)
        summary = Card("This run")
        summary.body.addLayout(self._lines)
        scroll = ScrollColumn(spacing=12, margins=(0, 0, 8, 0))
        scroll.column.addLayout(self._problems)
        scroll.column.addWidget(summary)
        scroll.column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(16)
        row.addWidget(scroll, 57)
        row.addWidget(plan, 43)

    def refresh(self, problems: tuple[Problem, ...], shortage: str, *, is_overridden: bool) -> None:
        """Show what is wrong, worth knowing, and to come."""
        spec = self._context.session.spec
        if spec is None:
            return
        shown = (problems, shortage, is_overridden)
        if shown != self._shown:
            self._shown = shown
            self._show_problems(problems, shortage, is_overridden=is_overridden)
        self._show_summary(spec)

    def _show_problems(self, problems: tuple[Problem, ...], shortage: str, *, is_overridden: bool) -> None:
        clear(self._problems)
        for at, problem in enumerate(sorted(problems, key=lambda found: not found.is_fatal)):
            self._add(problem, is_first=at == 0)
        if shortage:
            tone: BannerTone = "warn" if is_overridden else "danger"
            words = "You chose to try anyway; the run keeps a note of it." if is_overridden else "Give something up."
            action = ("Methods", lambda: self.led.emit("method.key"))
            self._problems.addWidget(Banner(tone, shortage, words, [action], leads=not problems and not is_overridden))
        elif not problems:
            self._problems.addWidget(Banner("good", "Nothing is in the way", "Everything was checked."))

    def _add(self, problem: Problem, *, is_first: bool) -> None:
        action = ("Change it", lambda path=problem.path: self.led.emit(path))
        tone: BannerTone = "danger" if problem.is_fatal else "warn"
        leads = is_first and problem.is_fatal  # one button is the one to press, the foot's where nothing is in the way
        self._problems.addWidget(Banner(tone, problem.message, problem.hint, [action], leads=leads))

    def _num_rows(self) -> int | None:
        rows = self._forecasts.rows
        return self._context.session.num_rows or (rows.count if rows else None)

    def _show_summary(self, spec: RunSpec) -> None:
        clear(self._lines)
        for at, (title, value) in enumerate(summary_lines(spec, self._forecasts.chosen, self._num_rows())):
            self._lines.addWidget(Text(title, "body", "text2"), at, 0, Qt.AlignmentFlag.AlignTop)
            has_spaces = title not in ("Model", "Rows")  # names, which break nowhere
            self._lines.addWidget(
                Text(value, "body_strong", wrap=True) if has_spaces else Elided(value, "body_strong"), at, 1
            )


def summary_lines(spec: RunSpec, forecast: Forecast | None, num_rows: int | None) -> list[tuple[str, str]]:
    """What a run will do, title and value."""
    resolved = resolve(spec)
    train = resolved.train
    batch = train.batch_size * train.accumulation
    steps = train.steps or (forecast.steps if forecast else 0)
    length = counted(steps, "step") if steps else counted(train.epochs, "epoch")
    rows = spec.data.path.rpartition("/")[2] or "none"
    return [
        ("Goal", GOALS[spec.goal.kind].title if spec.goal.kind else "not said"),
        ("Model", model_words(spec.model.source)),
        ("Rows", f"{rows}, {counted(num_rows, 'row')}" if num_rows is not None else rows),
        ("Method", METHODS.get(spec.method.key).title),
        ("Optimizer", f"{OPTIMIZERS.get(spec.optimizer.key).title}, rate {rate(train.learning_rate or 0)}"),
        ("Length", f"{length}, {counted(batch, 'row')} a step, rows up to {count(train.max_length)} tokens"),
        ("Time", _time(forecast)),
        ("Disk", gigabytes(forecast.disk_bytes) if forecast else UNKNOWN),
    ]


def _time(forecast: Forecast | None) -> str:
    if forecast is None or forecast.run_seconds is None:
        return f"{UNKNOWN}; measured in the first minute"
    return f"about {duration(forecast.run_seconds)}"
