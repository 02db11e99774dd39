"""What cannot work in a readable spec, all of it at once; and filling in what was left open.

Used by the command line, the window and the worker alike. What one setting alone may be is its declaration's matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from studio.errors import Problem, UserError, nearest
from studio.formats import FORMATS
from studio.methods import METHODS
from studio.models.facts import ModelFacts
from studio.sizes import counted, human_number
from studio.spec.run_spec import RunSpec

_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")
_MANY_STEPS_RATE = 1e-2

Rule = Callable[[RunSpec, ModelFacts | None, int | None], list[Problem]]


def check(spec: RunSpec, facts: ModelFacts | None = None, *, num_rows: int | None = None) -> list[Problem]:
    """Every problem of a spec, fatal ones and warnings.

    Args:
        spec: with absolute paths, or else its files are looked for from the current folder.
        facts: of the base model, where they are known.
        num_rows: of the data, where it is known.
    """
    return [problem for rule in _RULES for problem in rule(spec, facts, num_rows)]


def refuse(problems: list[Problem], what: str = "This run cannot start.") -> None:
    """Raise when a problem is fatal.

    Raises:
        UserError: listing all fatal problems.
    """
    if any(problem.is_fatal for problem in problems):
        raise UserError.from_problems(problems, what)


def resolve(spec: RunSpec) -> RunSpec:
    """A spec with everything said that was left to a default of its method, so that its record is complete."""
    if spec.train.learning_rate is not None:
        return spec
    rate = METHODS.get(spec.method.key).learning_rate
    return spec.model_copy(update={"train": spec.train.model_copy(update={"learning_rate": rate})})


def _data(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    path = Path(spec.data.path)
    if not spec.data.path.strip():
        return [Problem("data.path", "No data file is named.", "Name a file of rows.")]
    if path.is_dir():
        return [Problem("data.path", f"{path} is a folder.", "Name one file of rows in it.")]
    if not path.exists():
        return [Problem("data.path", f"{path} is not there.", "Check the path.")]
    if path.stat().st_size == 0:
        return [Problem("data.path", f"{path} is empty.", "Choose a file that has rows.")]
    return []


def _format(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    if spec.data.format == "auto":
        return []
    formats = FORMATS.all()
    if spec.data.format not in formats:
        hint = nearest(spec.data.format, ["auto", *formats])
        return [Problem("data.format", f'There is no row format "{spec.data.format}".', hint)]
    roles = {role.removesuffix("?") for role in formats[spec.data.format].roles}
    return [
        Problem(f"data.columns.{role}", f'Rows of "{spec.data.format}" have no "{role}".', nearest(role, roles))
        for role in spec.data.columns
        if role not in roles
    ]


def _holdout(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    count = spec.data.holdout
    if count >= 1 and count != int(count):
        return [Problem("data.holdout", f"{count} is neither a share below 1 nor a number of rows.", "Use 0.1 or 10.")]
    if num_rows is not None and count >= 1 and count >= num_rows:
        hint = f"Hold out fewer than {num_rows}."
        return [Problem("data.holdout", f"{counted(count, 'row')} would be held out, of {num_rows:,}.", hint)]
    return []


def _evaluation(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    found = []
    if spec.data.holdout == 0 and spec.train.early_stopping > 0:
        hint = "Set data.holdout to 0.05, or train.early_stopping to 0."
        found.append(Problem("train.early_stopping", "Stopping early needs held-out rows to measure on.", hint))
    if spec.data.holdout == 0 and spec.train.eval_every > 0:
        message = "Nothing can be evaluated: no rows are held out."
        found.append(Problem("train.eval_every", message, "Set data.holdout to 0.05.", is_fatal=False))
    elif spec.train.steps is not None and spec.train.eval_every > spec.train.steps:
        message = f"The run ends at step {spec.train.steps}, before the first evaluation."
        found.append(Problem("train.eval_every", message, "Make it smaller, or leave it at 0.", is_fatal=False))
    return found


def _warmup(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    warmup, steps = spec.train.warmup, spec.train.steps
    if warmup >= 1 and warmup != int(warmup):
        return [Problem("train.warmup", f"{warmup} is neither a share below 1 nor a number of steps.", "Use 0.03.")]
    if steps is not None and warmup >= 1 and warmup >= steps:
        taken = counted(warmup, "step")
        message = f"The warm-up takes {taken} and the run has {steps:,}: it would never reach its rate."
        return [Problem("train.warmup", message, f"Use fewer than {steps}, or a share such as 0.03.")]
    return []


def _length(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    if facts is None or not facts.context_length:
        return []
    longest = int(facts.context_length * METHODS.get(spec.method.key).stretch(spec.method))
    if spec.train.max_length <= longest:
        return []
    message = f"Rows of {spec.train.max_length} tokens are longer than the model's context of {longest}."
    return [Problem("train.max_length", message, f"Use at most {longest}.")]


def _rate(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    rate = spec.train.learning_rate
    if rate is None or rate <= _MANY_STEPS_RATE or spec.optimizer.key == "sgd":  # plain SGD takes far larger steps
        return []
    usual = METHODS.get(spec.method.key).learning_rate
    message = f"A learning rate of {human_number(rate)} is far above the usual {human_number(usual)}."
    return [Problem("train.learning_rate", message, "Runs often come apart at such rates.", is_fatal=False)]


def _device(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    device = spec.train.device
    if not _DEVICE.fullmatch(device):
        return [Problem("train.device", f'There is no device "{device}".', "Use auto, cpu, cuda, cuda:1 or mps.")]
    if device == "mps" and METHODS.get(spec.method.key).quantises_base:
        return [Problem("method.key", "4-bit models do not run on Apple's mps device.", "Use lora, or device cpu.")]
    return []


def _checkpoints(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    if spec.train.checkpoint_every or spec.train.checkpoint_minutes:
        return []
    message = "Nothing is saved before the end: a crash loses the whole run."
    return [Problem("train.checkpoint_minutes", message, "Use 10.", is_fatal=False)]


def _model(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    if not spec.model.source.strip():
        return [Problem("model.source", "No model is named.", "Name a folder or a model on the Hub.")]
    if facts is not None and not facts.has_tokenizer:
        return [Problem("model.source", "The model has no tokenizer.", "Copy its tokenizer.json into the folder.")]
    return _stored_as(facts) if facts is not None else []


def _stored_as(facts: ModelFacts) -> list[Problem]:
    """Weights in a form that only running is possible with; bitsandbytes' 4 and 8 bits carry adapters."""
    stored = facts.config.get("quantization_config")
    kind = stored.get("quant_method", "") if isinstance(stored, dict) else ""
    if kind in ("", "bitsandbytes"):
        return []
    message = f"This model's weights are stored as {kind}, which cannot be trained."
    return [Problem("model.source", message, "Choose a 16-bit copy of it; on the Hub such often end in BF16.")]


def _method(spec: RunSpec, facts: ModelFacts | None, num_rows: int | None) -> list[Problem]:
    return METHODS.get(spec.method.key).problems(spec.method, facts)


_RULES: tuple[Rule, ...] = (
    _model,
    _data,
    _format,
    _holdout,
    _method,
    _evaluation,
    _warmup,
    _length,
    _rate,
    _device,
    _checkpoints,
)
