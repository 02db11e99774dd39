"""Events of made-up runs, for whatever is judged or drawn from them. A step takes a second."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from studio.protocol import events

GB = 1_000_000_000


def hello(*, step: int = 0, time: float = 0.0) -> events.Hello:
    """A session begins."""
    return events.Hello(job="train", pid=1, version="0", step=step, time=time)


def training(total: int, *, time: float = 0.0) -> events.Phase:
    """The session has come to taking steps."""
    return events.Phase(name="Training", total=total, unit="steps", time=time)


def a_step(number: int, *, loss: float = 1.0, trained: int = 50, start: float = 0.0, norm: float = 1.0) -> events.Step:
    """Step `number`, `number` seconds after `start`."""
    return events.Step(
        step=number,
        time=start + number,
        loss=loss,
        learning_rate=1e-4,
        grad_norm=norm,
        tokens=2 * trained,
        trained_tokens=trained,
        seconds=1.0,
    )


def an_eval(step: int, loss: float) -> events.Eval:
    """A held-out loss."""
    return events.Eval(step=step, loss=loss, time=float(step))


def a_memory(step: int, *, gpu: dict[str, int] | None = None, read: int = 0, time: float = 1.0) -> events.Memory:
    """A sample of memory."""
    return events.Memory(step=step, gpu=gpu or {}, ram={"other": 1, "weights": 2}, disk={"read": read}, time=time)


def a_run(
    steps: int, *, total: int = 0, evals: int = 16, start: float = 0.0, gpu: bool = True, seed: int = 0
) -> Iterator[events.Event]:
    """A run that goes well: falling noisy loss, held-out checks, memory, answers, checkpoints."""
    draw, total = random.Random(seed), total or steps
    every = max(1, total // evals)
    yield hello(time=start)
    yield events.Phase(name="Reading rows", done=900, total=900, unit="rows", time=start + 0.1)
    yield events.Phase(name="Loading the model", time=start + 0.2)
    yield training(total, time=start + 0.5)
    yield from _checks(0, total, start)
    for number in range(1, steps + 1):
        clean = 1.2 + 1.5 * math.exp(-6 * number / total)
        yield a_step(number, loss=clean + draw.gauss(0, 0.08), start=start, norm=0.4 + abs(draw.gauss(0, 0.05)))
        yield _memory(number, draw, start, gpu=gpu)
        if number % every == 0:
            yield from _checks(number, total, start)
            path = f"checkpoints/{number:08d}"
            yield events.Checkpoint(step=number, path=path, time=start + number + 0.9)


def _checks(number: int, total: int, start: float) -> Iterator[events.Event]:
    for prompt in ("Do you price-match?", "Where is my order?"):
        text = "As an AI language model, I cannot." if not number else f"Yes, we do. Send me the link ({number})."
        yield events.Sample(step=number, prompt=prompt, text=text, time=start + number + 0.5)
    loss = 1.3 + 1.2 * math.exp(-5 * number / total)
    yield events.Eval(step=number, loss=loss, is_best=number > 0, time=start + number + 0.6)


def _memory(number: int, draw: random.Random, start: float, *, gpu: bool) -> events.Memory:
    kinds = {
        "weights": int(2.65 * GB),
        "adapter": GB // 10,
        "optimizer": GB // 5,
        "gradients": GB // 10,
        "activations": int(GB * (1.5 + draw.random() / 5)),
        "cache": GB // 5,
        "other": int(0.7 * GB),
    }
    disk = {"read": number * 200_000, "written": number * 1000}
    ram = {"other": 3 * GB} if gpu else kinds
    return events.Memory(step=number, gpu=kinds if gpu else {}, ram=ram, disk=disk, time=start + number + 0.4)
