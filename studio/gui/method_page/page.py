"""The page: the wizard's steps drawn. Where one may go is the wizard's to say, settings are the draft's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from PySide6.QtWidgets import QVBoxLayout, QWidget

from studio.gui.context import Context
from studio.gui.controls import EmptyState, States
from studio.gui.icons import Icon
from studio.gui.method_page.check_step import CheckStep
from studio.gui.method_page.data_step import DataStep
from studio.gui.method_page.edits import DraftEdits
from studio.gui.method_page.foot import Foot
from studio.gui.method_page.forecasts import Forecasts
from studio.gui.method_page.goal_step import GoalStep
from studio.gui.method_page.method_step import MethodSettings, MethodStep
from studio.gui.method_page.model_step import ModelStep
from studio.gui.method_page.plan import PlanColumn
from studio.gui.method_page.prober import Prober
from studio.gui.method_page.settings_step import SettingsStep
from studio.gui.method_page.starting import RunStarter
from studio.gui.method_page.steps import StepBar
from studio.gui.method_page.verdict import shortage
from studio.gui.page import Command, PageWidget
from studio.methods import METHODS
from studio.spec.wizard import STEPS, TITLES, Situation, StepKey, Wizard, problems_at, step_of


class MethodPage(PageWidget):
    """Method."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, "Method")
        self.wizard = Wizard()
        self.situation = Situation()
        self._project: object = None
        self.starter = RunStarter(context, self)
        self.edits = DraftEdits(context, self, self.refresh)
        self.forecasts = Forecasts(context, self)
        self.prober = Prober(context, self)
        self.bar = StepBar()
        self.foot = Foot()
        self.states = States()
        self.steps = States()
        self.own_settings = MethodSettings(context, "Settings", is_narrow=True)
        self._lay_out()
        self._connect()

    # The page

    def enter(self, **arguments: object) -> None:
        """Show the draft.

        Args:
            step: which step to show, if it may be opened.
            path: the setting to put the focus into.
        """
        self._show_project()
        self.forecasts.refresh()
        if arguments.get("path"):
            self.lead_to(str(arguments["path"]))
        elif arguments.get("step") in STEPS:
            self._go(self.wizard.to(arguments["step"], self.situation))  # type: ignore[arg-type]

    def prepare(self) -> Iterator[None]:
        if self.context.session.spec is not None and not self._made("method"):
            self.own_settings.refresh()
            yield
            method = self.method
            yield
            yield from method.prepare()
            self._show_project()
            yield
            self.grab()  # painted unseen, as `warming` does with what needs no project

    def leave(self) -> None:
        self.forecasts.stop()
        self.prober.cancel()

    def commands(self) -> list[Command]:
        if self.context.session.spec is None:
            return []
        steps = [Command(f"Step: {TITLES[key]}", lambda key=key: self._on_step(key), group="Method") for key in STEPS]  # type: ignore[misc]
        return [
            *steps,
            Command("Choose a model", self.edits.pick_model, group="Method"),
            Command("Measure the speed of this computer", self.prober.measure_speeds, group="Method"),
            Command("Work out the exact peak", self.prober.trace_step, group="Method"),
            Command("Start training", self._start_or_show, group="Method"),
        ]

    def lead_to(self, path: str) -> None:
        """Show the step at which a setting is chosen, with the focus in its field."""
        key = step_of(path)
        self._go(Wizard(key, max(self.wizard.furthest, key, key=STEPS.index), self.wizard.overridden))
        if key == "settings":
            self.settings.go_to(path)
        elif key == "data" and self.data.form is not None:
            self.data.form.go_to(path)
        elif key == "model" and self.model.form is not None:
            self.model.form.go_to(path)

    # Making

    # Each step is made when it is first shown: the page itself then opens at once.

    @cached_property
    def goal(self) -> GoalStep:
        made = GoalStep(self.context)
        made.chosen.connect(self.edits.choose_goal)
        return made

    @cached_property
    def model(self) -> ModelStep:
        made = ModelStep(self.context, self.forecasts)
        made.pick_wanted.connect(self.edits.pick_model)
        return made

    @cached_property
    def data(self) -> DataStep:
        made = DataStep(self.context, self.forecasts)
        made.pick_wanted.connect(self.edits.pick_data)
        return made

    @cached_property
    def method(self) -> MethodStep:
        plan = PlanColumn(self.context, self.forecasts, self.prober, self.own_settings)
        made = MethodStep(self.context, self.forecasts, plan)
        made.chosen.connect(self.edits.choose_method)
        return made

    @cached_property
    def settings(self) -> SettingsStep:
        return SettingsStep(self.context, self.forecasts, PlanColumn(self.context, self.forecasts, self.prober))

    @cached_property
    def check(self) -> CheckStep:
        made = CheckStep(self.context, self.forecasts, PlanColumn(self.context, self.forecasts, self.prober))
        made.led.connect(self.lead_to)
        return made

    def _made(self, key: StepKey) -> bool:
        """Whether a step was shown before."""
        return key in self.__dict__

    def _lay_out(self) -> None:
        self.facts.hide()
        self.facts_row.insertWidget(0, self.bar)
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(14)
        column.addWidget(self.steps, 1)
        column.addWidget(self.foot)
        words = "A method is chosen for a model and its rows. Open a project, or begin one on Home."
        home = [("Go to Home", lambda: self.context.navigate("home"))]
        self.states.add("empty", EmptyState(Icon.METHOD, "No project is open", words, home))
        self.states.add("full", full)
        self.body.addWidget(self.states, 1)

    def _connect(self) -> None:
        self._connect_session()
        self.bar.chosen.connect(self._on_step)
        self.foot.back.connect(lambda: self._go(self.wizard.back()))
        self.foot.on.connect(self._on_continue)
        self.foot.anyway.connect(self._on_anyway)
        self._connect_starter()

    def _connect_starter(self) -> None:
        self.foot.cancelled.connect(self.starter.cancel)
        self.starter.progressed.connect(self._on_starting)
        self.starter.ended.connect(self._on_starting_ended)
        self.starter.started.connect(lambda: self.context.navigate("train"))
        self.starter.refused.connect(self.lead_to)

    def _connect_session(self) -> None:
        session = self.context.session
        session.project_changed.connect(self._on_project)
        session.spec_changed.connect(self._on_draft_changed)
        session.facts_changed.connect(self._on_draft_changed)
        session.rows_changed.connect(self._on_draft_changed)
        self.context.machine.changed.connect(self._on_machine_changed)
        self.forecasts.stale.connect(self._on_stale)
        self.forecasts.changed.connect(self._on_forecast)
        self.prober.found.connect(self.forecasts.refresh)

    # What has changed

    def _on_project(self) -> None:
        if self.isVisible():
            self._show_project()

    def _show_project(self) -> None:
        session = self.context.session
        self.states.show_state("full" if session.project is not None else "empty")
        if session.project is not self._project:
            self._project = session.project
            self._look()
            self.wizard = Wizard.start(self.situation)
            self.method.arrange_anew()
        self.refresh()

    def _on_draft_changed(self) -> None:
        if self.isVisible():
            self.forecasts.refresh()
            self.refresh()

    def _on_machine_changed(self) -> None:
        if self.isVisible():
            self.forecasts.look_at_machine()

    def _on_stale(self) -> None:
        current = self.wizard.current
        if current == "method" and self._made("method"):
            self.method.set_dimmed()
        elif current == "settings" and self._made("settings"):
            self.settings.plan.set_dimmed()
        elif current == "check" and self._made("check"):
            self.check.plan.set_dimmed()

    def _on_forecast(self) -> None:
        self.refresh()
        if self._made("settings"):
            self.settings.show_effect()

    def refresh(self) -> None:
        """Show everything as it stands now."""
        if self.context.session.spec is None:
            self.bar.hide()
            return
        self.bar.show()
        self._look()
        self.bar.show_steps(self.wizard.steps(self.situation))
        self._refresh_step()
        self._show_step()
        if not self.starter.is_busy:
            gate = self.wizard.gate(self.situation)
            self.foot.show_gate(
                gate, is_first=self.wizard.current == STEPS[0], is_last=self.wizard.current == STEPS[-1]
            )

    def _show_step(self) -> None:
        key = self.wizard.current
        widget: QWidget = getattr(self, key)
        if self.steps.indexOf(widget) < 0:
            self.steps.add(key, widget)
        self.steps.show_state(key)

    def _refresh_step(self) -> None:
        """Only the step that is shown: the others follow when they are."""
        current, problems = self.wizard.current, self.situation.problems
        if current == "goal":
            self.goal.refresh()
        elif current == "model":
            self.model.refresh(problems_at("model", problems))
        elif current == "data":
            self.data.refresh(problems_at("data", problems))
        elif current == "method":
            self.method.refresh()
            self.own_settings.refresh()
            self.method.plan.refresh()
        elif current == "settings":
            self.settings.refresh(problems)
            self.settings.plan.refresh()
        else:
            overridden = self.wizard.is_overridden(self.situation)
            self.check.refresh(problems, self.situation.shortage, is_overridden=overridden)
            self.check.plan.refresh()

    def _look(self) -> None:
        session = self.context.session
        if session.spec is None:
            self.situation = Situation()
            return
        chosen = self.forecasts.chosen
        title = METHODS.get(session.spec.method.key).title
        problems = tuple(session.problems(num_rows=session.num_rows))
        self.situation = Situation(session.spec, problems, chosen.verdict if chosen else "", shortage(title, chosen))

    # What was pressed

    def _go(self, wizard: Wizard) -> None:
        is_new = wizard.current != self.wizard.current
        self.wizard = wizard
        if is_new and wizard.current == "method":
            self.method.arrange_anew()
        self.refresh()

    def _on_step(self, key: StepKey) -> None:
        self._go(self.wizard.to(key, self.situation))

    def _on_continue(self) -> None:
        if self.wizard.current == STEPS[-1]:
            self.start()
        else:
            self._go(self.wizard.forward(self.situation))

    def _on_anyway(self) -> None:
        self._go(self.wizard.override(self.situation))

    def start(self) -> None:
        """Start training, if nothing is in the way."""
        if self.wizard.gate(self.situation).is_open:
            is_overridden = self.wizard.is_overridden(self.situation)
            self.starter.start(self.forecasts.chosen if is_overridden else None, self.situation.shortage)

    def _start_or_show(self) -> None:
        """Start where nothing is in the way, else show what is."""
        gate = self.wizard.gate(self.situation)
        if self.wizard.current == STEPS[-1] and gate.is_open:
            self.start()
        else:
            self._go(self.wizard.to(STEPS[-1], self.situation))

    def _on_starting(self, words: str, share: float) -> None:
        self.foot.show_starting(words, share if share >= 0 else None)

    def _on_starting_ended(self) -> None:
        self.foot.show_starting(None)
        self.refresh()
