"""Trains the starter model from nothing: `python -m resources.starter.make.train --out FOLDER`.

Writes a Hugging Face model folder with bfloat16 weights, and again every --save-every minutes while it
runs (then the running average of the weights, which is usable long before the learning rate comes down).
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from .batches import Batch, batches
from .muon import Muon
from .tokenizer import CONTEXT, END, PAD, save_tokenizer, train_tokenizer

# Widths are multiples of 256 so that llama.cpp's K-quants, with their blocks of 256, fit every matrix.
HIDDEN, FEED_FORWARD, LAYERS, HEADS, KEY_HEADS, HEAD = 256, 512, 6, 4, 2, 64
MUON_RATE, ADAM_RATE, WARMUP, AVERAGE = 0.02, 3e-3, 40, 0.99


def new_model(tokenizer: Tokenizer) -> LlamaForCausalLM:
    """An untrained Llama of about four million weights."""
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=HIDDEN, intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KEY_HEADS, head_dim=HEAD,
        max_position_embeddings=CONTEXT, tie_word_embeddings=True, rms_norm_eps=1e-6, bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END), pad_token_id=tokenizer.token_to_id(PAD),
    )  # fmt: skip
    return LlamaForCausalLM(config)


def optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for the embedding and the norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=MUON_RATE),
        torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def beginning() -> tuple[LlamaForCausalLM, Tokenizer]:
    """A new tokenizer, and an untrained model for it."""
    tokenizer = train_tokenizer()
    return new_model(tokenizer), tokenizer


def further(folder: Path) -> tuple[LlamaForCausalLM, Tokenizer]:
    """A saved starter to train further, in float32, with the tokenizer it has learnt to read."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))


class Schedule:
    """Linear warm-up to `peak`, then a cosine down to nothing, by steps or by minutes, whichever end is nearer."""

    def __init__(self, *, steps: int, minutes: float, peak: float) -> None:
        self._steps, self._seconds, self._peak, self._start = steps, minutes * 60, peak, time.monotonic()

    def progress(self, step: int) -> float:
        """From 0 at the start to 1 at the end."""
        return max(step / self._steps, (time.monotonic() - self._start) / self._seconds)

    def factor(self, step: int) -> float:
        return (
            self._peak * min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(1.0, self.progress(step))))
        )


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Mean loss of the next token over the assistant's words; logits are made only where they count."""
    targets = torch.tensor(batch.targets)[:, 1:]
    hidden = model.model(torch.tensor(batch.ids)[:, :-1], use_cache=False).last_hidden_state
    counted = targets != -100
    return functional.cross_entropy(model.lm_head(hidden[counted]), targets[counted])


class Average:
    """An exponential running average of the weights."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self._weights = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: LlamaForCausalLM, step: int) -> None:
        share = 1 - min(AVERAGE, step / (step + 10))
        for name, value in model.state_dict().items():
            self._weights[name].lerp_(value, share)

    def model(self, like: LlamaForCausalLM) -> LlamaForCausalLM:
        copy = LlamaForCausalLM(like.config)
        copy.load_state_dict(self._weights)
        return copy


def save_model(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Weights in bfloat16 with their configuration and tokenizer."""
    copy = LlamaForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    ids = {"eos_token_id": model.config.eos_token_id, "pad_token_id": model.config.pad_token_id}
    copy.generation_config = GenerationConfig(do_sample=False, max_new_tokens=200, **ids)
    copy.to(torch.bfloat16).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


def train(
    out: Path, *, start_from: Path | None, schedule: Schedule, seed: int, tokens: int, save_every_minutes: float
) -> None:
    """The whole run; a line of JSON per 20 steps goes to standard output."""
    torch.manual_seed(seed)
    model, tokenizer = further(start_from) if start_from else beginning()
    average = Average(model)
    made = optimizers(model)
    rates = [torch.optim.lr_scheduler.LambdaLR(one, schedule.factor) for one in made]
    start = saved = time.monotonic()
    for step, batch in enumerate(batches(tokenizer, seed=seed, tokens=tokens)):
        if schedule.progress(step) >= 1:
            break
        loss = loss_of(model, batch)
        loss.backward()
        for one, rate in zip(made, rates, strict=True):
            one.step()
            one.zero_grad()
            rate.step()
        average.update(model, step)
        if step % 20 == 0:
            print(
                json.dumps({"step": step, "loss": round(loss.item(), 4), "seconds": round(time.monotonic() - start)}),
                flush=True,
            )
        if time.monotonic() - saved > save_every_minutes * 60:
            saved = time.monotonic()
            save_model(average.model(model), tokenizer, out)
    save_model(model, tokenizer, out)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model (written again as it trains)")
    parser.add_argument("--steps", type=int, default=1500, help="optimizer steps")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end by then, even if steps are left")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens in a batch, padding counted")
    parser.add_argument("--seed", type=int, default=7, help="for the weights and for the text")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--save-every", type=float, default=5.0, metavar="MINUTES", help="how often to save on the way")
    parser.add_argument("--start-from", type=Path, metavar="FOLDER", help="train an already trained starter further")
    parser.add_argument("--peak", type=float, default=1.0, help="factor on the learning rates; lower to train further")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    schedule = Schedule(steps=args.steps, minutes=args.minutes, peak=args.peak)
    train(
        args.out, start_from=args.start_from, schedule=schedule, seed=args.seed, tokens=args.tokens,
        save_every_minutes=args.save_every,
    )  # fmt: skip


if __name__ == "__main__":
    main()
