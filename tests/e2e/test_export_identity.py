"""Our GGUF files, merged while they are written, against llama.cpp's own converter on peft's merged model."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest

from studio.export.converter import converter_folder
from studio.export.exporting import make_output, plan_outputs
from studio.export.quant_types import TYPES, parse_types
from studio.export.target import TARGETS, Watch
from studio.project.tuned import Tuned
from tests.helpers.toy_adapters import make_adapter, merge_with_peft
from tests.helpers.toy_models import make_toy

pytestmark = pytest.mark.skipif(not converter_folder().is_dir(), reason="the converter is not installed")

FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3", "phi3", "gpt2", "mixtral", "qwen3_moe"]
WITHOUT_IMATRIX = sorted(set(TYPES) - {"F32", "F16", "BF16"})

# What the other converter is run as: its own script, with only the list of known tokenizers got round.
_THEIRS = """
import runpy, sys
folder, model, pattern, *kinds = sys.argv[1:]
sys.path.insert(0, folder)
import conversion.base as base
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
for kind in kinds:
    script = folder + "/convert_hf_to_gguf.py"
    sys.argv = [script, model, "--outfile", pattern.format(kind), "--outtype", kind, "--model-name", "tuned"]
    runpy.run_path(script, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_and_key_equals_upstreams(tmp_path: Path, family: str) -> None:
    base = make_toy(tmp_path / "toy", family)
    adapter = make_adapter(base, tmp_path / "adapter", peft.LoraConfig(r=4, target_modules="all-linear"))
    merged = merge_with_peft(base, adapter, tmp_path / "merged" / "toy")
    tuned = Tuned("tuned", base, "toy", adapter)
    _convert_upstream(merged, tmp_path, "f16", "q8_0")
    for kind in ("F16", "Q8_0"):
        _assert_same(_export(tuned, kind, tmp_path), tmp_path / f"theirs-{kind.lower()}.gguf")


def test_bf16_base_and_bf16_file(tmp_path: Path) -> None:
    base = make_toy(tmp_path / "toy", "llama", dtype="bfloat16")
    adapter = make_adapter(base, tmp_path / "adapter", peft.LoraConfig(r=4, target_modules="all-linear"))
    merged = merge_with_peft(base, adapter, tmp_path / "merged" / "toy")
    _convert_upstream(merged, tmp_path, "bf16")
    _assert_same(_export(Tuned("tuned", base, "toy", adapter), "BF16", tmp_path), tmp_path / "theirs-bf16.gguf")


def test_quantised_files_equal_llama_cpps_quantiser_byte_for_byte(tmp_path: Path) -> None:
    import llama_cpp

    base = make_toy(tmp_path / "toy", "llama", hidden_size=256, intermediate_size=512)
    tuned = Tuned("toy", base, "toy", None)
    plain = _export(tuned, "F32", tmp_path)
    for kind in WITHOUT_IMATRIX:
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype, params.nthread = TYPES[kind].ftype, 2
        theirs = tmp_path / "theirs.gguf"
        code = llama_cpp.llama_model_quantize(str(plain).encode(), str(theirs).encode(), ctypes.byref(params))
        assert code == 0
        ours = _export(tuned, kind, tmp_path)
        if kind == "Q8_0":  # written by the converter; its metadata stand in another order
            _assert_same(ours, theirs, ignoring={"general.file_type", "general.quantization_version"})
        else:
            assert ours.read_bytes() == theirs.read_bytes(), kind
        assert abs(_forecast(tuned, kind) / ours.stat().st_size - 1) < 0.12, kind
    assert not [path.name for path in tmp_path.iterdir() if ".part" in path.name]


@pytest.mark.slow
def test_mixture_of_experts_quantises_as_llama_cpp_does(tmp_path: Path) -> None:
    import llama_cpp

    base = make_toy(tmp_path / "toy", "qwen3_moe", hidden_size=256, moe_intermediate_size=256)
    tuned = Tuned("toy", base, "toy", None)
    plain, theirs = _export(tuned, "F32", tmp_path), tmp_path / "theirs.gguf"
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = TYPES["Q4_K_M"].ftype, 2
    assert llama_cpp.llama_model_quantize(str(plain).encode(), str(theirs).encode(), ctypes.byref(params)) == 0
    assert _export(tuned, "Q4_K_M", tmp_path).read_bytes() == theirs.read_bytes()


def _export(tuned: Tuned, kind: str, folder: Path) -> Path:
    target = TARGETS.get("gguf")
    (output,) = plan_outputs(tuned, target, parse_types(kind), folder)
    make_output(tuned, target, output, Watch())
    return output.path


def _forecast(tuned: Tuned, kind: str) -> int:
    (output,) = plan_outputs(tuned, TARGETS.get("gguf"), parse_types(kind), Path("."))
    return output.forecast_bytes


def _convert_upstream(model: Path, folder: Path, *kinds: str) -> None:
    pattern = str(folder / "theirs-{}.gguf")
    command = [sys.executable, "-c", _THEIRS, str(converter_folder()), str(model), pattern, *kinds]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def _assert_same(ours: Path, theirs: Path, *, ignoring: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """All of theirs is in ours, equal; ours may say more (what it was tuned from)."""
    mine, other = _read(ours), _read(theirs)
    added = {key for key in mine["keys"] if key.startswith("general.base_model.")}
    added |= {"tokenizer.ggml.add_bos_token"} - set(other["keys"])
    assert set(mine["keys"]) - added == set(other["keys"])
    for key, value in other["keys"].items():
        assert key in ignoring or mine["keys"][key] == value, key
    assert list(mine["tensors"]) == list(other["tensors"]) or set(mine["tensors"]) == set(other["tensors"])
    for name, (kind, shape, data) in other["tensors"].items():
        assert mine["tensors"][name][:2] == (kind, shape), name
        assert np.array_equal(mine["tensors"][name][2], data), name


def _read(path: Path) -> dict[str, Any]:
    from gguf import GGUFReader

    reader = GGUFReader(path)
    keys = {name: [part.tobytes() for part in field.parts[2:]] for name, field in reader.fields.items()}
    tensors = {t.name: (t.tensor_type, t.shape.tolist(), t.data.view(np.uint8)) for t in reader.tensors}
    skipped = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}
    return {"keys": {name: value for name, value in keys.items() if name not in skipped}, "tensors": tensors}
