"""A run's events as arrays that grow: what plots, figures and the health line are drawn from. No Qt, no files."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

from studio.project.columns import Array, Columns
from studio.project.curve_reduce import Indices
from studio.project.pace import Pace
from studio.project.phases import Phases
from studio.protocol import events

# From the bottom of the stack upwards (LOOK.md section 3).
KINDS = ("other", "weights", "adapter", "optimizer", "gradients", "activations", "cache")
_MOST_NOTICES = 500


class RunCurves:
    """One run's history, as it counts now: what a resumed session did anew replaces what earlier ones had done.

    Attributes:
        steps: step, time (Unix), active (seconds of training, gaps between sessions left out), loss, learning_rate,
            grad_norm, tokens, trained_tokens, seconds, waited (for the drive), and the sums all_tokens, all_trained,
            loss_sum (of losses times what they were learned from) and loss_weight.
        evals: step, time, active, loss, all_tokens.
        memory: step, active, gpu_<kind>, ram_<kind> for each of `KINDS`, their sums gpu_all, ram_all, and read,
            written (bytes a second).
        samples: all answers, oldest first.
        layers: which layers are trained, from each change on; empty where all are.
        checkpoints: step -> Unix time of the checkpoints that were written.
        phases: what was, is and will be done in this session.
        notices: the last words for people.
        end: the last word, None while there is none.
        pid: of the newest session's worker.
    """

    def __init__(self) -> None:
        self.steps = Columns(
            "step", "time", "active", "loss", "learning_rate", "grad_norm", "tokens", "trained_tokens", "seconds",
            "waited", "all_tokens", "all_trained", "loss_sum", "loss_weight",
        )  # fmt: skip
        self.evals = Columns("step", "time", "active", "loss", "all_tokens")
        kinds = [f"{place}_{kind}" for place in ("gpu", "ram") for kind in KINDS]
        self.memory = Columns("step", "active", *kinds, "gpu_all", "ram_all", "read", "written")
        self.samples: list[events.Sample] = []
        self.layers: list[events.Layers] = []
        self.checkpoints: dict[int, float] = {}
        self.phases = Phases()
        self.notices: deque[events.Notice] = deque(maxlen=_MOST_NOTICES)
        self.pace = Pace()
        self.end: events.Done | events.Failed | None = None
        self.has_gpu = False
        self.sessions = 0
        self.pid = 0
        self.started = 0.0
        self.heard = 0.0
        self._session_time = 0.0
        self._session_active = 0.0
        self._smoothed: tuple[tuple[int, int, int], Array] | None = None
        self._last_io: tuple[float, float, float] | None = None

    def take(self, batch: Iterable[events.Event]) -> None:
        """Take events in, in their order."""
        for event in batch:
            self.pace.take(event)
            self._take(event)
            self.heard = max(self.heard, event.time)

    @property
    def step(self) -> int:
        """The last step done."""
        return int(self.steps.last("step", self.pace.step))

    @property
    def total(self) -> int:
        """Steps planned, 0 while not known."""
        return self.pace.total

    @property
    def active_seconds(self) -> float:
        """How long it has trained, without the time between sessions."""
        return self._active(self.heard) if self.sessions else 0.0

    @property
    def best(self) -> tuple[int, float] | None:
        """(step, loss) of the lowest held-out loss after the start; None before the first."""
        losses, steps = self.evals["loss"], self.evals["step"]
        tuned = np.where((steps > 0) & np.isfinite(losses), losses, np.inf)
        if not len(tuned) or not np.isfinite(tuned.min()):
            return None
        at = int(tuned.argmin())
        return int(steps[at]), float(losses[at])

    @property
    def before(self) -> float | None:
        """Held-out loss before the first step."""
        return float(self.evals["loss"][0]) if len(self.evals) and self.evals["step"][0] == 0 else None

    @property
    def smoothing(self) -> int:
        """Over how many steps the smoothed loss is taken: a fiftieth of the run, 5 at least."""
        return int(min(max(max(self.total, self.step) // 50, 5), 500))

    def smoothed(self) -> Array:
        """(steps,) the mean loss of the last `smoothing` steps, each step weighted by what it learned from."""
        key = (len(self.steps), self.smoothing, self.sessions)
        if self._smoothed is None or self._smoothed[0] != key:
            mean = rolling_mean(self.steps["loss_sum"], self.steps["loss_weight"], self.smoothing)
            self._smoothed = (key, mean)
        return self._smoothed[1]

    def stack(self, place: str, part: slice = slice(None), picked: Indices | slice = slice(None)) -> Array:
        """(kinds, samples) bytes of "gpu" or "ram" by kind, in the order of `KINDS`; `picked` of a `part` of them."""
        return np.stack([self.memory[f"{place}_{kind}"][part][picked] for kind in KINDS])

    def kinds_in_use(self, place: str) -> list[str]:
        """Kinds that ever held anything, from the bottom of the stack upwards."""
        return [kind for kind in KINDS if self.memory[f"{place}_{kind}"].any()]

    def peak_bytes(self, place: str) -> int:
        """The most memory seen in use at once, "other" (libraries, other programs) included."""
        return int(self.memory[f"{place}_all"].max()) if len(self.memory) else 0

    def prompts(self) -> list[str]:
        """What was asked, in order of first appearance."""
        return list(dict.fromkeys(sample.prompt for sample in self.samples))

    def answers(self, prompt: str) -> list[events.Sample]:
        """A prompt's answers, newest first."""
        return [sample for sample in reversed(self.samples) if sample.prompt == prompt]

    def eval_at(self, step: int) -> float | None:
        """Held-out loss measured at exactly this step."""
        at = int(np.searchsorted(self.evals["step"], step))
        is_there = at < len(self.evals) and self.evals["step"][at] == step
        return float(self.evals["loss"][at]) if is_there else None

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.Step):
            self._take_step(event)
        elif isinstance(event, events.Memory):
            self._take_memory(event)
        elif isinstance(event, events.Eval):
            tokens = self.steps.last("all_tokens", 0.0)
            self.evals.append(event.step, event.time, self._active(event.time), event.loss, tokens)
        elif isinstance(event, events.Sample):
            self.samples.append(event)
        elif isinstance(event, events.Layers):
            self.layers.append(event)
        elif isinstance(event, events.Checkpoint):
            self.checkpoints[event.step] = event.time
        elif isinstance(event, events.Phase):
            self.phases.take(event)
        elif isinstance(event, events.Notice):
            self.notices.append(event)
        elif isinstance(event, events.Hello):
            self._take_hello(event)
        elif isinstance(event, events.Done | events.Failed):
            self.end = event
            self.phases.close(event.time)

    def _take_hello(self, event: events.Hello) -> None:
        self.sessions += 1
        self.pid = event.pid
        self.started = self.started or event.time
        self.end = None
        self.phases = Phases()
        self._last_io = None
        if event.step > 0:
            self._go_back_to(event.step)
        else:
            self._begin_anew()
        self._session_time, self._session_active = event.time, self.steps.last("active", 0.0)

    def _go_back_to(self, step: int) -> None:
        for columns in (self.steps, self.evals, self.memory):
            columns.keep(int(np.searchsorted(columns["step"], step, side="right")))
        self.samples = [sample for sample in self.samples if sample.step <= step]
        self.layers = [layers for layers in self.layers if layers.step <= step]
        self.checkpoints = {at: time for at, time in self.checkpoints.items() if at <= step}

    def _begin_anew(self) -> None:
        for columns in (self.steps, self.evals, self.memory):
            columns.keep(0)
        self.samples, self.layers, self.checkpoints = [], [], {}

    def _take_step(self, event: events.Step) -> None:
        weight = max(event.trained_tokens, 1) if math.isfinite(event.loss) else 0
        self.steps.append(
            event.step,
            event.time,
            self._active(event.time),
            event.loss,
            event.learning_rate,
            event.grad_norm,
            event.tokens,
            event.trained_tokens,
            event.seconds,
            event.waited,
            self.steps.last("all_tokens", 0.0) + event.tokens,
            self.steps.last("all_trained", 0.0) + event.trained_tokens,
            self.steps.last("loss_sum", 0.0) + (event.loss * weight if weight else 0.0),
            self.steps.last("loss_weight", 0.0) + weight,
        )

    def _take_memory(self, event: events.Memory) -> None:
        self.has_gpu = self.has_gpu or bool(event.gpu)
        read, written = self._io_rates(event)
        # A resumed session says step 0 until its first step; both columns must keep rising.
        step = max(event.step, self.memory.last("step", 0.0))
        active = max(self._active(event.time), self.memory.last("active", 0.0))
        gpu, ram = _by_kind(event.gpu), _by_kind(event.ram)
        self.memory.append(step, active, *gpu, *ram, sum(gpu), sum(ram), read, written)

    def _io_rates(self, event: events.Memory) -> tuple[float, float]:
        """Bytes a second since the last sample of this session."""
        now = (event.time, float(event.disk.get("read", 0)), float(event.disk.get("written", 0)))
        before, self._last_io = self._last_io, now
        if before is None or now[0] <= before[0]:
            return 0.0, 0.0
        seconds = now[0] - before[0]
        return max(0.0, now[1] - before[1]) / seconds, max(0.0, now[2] - before[2]) / seconds

    def _active(self, time: float) -> float:
        return self._session_active + max(0.0, time - self._session_time)


def rolling_mean(sums: Array, weights: Array, window: int) -> Array:
    """(n,) weighted mean of the last `window` values up to each, from cumulative sums: linear, whatever the window."""
    upper, total = sums.copy(), weights.copy()
    upper[window:] -= sums[:-window]
    total[window:] -= weights[:-window]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, upper / total, np.nan)


def _by_kind(sizes: Mapping[str, int]) -> list[float]:
    """Bytes in the order of `KINDS`; a kind that we do not know counts as other."""
    known = [float(sizes.get(kind, 0)) for kind in KINDS]
    known[0] += sum(sizes.values()) - sum(known)
    return known
