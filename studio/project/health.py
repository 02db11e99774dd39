"""How a run is doing, in one word and a sentence, with what to do about it. Judged from its curves; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from studio.project.columns import Array
from studio.project.curves import RunCurves
from studio.project.state import Status
from studio.protocol import events
from studio.sizes import counted

Tone = Literal["good", "neutral", "warn", "danger"]
Advice = Literal["", "stop", "pause", "resume", "settings", "data", "log", "chat"]

_EARLY_STEPS = 10
_HOT_CELSIUS = 87.0  # cards of the last ten years slow themselves down somewhere from here on
_STARVED_BUSY = 0.5
_QUIET_SECONDS = 60.0
_GB = 1e9


@dataclass(frozen=True)
class Surroundings:
    """What the curves do not tell.

    Attributes:
        status: of the run.
        now: Unix seconds.
        temperature: the card's, degrees Celsius.
        busy: share of the last minute in which the card computed, None where it is not known.
        predicted_bytes: the planned memory peak.
        kept_steps: checkpoints on the disk.
    """

    status: Status
    now: float
    temperature: float | None = None
    busy: float | None = None
    predicted_bytes: int | None = None
    kept_steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One word, a sentence, and what to do (a sentence and the kind of button that does it)."""

    word: str
    sentence: str
    tone: Tone = "good"
    hint: str = ""
    advice: Advice = ""


def judge(curves: RunCurves, around: Surroundings) -> Verdict:
    """How the run is doing. The gravest finding is the one that is told."""
    if around.status != "running":
        return _at_rest(curves, around)
    for finding in _FINDINGS:
        if verdict := finding(curves, around):
            return verdict
    return _healthy(curves, around)


def quiet_seconds(curves: RunCurves, now: float) -> float:
    """How much longer than it ever did the run has said nothing about its work; 0 when that is nothing unusual.

    Memory is sampled on a thread of its own and says only that the process lives, so it does not count.
    """
    if not curves.phases.is_training or not len(curves.steps):
        silent = now - curves.heard
        return silent if silent > _QUIET_SECONDS else 0.0
    gaps = np.diff(curves.steps["time"][-1000:])
    longest = float(gaps.max()) if len(gaps) else 0.0
    last = max(curves.steps.last("time"), curves.evals.last("time", 0.0), max(curves.checkpoints.values(), default=0))
    silent = now - last
    return silent if silent > max(_QUIET_SECONDS, 3 * longest) else 0.0


def _at_rest(curves: RunCurves, around: Surroundings) -> Verdict:
    step = f"step {curves.step:,}" + (f" of {curves.total:,}" if curves.total else "")
    kept = max(around.kept_steps, default=0)
    saved = f"Step {kept:,} is saved." if kept else "No checkpoint was written yet."
    if around.status == "paused":
        return Verdict(
            "Paused.", f"At {step}. {saved} Memory is free again.", "warn", "Resume goes on exactly there.", "resume"
        )
    if around.status == "done":
        return Verdict("Done.", _outcome(curves), "good", "Talk to it, or export it.", "chat")
    if around.status == "stopped":
        return Verdict("Stopped.", f"At {step}. {_outcome(curves)}", "neutral", "What it learned is kept.", "chat")
    if around.status == "failed":
        message = curves.end.message if isinstance(curves.end, events.Failed) else "It could not go on."
        return Verdict("Failed.", f"{message} {saved}", "danger", "", "resume" if kept else "settings")
    if around.status == "interrupted":
        sentence = f"The process is gone and said no last word, at {step}. {saved}"
        return Verdict("Interrupted.", sentence, "danger", "Resume goes on from there.", "resume")
    return Verdict("Not begun.", "No worker has taken this run up.", "neutral", "Start it again.", "resume")


def _outcome(curves: RunCurves) -> str:
    best, before = curves.best, curves.before
    if best is None:
        return f"{counted(curves.step, 'step')}, last loss {_loss(curves.steps.last('loss'))}."
    start = f"from {_loss(before)} " if before is not None else ""
    return f"Held-out loss went {start}to {_loss(best[1])}, best at step {best[0]:,}."


def _quiet(curves: RunCurves, around: Surroundings) -> Verdict | None:
    silent = quiet_seconds(curves, around.now)
    if not silent:
        return None
    is_alive = around.now - curves.heard < 10
    alive = "The process still runs" if is_alive else "The process says nothing at all"
    sentence = f"No step for {_minutes(silent)}. {alive}."
    return Verdict("Quiet.", sentence, "warn", "Wait, look at its log, or stop it: what it saved is safe.", "log")


def _starting(curves: RunCurves, around: Surroundings) -> Verdict | None:
    if curves.step - _first_step(curves) >= _EARLY_STEPS or not np.isfinite(curves.steps["loss"]).all():
        return None
    return Verdict("Starting.", "Too early to judge: the first steps have just begun.", "neutral")


def _diverging(curves: RunCurves, around: Surroundings) -> Verdict | None:
    loss = curves.steps["loss"]
    if len(loss) and not np.isfinite(loss[-1]):
        return _divergence(curves, around, "The loss is not a number any more.")
    smoothed, noise = curves.smoothed(), _noise(curves)
    window = curves.smoothing
    if len(smoothed) < 3 * window:
        return None
    lowest = float(np.nanmin(smoothed[window - 1 :]))
    now, earlier = float(smoothed[-1]), float(smoothed[-window])
    if now > lowest + max(4 * noise / np.sqrt(window), 0.15 * lowest) and now > earlier:
        at = int(curves.steps["step"][window - 1 + int(np.nanargmin(smoothed[window - 1 :]))])
        return _divergence(curves, around, f"The loss has risen from {_loss(lowest)} at step {at:,} to {_loss(now)}.")
    return None


def _divergence(curves: RunCurves, around: Surroundings, what: str) -> Verdict:
    kept = max(around.kept_steps, default=0)
    safe = f" Step {kept:,} is saved." if kept else ""
    hint = "Stop here and start again with a third of the learning rate, or a longer warm-up."
    return Verdict("Diverging.", what + safe, "danger", hint, "stop")


def _overfitting(curves: RunCurves, around: Surroundings) -> Verdict | None:
    losses, steps = _tuned_evals(curves)
    if len(losses) < 3:
        return None
    at = int(losses.argmin())
    after = losses[at + 1 :]
    if len(after) < 2 or after[-1] < losses[at] * 1.01 or (np.diff(losses[at:]) > 0).sum() < len(after) / 2:
        return None
    best = int(steps[at])
    kept = _kept(best, around.kept_steps)
    sentence = f"Held-out loss has risen since step {best:,}: it learns the rows by heart.{kept}"
    return Verdict("Overfitting.", sentence, "warn", "Stop here, or use fewer epochs next time.", "stop")


def _kept(best: int, kept_steps: tuple[int, ...]) -> str:
    if best in kept_steps:
        return f" Step {best:,} is kept."
    near = [step for step in kept_steps if step <= best]
    return f" The checkpoint before it, step {near[-1]:,}, is kept." if near else ""


def _hot(curves: RunCurves, around: Surroundings) -> Verdict | None:
    if around.temperature is None or around.temperature < _HOT_CELSIUS:
        return None
    sentence = f"The card is at {around.temperature:.0f} °C and slows itself down."
    return Verdict("Hot.", sentence, "warn", "Let more air in, or pause until it has cooled.", "pause")


def _starved(curves: RunCurves, around: Surroundings) -> Verdict | None:
    if around.busy is None or around.busy >= _STARVED_BUSY:
        return None
    sentence = f"The card waits for data: it computed {around.busy * 100:.0f} % of the last minute."
    return Verdict("Starved.", sentence, "warn", "A larger batch or packing gives it more to do at once.", "settings")


def _flat(curves: RunCurves, around: Surroundings) -> Verdict | None:
    loss, window = curves.smoothed(), curves.smoothing
    if len(loss) < max(50, 4 * window):
        return None
    first, now = float(loss[window - 1]), float(loss[-1])
    spread = 2 * _noise(curves) / np.sqrt(window)
    if first - now < max(spread, 0.01 * first):
        hint = "Raise the learning rate, or look at which tokens are learned."
        sentence = f"The loss has not moved in {len(loss):,} steps: {_loss(first)} then, {_loss(now)} now."
        return Verdict("Flat.", sentence, "warn", hint, "settings")
    return _levelled(curves)


def _levelled(curves: RunCurves) -> Verdict | None:
    """Held-out loss within half a percent over the last five checks and the last quarter of the run."""
    losses, steps = _tuned_evals(curves)
    if len(losses) < 6 or np.ptp(losses[-5:]) > 0.005 * losses[-5:].mean():
        return None
    since = int(steps[-5])
    if curves.step - since < 0.25 * max(curves.total, curves.step):
        return None
    sentence = f"Held-out loss has stayed at {_loss(float(losses[-1]))} since step {since:,}."
    return Verdict("Flat.", sentence, "neutral", "More steps change little: stop and keep what it has.", "stop")


def _healthy(curves: RunCurves, around: Surroundings) -> Verdict:
    losses = _all_evals(curves)[-17:]
    parts = []
    if len(losses) > 1:
        fell, checks = int((np.diff(losses) < 0).sum()), len(losses) - 1
        parts.append(
            f"Held-out loss fell at {fell} of the last {checks} checks." if checks > 1 else _first_check(losses)
        )
    else:
        over = counted(curves.smoothing, "step")
        parts.append(f"Loss is {_loss(float(curves.smoothed()[-1]))}, averaged over {over}.")
    parts.append(_against_plan(curves, around.predicted_bytes))
    return Verdict("Healthy.", " ".join(filter(None, parts)))


def _first_check(losses: Array) -> str:
    return f"Held-out loss went from {_loss(float(losses[0]))} to {_loss(float(losses[1]))}."


def _against_plan(curves: RunCurves, predicted: int | None) -> str:
    peak = curves.peak_bytes("gpu" if curves.has_gpu else "ram")
    if not predicted or not peak:
        return ""
    margin = (predicted - peak) / _GB
    if abs(margin) < 0.05:
        return "Memory is as planned."
    return f"Memory is {abs(margin):.1f} GB {'below' if margin > 0 else 'above'} the plan."


def _noise(curves: RunCurves) -> float:
    """How far single steps lie from each other, as a standard deviation."""
    recent = curves.steps["loss"][-500:]
    jumps = np.diff(recent[np.isfinite(recent)])
    return float(np.median(np.abs(jumps)) * 1.4826 / np.sqrt(2)) if len(jumps) else 0.0


def _first_step(curves: RunCurves) -> int:
    return int(curves.steps["step"][0]) - 1 if len(curves.steps) else curves.step


def _tuned_evals(curves: RunCurves) -> tuple[Array, Array]:
    """(losses, steps) of the evaluations after the start."""
    keep = (curves.evals["step"] > 0) & np.isfinite(curves.evals["loss"])
    return curves.evals["loss"][keep], curves.evals["step"][keep]


def _all_evals(curves: RunCurves) -> Array:
    losses = curves.evals["loss"]
    return losses[np.isfinite(losses)]


def _loss(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "not known"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


# Gravest first.
_FINDINGS: tuple[Callable[[RunCurves, Surroundings], Verdict | None], ...] = (
    _quiet,
    _diverging,
    _starting,
    _hot,
    _overfitting,
    _starved,
    _flat,
)
