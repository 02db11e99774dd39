"""Answers in torch: the same tokens as transformers' generate, whole characters, settings that mean what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.engine.generate import TextStream, generate, stream
from studio.engine.sampling import make_generator, pick
from studio.errors import UserError
from studio.spec.sampling import Sampling
from tests.helpers.toy_models import make_toy


class PlainDecoder:
    """The smallest thing that decodes."""

    def __init__(self, folder: Path, stop: frozenset[int] = frozenset()) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.stop_ids = stop

    def decode(self, ids: list[int], *, skip_special: bool = True) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=skip_special))

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy(tmp_path_factory.mktemp("toy"), "llama", initializer_range=0.3)


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "qwen3_moe"])
def test_greedy_equals_transformers(tmp_path: Path, family: str) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(make_toy(tmp_path, family, initializer_range=0.3))
    decoder = PlainDecoder(tmp_path)
    prompt = decoder.encode("What is the capital of France?")
    text = generate(model, decoder, prompt, sampling=Sampling(temperature=0, max_tokens=90))
    theirs = model.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=90, min_new_tokens=90, eos_token_id=None
    )
    assert text == decoder.decode(theirs[0, len(prompt) :].tolist())


def test_answer_ends_at_a_stop_token_and_says_so(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).train()
    decoder = PlainDecoder(folder)
    prompt = decoder.encode("Hello")
    third = _greedy_ids(model, prompt, 3)[-1]
    answer = stream(model, PlainDecoder(folder, frozenset({third})), prompt, sampling=Sampling(temperature=0))
    finish = _finish(answer)
    assert finish.reason == "stop" and finish.num_tokens < 3
    assert model.training, "the model goes back to the mode it was in"


def test_cancel_and_a_prompt_without_room(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, decoder = AutoModelForCausalLM.from_pretrained(folder), PlainDecoder(folder)
    assert _finish(stream(model, decoder, [5], is_cancelled=lambda: True)).reason == "cancelled"
    with pytest.raises(UserError, match="512"):
        generate(model, decoder, [5] * 512)
    long = _finish(stream(model, decoder, [5] * 500, sampling=Sampling(temperature=0)))
    assert (long.reason, long.num_tokens) == ("length", 12)


def test_pieces_join_to_the_text_and_hold_no_broken_character(folder: Path) -> None:
    decoder = PlainDecoder(folder)
    text = "Größe 東京 🙂 naïve 👩‍👩‍👧 it's"
    pieces = TextStream(decoder)
    parts = [pieces.push(token) for token in decoder.encode(text)]
    assert "".join(parts) + pieces.flush() == text
    assert all("\ufffd" not in part for part in parts)


def test_filters_keep_what_they_promise() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))

    def drawn(**settings: Any) -> set[int]:
        sampling = Sampling(**{"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "seed": 1, **settings})
        generator = make_generator(sampling, torch.device("cpu"))
        return {pick(logits, sampling=sampling, generator=generator) for _ in range(300)}

    assert drawn() == {0, 1, 2, 3}
    assert drawn(top_k=2) == {0, 1}
    assert drawn(top_p=0.6) == {0, 1}
    assert drawn(min_p=0.25) == {0, 1, 2}
    assert pick(logits, sampling=Sampling(temperature=0, repeat_penalty=10), recent=[0]) == 1


def test_same_seed_same_answer(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, decoder = AutoModelForCausalLM.from_pretrained(folder), PlainDecoder(folder)
    before = torch.get_rng_state()
    one, two, other = (
        generate(model, decoder, [5, 6], sampling=Sampling(temperature=1.5, seed=seed, max_tokens=20))
        for seed in (1, 1, 2)
    )
    assert one == two != other
    assert torch.equal(before, torch.get_rng_state()), "an answer leaves a training run's randomness alone"


def _greedy_ids(model: Any, prompt: list[int], count: int) -> list[int]:
    ids = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=count, eos_token_id=None)
    return list(ids[0, len(prompt) :].tolist())


def _finish(answer: Any) -> Any:
    while True:
        try:
            next(answer)
        except StopIteration as end:
            return end.value
