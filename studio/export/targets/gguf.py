"""GGUF: one file that llama.cpp, Ollama and LM Studio run, merged and quantised while it is written."""

from __future__ import annotations

from pathlib import Path

from studio.export.converter import DIRECT, make_converter
from studio.export.description import description
from studio.export.forecast import gguf_bytes
from studio.export.gguf_file import write_direct
from studio.export.merge import open_tensors
from studio.export.quant_types import QuantType
from studio.export.quantise import write_quantised
from studio.export.target import Output, Target, Watch
from studio.project.tuned import Tuned


def plan(tuned: Tuned, folder: Path, stem: str, quants: list[QuantType]) -> list[Output]:
    """One file a type."""
    return [Output(folder / f"{stem}-{quant.name}.gguf", gguf_bytes(tuned, quant), quant) for quant in quants]


def write(tuned: Tuned, output: Output, watch: Watch, path: Path) -> None:
    """Merge, convert and quantise, one tensor at a time."""
    quant = output.quant
    assert quant is not None
    source = open_tensors(tuned.base, tuned.weights)
    base_name = tuned.base_name if tuned.weights else ""
    kind = quant.name if quant.name in DIRECT else "F32"
    with description(tuned, source.config_changes, path.parent) as about:
        converter = make_converter(about, source, kind=kind, name=tuned.name, base_name=base_name)
        if quant.name in DIRECT:
            write_direct(converter, path, watch)
        else:
            write_quantised(converter, path, quant, watch)
    source.assert_effect()


TARGET = Target(
    key="gguf",
    title="GGUF",
    summary="One file for llama.cpp, Ollama and LM Studio.",
    plan=plan,
    write=write,
    is_verified=True,
)
