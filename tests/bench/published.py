"""Published peaks of other programs, worked out again from our shapes: `python -m tests.bench.published`.

The forecast answers for our own steps (autocast, fp32 adapters, nothing compiled), so each table is worked out for the
recipe that its authors ran: what a weight, a gradient and optimizer state take there, and which activations their
kernels keep. Shapes, adapters and trained numbers are the planner's; nothing is fitted to the figures.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from studio.methods import METHODS, Trained
from studio.models.arithmetic import Shapes
from studio.planner.activations import MicroBatch, kept
from studio.planner.forecast import forecast
from studio.planner.moments import KINDS, NF4_BYTES
from tests.unit.planner.samples import LLAMA2_7B, LLAMA_3B, LLAMA_8B, facts, machine, spec

GIB = 2**30
TINY_LLAMA = {
    **LLAMA2_7B,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_key_value_heads": 4,
}
MISTRAL_7B = {**LLAMA_8B, "vocab_size": 32_000}
LLAMA_70B = {
    **LLAMA_8B,
    "hidden_size": 8192,
    "intermediate_size": 28_672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
}
_CONTEXT = 0.6e9  # CUDA itself, where a whole card is what counts


@dataclass(frozen=True)
class Row:
    """One published figure and ours, in `unit`."""

    table: str
    name: str
    published: float
    ours: float
    unit: str

    @property
    def error(self) -> float:
        """Of the published one."""
        return self.ours / self.published - 1


def main() -> None:
    """Print every row, and one JSON line a table."""
    for name, table in TABLES.items():
        rows = list(table())
        for row in rows:
            print(f"{row.name:34} {row.published:>10,.1f} {row.ours:>12,.1f} {row.unit:7} {row.error:+7.1%}")
        errors = [abs(row.error) for row in rows]
        print(json.dumps({"id": f"published {name}", "rows": len(rows), **figures(errors)}))


def figures(errors: list[float]) -> dict[str, float]:
    """The middle and the largest of a table's errors."""
    return {"median": round(statistics.median(errors), 3), "worst": round(max(errors), 3)}


def torchtune() -> Iterator[Row]:
    """PERFORMANCE.md 2.2: two packed rows, layers compiled and recomputed, adapters and AdamW's state in bf16."""
    table = {
        "8B qlora": (LLAMA_8B, 2048, 7.4),
        "8B lora": (LLAMA_8B, 2048, 16.2),
        "3B qlora": (LLAMA_3B, 4096, 4.6),
        "3B lora": (LLAMA_3B, 4096, 8.5),
    }
    for name, (config, length, published) in table.items():
        shapes, tokens, is_quantised = facts(config).shapes, 2 * length, "qlora" in name
        trained = _trained("lora", rank=8, targets=["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
        held = _base(shapes, is_quantised=is_quantised) + 8 * trained(shapes).adapter
        waiting = (2 * shapes.hidden * shapes.layers + _ending(shapes)) * tokens
        ours = held + waiting + sum(compiled_layer(shapes)) * tokens
        yield Row("torchtune", name, published, ours / GIB, "GiB")


def torchtune_as_ours() -> Iterator[Row]:
    """The same cells as our own forecast has them: what these runs would take in this program."""
    table = {"8B qlora": 7.4, "8B lora": 16.2, "3B qlora": 4.6, "3B lora": 8.5}
    for name, published in table.items():
        config, length = (LLAMA_8B, 2048) if name.startswith("8B") else (LLAMA_3B, 4096)
        said = forecast(
            spec(
                f"method.key={name.split()[1]}",
                "method.rank=8",
                "method.targets=[q_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]",
                f"train.max_length={length}",
                "train.batch_size=2",
                "train.packing=true",
                "train.activation_checkpointing=true",
            ),
            facts(config),
            machine(80 * 10**9),
        )
        yield Row("torchtune, in our steps", name, published, (said.peak_bytes - said.memory[KINDS[-1]]) / GIB, "GiB")


def lisa() -> Iterator[Row]:
    """PERFORMANCE.md 2.1, whose authors' own script shows the recipe: weights, gradients and Adam's state in bf16, one
    row, nothing recomputed; the parts are added up. Rows of 1,024 tokens, as their paper says. Left out: GPT-2 (other
    attention), and 70B on four cards.
    """
    columns: list[tuple[str, Callable[[Shapes], Trained]]] = [
        ("vanilla", _trained("full")),
        *((f"LoRA r{rank}", _trained("lora", rank=rank)) for rank in (128, 256, 512)),
        *((f"LISA E+H+{count}L", _lisa(count)) for count in (0, 2, 4)),
    ]
    table: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
        "TinyLlama": (TINY_LLAMA, (13, 7.9, 8.6, 10, 7.4, 8.0, 8.3)),
        "Mistral-7B": (MISTRAL_7B, (59, 23, 26, 28, 21, 23, 24)),
        "LLaMA-2-7B": (LLAMA2_7B, (59, 23, 26, 28, 20, 23, 24)),
    }
    tokens = 1024
    batch = MicroBatch(tokens, tokens, compute=2, stream=2)
    for model, (config, published) in table.items():
        shapes = facts(config).shapes
        for (column, trained_of), figure in zip(columns, published, strict=True):
            trained = trained_of(shapes)
            left = kept(shapes, trained, batch)
            logits = (2 + 4 + 4) * shapes.vocabulary * tokens  # the product, in fp32, and its log-probabilities
            weights = 2 * (shapes.total + trained.adapter) + (2 + 4) * trained.gradients
            yield Row("LISA", f"{model} {column}", figure, (weights + left.layers + left.ending + logits) / 1e9, "GB")


def unsloth() -> Iterator[Row]:
    """PERFORMANCE.md 2.4, their side: longest row at rank 32, batch 1, on cards of so many GiB. Layer inputs wait in
    RAM, logits never exist, AdamW's state has 8 bits.
    """
    for model, config, table in (
        ("8B", LLAMA_8B, {8: 2972, 12: 21_848, 16: 40_724, 24: 78_475, 40: 153_977, 48: 191_728, 80: 342_733}),
        ("70B", LLAMA_70B, {48: 12_106, 80: 89_389}),
    ):
        shapes = facts(config).shapes
        held = _base(shapes, is_quantised=True) + 10 * _trained("lora", rank=32)(shapes).adapter + _CONTEXT
        for card, published in table.items():
            tokens = (card * GIB - held) / sum(compiled_layer(shapes))
            yield Row("Unsloth", f"{model} on {card} GiB", published, tokens, "tokens")


def hugging_face() -> Iterator[Row]:
    """The same table's other side: all logits at once, embeddings and head brought to fp32 (peft does that for 4-bit
    bases), layers recomputed, AdamW in fp32.
    """
    for model, config, table in (
        ("8B", LLAMA_8B, {12: 932, 16: 2551, 24: 5789, 40: 12_264, 48: 15_502, 80: 28_454}),
        ("70B", LLAMA_70B, {80: 6916}),
    ):
        shapes = facts(config).shapes
        rest = shapes.total - shapes.linear_numbers
        held = _base(shapes, is_quantised=True) + 2 * rest + 16 * _trained("lora", rank=32)(shapes).adapter + _CONTEXT
        # Logits, in fp32, shifted, their log-probabilities, and the gradient.
        each = 2 * shapes.hidden * shapes.layers + _ending(shapes) + (2 + 4 * 4) * shapes.vocabulary
        for card, published in table.items():
            yield Row("Hugging Face", f"{model} on {card} GiB", published, (card * GIB - held) / each, "tokens")


def compiled_layer(shapes: Shapes) -> tuple[int, int]:
    """Bytes that one token leaves in a compiled bf16 layer with adapters, and that its backward pass needs beside.

    Kept: both norms' inputs and outcomes, queries, keys, values and the outcome of attention with one fp32 number a
    head, gate, up and their product. Norms, rotation and activation are part of their neighbours' kernels, and adapters
    read the same inputs as their layers. On the way back: the gradients of those three, and of two hidden states.
    """
    queries, keys = shapes.heads * shapes.head_size, shapes.kv_heads * shapes.head_size
    left = 2 * (4 * shapes.hidden + 2 * queries + 2 * keys + 3 * shapes.intermediate) + 4 * shapes.heads
    return left, 2 * (3 * shapes.intermediate + 2 * shapes.hidden)


def _base(shapes: Shapes, *, is_quantised: bool) -> float:
    """Frozen weights in bf16; in 4 bits with one layer unpacked."""
    if not is_quantised:
        return 2.0 * shapes.total
    return NF4_BYTES * shapes.linear_numbers + 2.0 * (shapes.total - shapes.linear_numbers) + 2.0 * shapes.widest


def _ending(shapes: Shapes) -> int:
    """The last norm's copy in fp32 and its outcome."""
    return (4 + 2) * shapes.hidden


def _trained(key: str, **settings: Any) -> Callable[[Shapes], Trained]:
    method = METHODS.get(key)
    return lambda shapes: method.estimate(method.Params(**settings), shapes)


def _lisa(count: int) -> Callable[[Shapes], Trained]:
    """So many layers beside embeddings and head; none is no setting of ours."""

    def trained(shapes: Shapes) -> Trained:
        held = _trained("lisa", active_layers=max(1, count))(shapes)
        return held if count else replace(held, gradients=held.gradients - max(shapes.layer_sizes), layers=0)

    return trained


TABLES: dict[str, Callable[[], Iterator[Row]]] = {
    "torchtune": torchtune,
    "torchtune, in our steps": torchtune_as_ours,
    "LISA": lisa,
    "Unsloth": unsloth,
    "Hugging Face": hugging_face,
}

if __name__ == "__main__":
    main()
