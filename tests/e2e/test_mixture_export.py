"""Mixtures of experts of many kinds as GGUF: llama.cpp computes what the tuned model computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig

from studio.chat.llama import open_llama
from studio.engine.experts import reach
from studio.engine.load import load_base, load_tuned
from studio.export.converter import converter_folder
from studio.export.exporting import make_output, plan_outputs
from studio.export.quant_types import parse_types
from studio.export.target import TARGETS, Watch
from studio.project.tuned import Tuned
from tests.helpers.toy_adapters import make_adapter
from tests.helpers.toy_models import make_toy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not converter_folder().is_dir(), reason="the converter is not installed"),
]

FAMILIES = [
    "qwen2_moe",
    "qwen3_next",
    "deepseek_v2",
    "deepseek_v3",
    "dots1",
    "ernie4_5_moe",
    "olmoe",
    "granitemoeshared",
    "lfm2_moe",
]
IDS = [(at * 37 + 5) % 300 + 10 for at in range(24)]


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_finds_the_tuned_model_in_the_file(family: str, tmp_path: Path) -> None:
    base = make_toy(tmp_path / "toy", family, initializer_range=0.12)  # else nothing depends on which expert it was
    config = LoraConfig(r=4, target_modules="all-linear")
    reach(load_base(base), config)
    adapter = make_adapter(base, tmp_path / "adapter", config)
    found = _by_llama_cpp(Tuned("tuned", base, "toy", adapter), tmp_path)
    wanted, plain = (_logits(base, weights) for weights in (adapter, None))
    assert np.abs(found[:, : wanted.shape[1]] - wanted[:, : found.shape[1]]).max() < 0.02
    assert np.abs(wanted - plain).max() > 0.2


def _logits(base: Path, weights: Path | None) -> np.ndarray:
    with torch.no_grad():
        out: np.ndarray = load_tuned(base, weights)(input_ids=torch.tensor([IDS])).logits[0].numpy()
    return out


def _by_llama_cpp(tuned: Tuned, folder: Path) -> np.ndarray:
    target = TARGETS.get("gguf")
    (output,) = plan_outputs(tuned, target, parse_types("F32"), folder)
    make_output(tuned, target, output, Watch())
    model = open_llama(output.path, context_length=64, keeps_all_logits=True)
    model.eval(IDS)
    return np.array(model.scores[: len(IDS)])
