"""Memory that ran out: how it is told from other errors, what is said, and the cap that makes it an error at all."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping

import torch

from studio.errors import Problem, UserError
from studio.models.facts import ModelFacts
from studio.paths import cache_dir
from studio.planner.forecast import forecast
from studio.planner.ladder import ladder
from studio.planner.lengths import RowLengths
from studio.planner.machine import this_machine
from studio.planner.row_sample import read_lengths
from studio.sizes import human_bytes
from studio.spec.run_spec import RunSpec

_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "bad_alloc",
)
_WINDOWS_SHARE = 0.96
"""Windows lends a full card system memory, unasked and twenty times slower: below this share it never comes to that."""
_RUNGS = 4


def is_out_of_memory(error: BaseException) -> bool:
    """Libraries have many words for it; torch's own class is only one."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError | OSError) and any(sign.lower() in words for sign in _SIGNS)


def cap_memory(device: torch.device, share: float) -> None:
    """Let this process take so much of a card at most: beyond it torch raises, and nothing spills over."""
    if device.type == "cuda":
        limit = min(share, _WINDOWS_SHARE) if sys.platform == "win32" else share
        torch.cuda.set_per_process_memory_fraction(limit, device)


def let_go() -> None:
    """Give back what is held for nothing. Call it when no error is being handled: its frames hold tensors."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def split_by_kind(held: Mapping[str, int]) -> str:
    """'weights 2.1 GB, optimizer 1.0 GB': the larger ones first."""
    largest = sorted(held.items(), key=lambda item: -item[1])
    return ", ".join(f"{kind} {human_bytes(size)}" for kind, size in largest if size > 1_000_000)


def ran_out(when: str, spec: RunSpec, facts: ModelFacts, *, held: Mapping[str, int], is_safe: str) -> UserError:
    """The error to stop with: when it was, what holds the memory, and what would make it fit.

    Args:
        when: "while the model was loaded".
        held: kind -> bytes at that moment; empty when not known.
        is_safe: what of the run is kept, one sentence.
    """
    machine, rows = this_machine(cache_dir()), _lengths(spec, facts)
    said = forecast(spec, facts, machine, rows)
    in_use = f" In use were {split_by_kind(held)}." if held else ""
    rungs = ladder(spec, facts, machine, rows)[:_RUNGS]
    return UserError(
        f"Memory ran out {when}.{in_use} Such a run is calculated to need {human_bytes(said.peak_bytes)}. {is_safe}",
        "Start again with one of these settings." if rungs else "Choose a smaller model.",
        problems=[
            Problem(", ".join(rung.settings), f"saves {human_bytes(rung.saves_bytes)}.", rung.cost) for rung in rungs
        ],
    )


def _lengths(spec: RunSpec, facts: ModelFacts) -> RowLengths | None:
    """Of the run's rows, so that the figure is the one that was shown before the start."""
    try:
        return read_lengths(spec, facts.folder)
    except UserError:
        return None  # the file has gone since
