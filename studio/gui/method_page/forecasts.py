"""What every method would take on this computer, worked out anew off the window's thread as the draft changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal

from studio.gui.context import Context
from studio.gui.method_page.remote_facts import RemoteFacts, single_shot
from studio.gui.tasks import Control, Task
from studio.machine.resources import Resources
from studio.models.facts import ModelFacts
from studio.planner.forecast import Forecast, forecast, forecast_all
from studio.planner.ladder import Rung, ladder
from studio.planner.lengths import RowLengths
from studio.planner.machine import machine_of
from studio.planner.row_sample import read_lengths
from studio.spec.run_spec import RunSpec
from studio.spec.values import set_values

Known = tuple[RunSpec, ModelFacts, Resources, RowLengths | None]

_WAIT_MS = 40  # a slider that moves asks for many; one in a few frames is enough
_SAMPLE_MS = 250  # a large file is read for seconds, in Python: not beside the page that is being drawn
_NOTEWORTHY = 0.03  # free memory trembles all the time; figures should not


@dataclass(frozen=True)
class Outlook:
    """Forecasts by method's key, and the rungs of the chosen one."""

    by_method: dict[str, Forecast] = field(default_factory=dict)
    rungs: tuple[Rung, ...] = ()


class Forecasts(QObject):
    """The outlook for the open draft.

    Signals:
        stale(): the draft has changed; new figures are on their way.
        changed(): `outlook` is fresh.
    """

    stale = Signal()
    changed = Signal()

    def __init__(self, context: Context, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.outlook = Outlook()
        self._seen: Resources | None = None
        self._rows: RowLengths | None = None
        self._rows_of: tuple[object, ...] = ()
        self._rows_task: Task | None = None
        self._task: Task | None = None
        self._timer = single_shot(self, _WAIT_MS, self._ask)
        self._sample_timer = single_shot(self, _SAMPLE_MS, self._sample_rows)
        self.remote = RemoteFacts(context, self)
        self.remote.changed.connect(self.refresh)

    @property
    def chosen(self) -> Forecast | None:
        """Of the draft's method."""
        spec = self._context.session.spec
        return self.outlook.by_method.get(spec.method.key) if spec is not None else None

    @property
    def facts(self) -> ModelFacts | None:
        """Of the draft's model: as it lies here, or else as the Hub tells them."""
        return self._context.session.facts or self.remote.facts

    @property
    def rows(self) -> RowLengths | None:
        """How long the rows are: read as the command line and the probe read them, so that all say the same."""
        return self._rows or self._context.session.row_lengths

    def refresh(self) -> None:
        """The draft, the model or the computer is another."""
        self.stale.emit()
        self._timer.start()
        self.remote.look()

    def look_at_machine(self) -> None:
        """Refresh when clearly more or less is free than before."""
        now = self._context.machine.resources
        if now is not None and (self._seen is None or _differ(self._seen, now)):
            self.refresh()

    def stop(self) -> None:
        """Ask no more until the next refresh."""
        self._timer.stop()
        if self._sample_timer.isActive():
            self._sample_timer.stop()
            self._rows_of = ()
        self.remote.stop()

    def preview(self, settings: list[str], on_done: Callable[[Forecast | None], object]) -> None:
        """What the draft's method would take with some settings changed."""
        known = self._known()
        if known is None or not settings:
            on_done(None)
            return
        self._context.tasks.run(_preview, *known, settings, on_done=on_done)

    def _known(self) -> Known | None:
        session = self._context.session
        spec, facts, resources = session.placed_spec, self.facts, self._context.machine.resources
        return (spec, facts, resources, self.rows) if spec and facts and resources else None

    def _look_at_rows(self, spec: RunSpec, facts: ModelFacts) -> None:
        """Learn how long the rows are, if they are others than before."""
        wanted = (facts.folder, spec.data.path, spec.data.format, spec.data.columns, spec.data.train_on)
        if wanted == self._rows_of or self._context.session.facts is None:
            return
        self._rows_of, self._rows = wanted, None
        if self._rows_task is not None:
            self._rows_task.cancel()
        self._sample_timer.start()

    def _sample_rows(self) -> None:
        """Look how long the rows are: real rows are far shorter than the longest that is allowed."""
        known = self._known()
        if known is not None:
            self._rows_task = self._context.tasks.run(
                _sample, *known[:2], on_done=self._on_rows, on_error=lambda error: self._on_rows(None)
            )

    def _on_rows(self, rows: RowLengths | None) -> None:
        self._rows_task = None
        self._rows = rows
        if rows is not None:
            self.refresh()

    def _ask(self) -> None:
        if self._task is not None:
            self._task.cancel()
        known = self._known()
        if known is None:
            self._on_done(Outlook())
            return
        self._seen = known[2]
        self._look_at_rows(*known[:2])
        self._task = self._context.tasks.run(_work_out, *known, on_done=self._on_done)

    def _on_done(self, outlook: Outlook) -> None:
        self._task = None
        self.outlook = outlook
        self.changed.emit()


def _work_out(
    control: Control, spec: RunSpec, facts: ModelFacts, resources: Resources, rows: RowLengths | None
) -> Outlook:
    machine = machine_of(resources)
    found = forecast_all(spec, facts, machine, rows)
    rungs = () if found[spec.method.key].verdict == "fits" else tuple(ladder(spec, facts, machine, rows))
    return Outlook(found, rungs)


def _preview(
    control: Control,
    spec: RunSpec,
    facts: ModelFacts,
    resources: Resources,
    rows: RowLengths | None,
    settings: list[str],
) -> Forecast:
    return forecast(set_values(spec, settings), facts, machine_of(resources), rows)


def _sample(control: Control, spec: RunSpec, facts: ModelFacts) -> RowLengths | None:
    return read_lengths(spec, facts.folder, is_cancelled=control.is_cancelled)


def _differ(before: Resources, now: Resources) -> bool:
    pairs = [(before.ram_free, now.ram_free, now.ram_total), (before.disk_free, now.disk_free, now.disk_total)]
    if len(before.gpus) != len(now.gpus):
        return True
    pairs += [(a.free_bytes, b.free_bytes, b.total_bytes) for a, b in zip(before.gpus, now.gpus, strict=True)]
    return any(abs(a - b) > _NOTEWORTHY * whole for a, b, whole in pairs)
