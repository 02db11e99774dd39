"""A GGUF file that answers, by llama.cpp. Runs in a worker only: a crash in native code ends its process."""

from __future__ import annotations

import atexit
import codecs
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.models.template import ChatTemplate, Messages, TemplateError
from studio.spec.sampling import Finish, Sampling

MOST_CONTEXT = 8192  # positions kept in memory when nobody says how many
_NO_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"


def open_llama(
    file: Path, *, adapter: Path | None = None, context_length: int = 0, keeps_all_logits: bool = False
) -> Any:
    """Load a GGUF file with the settings that this computer's processor needs.

    Args:
        file: the file.
        adapter: a GGUF adapter to put onto it.
        context_length: positions to make room for; 0 takes `MOST_CONTEXT`.
        keeps_all_logits: whether the logits of every position are kept, (positions, vocabulary) fp32.

    Raises:
        UserError: llama.cpp cannot read the file.
    """
    import llama_cpp  # heavy
    from llama_cpp._logger import set_verbose

    from studio.machine.llama_health import prepare

    set_verbose(False)
    prepare()
    _assert_gguf(file)
    if adapter:
        _assert_gguf(adapter)
    try:
        model = llama_cpp.Llama(
            str(file),
            n_ctx=context_length or MOST_CONTEXT,
            n_batch=512,
            n_gpu_layers=-1,
            logits_all=keeps_all_logits,
            lora_path=str(adapter) if adapter else None,
            verbose=False,
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"llama.cpp cannot read {(adapter or file).name}: {error}", "The file is damaged or needs a newer version."
        ) from error
    atexit.register(model.close)  # left to the interpreter's end, it would be freed after what frees it
    return model


class LlamaChat:
    """One GGUF file in conversation. The start of a conversation that was read before is not read again.

    Attributes:
        name: for people.
        context_length: positions there is room for.
        num_bytes: what it takes in memory, the conversation not counted.
    """

    def __init__(self, file: Path) -> None:
        """Load it. See `open_llama`."""
        self.name = file.name
        self._model = open_llama(file)
        metadata = self._model.metadata
        self._template = ChatTemplate(
            metadata.get("tokenizer.chat_template", _NO_TEMPLATE), special_tokens(self._model, metadata)
        )
        self._stop_ids = _end_tokens(self._model)
        self.context_length = min(self._model.n_ctx(), self._model._model.n_ctx_train() or MOST_CONTEXT)
        self.num_bytes = file.stat().st_size

    def prompt(self, messages: Messages) -> tuple[str, int]:
        """A conversation up to where the answer begins, by the template in the file, and its number of tokens.

        Raises:
            UserError: the template refuses these messages.
        """
        text = self._render(messages)
        return text, len(self._tokens(text))

    def stream(
        self, messages: Messages, *, sampling: Sampling, is_cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[str, None, Finish]:
        """Yield the answer in pieces; the generator returns how it ended.

        Raises:
            UserError: the conversation fills the model's context.
        """
        prompt = self._tokens(self._render(messages))
        room = self.context_length - len(prompt)
        if room <= 0:
            raise UserError(
                f"The conversation is too long: {len(prompt)} tokens, there is room for {self.context_length}.",
                "Start a new conversation or shorten it.",
            )
        # A character may lie across tokens; the decoder holds its first bytes back.
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        reason, count = "length", 0
        for token in self._draw(prompt, sampling):
            if is_cancelled():
                reason = "cancelled"
                break
            if token in self._stop_ids:
                reason = "stop"
                break
            count += 1
            if piece := decoder.decode(self._model._model.detokenize([token])):
                yield piece
            if count >= min(room, sampling.max_tokens):
                break
        if rest := decoder.decode(b"", final=True):
            yield rest
        return Finish(reason, count, len(prompt))  # type: ignore[arg-type]

    def _render(self, messages: Messages) -> str:
        try:
            return self._template.render(messages, add_generation_prompt=True).text
        except TemplateError as error:
            raise UserError(f"The model's chat template refuses this conversation: {error}.") from error

    def _tokens(self, text: str) -> list[int]:
        return list(self._model.tokenize(text.encode("utf-8"), add_bos=False, special=True))

    def _draw(self, prompt: list[int], sampling: Sampling) -> Any:
        self._model.set_seed(0xFFFFFFFF if sampling.seed is None else sampling.seed)  # all ones: llama.cpp draws one
        return self._model.generate(
            prompt,
            temp=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repeat_penalty=sampling.repeat_penalty,
        )


def special_tokens(model: Any, metadata: dict[str, str]) -> dict[str, str]:
    """`bos_token` and the like, as templates name them, from a GGUF's metadata."""
    named = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    keys = {name: f"tokenizer.ggml.{key}_token_id" for name, key in named.items()}
    return {name: model._model.token_get_text(int(metadata[key])) for name, key in keys.items() if key in metadata}


def _end_tokens(model: Any) -> frozenset[int]:
    """Tokens that end an answer, by llama.cpp's own judgement of the file."""
    import llama_cpp  # heavy

    vocabulary = llama_cpp.llama_model_get_vocab(model.model)
    return frozenset(token for token in range(model.n_vocab()) if llama_cpp.llama_vocab_is_eog(vocabulary, token))


def _assert_gguf(file: Path) -> None:
    if not file.is_file():
        raise UserError(f"{file} is not there.", "Check the path.")
    with file.open("rb") as opened:
        if opened.read(4) != b"GGUF":
            raise UserError(f"{file.name} is no GGUF file.", "Choose a file that ends in .gguf.")
