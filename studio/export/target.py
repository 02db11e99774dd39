"""What an export target is. One file a target in `studio/export/targets`; it then appears in every list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.export.quant_types import QuantType
from studio.project.tuned import Tuned
from studio.units import Registry

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Watch:
    """How a long export talks and listens.

    Attributes:
        on_progress: (bytes written, bytes in all, what is at hand).
        is_cancelled: asked between tensors.
        on_tensors: told once, before the first: name -> bytes of all tensors, in the order of the file.
    """

    on_progress: Progress = lambda done, total, text: None
    is_cancelled: Callable[[], bool] = lambda: False
    on_tensors: Callable[[Mapping[str, int]], None] = lambda tensors: None


@dataclass(frozen=True)
class Output:
    """One file or folder that an export makes.

    Attributes:
        path: where it will be.
        forecast_bytes: what it will take; exact to about two hundredths.
        quant: its GGUF type, where it has one.
    """

    path: Path
    forecast_bytes: int
    quant: QuantType | None = None


@dataclass(frozen=True)
class Target:
    """A kind of export.

    Attributes:
        key: the file's name; the command line writes "-" for "_".
        title, summary: for people.
        plan: (tuned, folder, file stem, quant types) -> what would be made; raises UserError when it cannot be.
        write: makes one output at the path given last, a temporary one.
        is_verified: whether llama.cpp can check the file by itself.
        needs_base: whether llama.cpp can check it beside a GGUF of the base, which is made for that.
    """

    key: str
    title: str
    summary: str
    plan: Callable[[Tuned, Path, str, list[QuantType]], list[Output]]
    write: Callable[[Tuned, Output, Watch, Path], None]
    is_verified: bool = False
    needs_base: bool = False


TARGETS: Registry[Target] = Registry("studio.export.targets", "TARGET", "export target")
