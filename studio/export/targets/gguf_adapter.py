"""A LoRA adapter as GGUF, which llama.cpp puts onto a GGUF of the base when it loads. By llama.cpp's own script."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.export.converter import converter_folder, load_conversion
from studio.export.quant_types import QuantType
from studio.export.target import Output, Target, Watch
from studio.models.facts import read_json, read_safetensors_header
from studio.project.tuned import Tuned

_ENTRY_BYTES, _ABOUT_BYTES = 68, 400
"""A tensor's name, shape and place in a GGUF, as llama.cpp's script names them; and what is said of the whole."""
_WAY_OUT = "Export a GGUF of the whole model (--to gguf) instead."


def plan(tuned: Tuned, folder: Path, stem: str, quants: list[QuantType]) -> list[Output]:
    """One file in 16 bits.

    Raises:
        UserError: what was trained is more than plain low-rank factors.
    """
    header = read_safetensors_header(_plain_adapter(tuned) / "adapter_model.safetensors")
    numbers = sum(math.prod(tensor["shape"]) for tensor in header.values())
    size = 2 * numbers + _ENTRY_BYTES * len(header) + _ABOUT_BYTES
    return [Output(folder / f"{stem}-adapter.gguf", size)]


def write(tuned: Tuned, output: Output, watch: Watch, path: Path) -> None:
    """Run llama.cpp's script over a copy of the adapter whose scale is written as that script reads it."""
    load_conversion()  # says so when the converter is not installed
    weights = _plain_adapter(tuned)
    with tempfile.TemporaryDirectory(prefix=".about.", suffix=".part", dir=path.parent) as name:
        shutil.copyfile(weights / "adapter_model.safetensors", Path(name) / "adapter_model.safetensors")
        config = _as_llama_cpp_reads(read_json(weights / "adapter_config.json", ""))
        (Path(name) / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
        script = converter_folder() / "convert_lora_to_gguf.py"
        command = [
            sys.executable,
            str(script),
            name,
            "--base",
            str(tuned.base),
            "--outfile",
            str(path),
            "--outtype",
            "f16",
        ]
        done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"llama.cpp's converter cannot read this adapter: {last[:300]}", _WAY_OUT)
    watch.on_progress(output.forecast_bytes, output.forecast_bytes, "")


def _as_llama_cpp_reads(config: dict[str, Any]) -> dict[str, Any]:
    """llama.cpp scales by alpha / rank alone; rank-stabilised adapters scale by alpha / sqrt(rank)."""
    if not config.get("use_rslora"):
        return config
    return {**config, "use_rslora": False, "lora_alpha": config["lora_alpha"] * math.sqrt(config["r"])}


def _plain_adapter(tuned: Tuned) -> Path:
    weights = tuned.weights
    if weights is None or not (weights / "adapter_config.json").is_file():
        raise UserError(f"{tuned.name} has no adapter: it is a full model.", _WAY_OUT)
    config = read_json(weights / "adapter_config.json", "")
    parts = ("use_dora", "modules_to_save", "trainable_token_indices", "target_parameters", "rank_pattern")
    more = [part for part in (*parts, "alpha_pattern") if config.get(part)]
    if config.get("peft_type") != "LORA" or more:
        what = f"{config.get('peft_type')} {' '.join(more)}".strip()
        raise UserError(f"An adapter in GGUF can hold plain LoRA only; this one is {what}.", _WAY_OUT)
    return weights


TARGET = Target(
    key="gguf_adapter",
    title="GGUF adapter",
    summary="The adapter alone for llama.cpp, to load beside a GGUF of the base.",
    plan=plan,
    write=write,
    needs_base=True,
)
