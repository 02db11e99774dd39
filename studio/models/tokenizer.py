"""A model's tokenizer and chat template as one object, for training, chat and export alike. No torch here."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import UserError
from studio.models import tokenizer_files
from studio.models.template import ChatTemplate, Messages, Rendered, TemplateError

if TYPE_CHECKING:
    import tokenizers

_PROBE = "probe-3f9a1c"


class ChatTokenizer:
    """Text to tokens and back, and conversations to text.

    Attributes:
        folder: where it was loaded from.
        backend: the `tokenizers.Tokenizer`; neither truncates nor pads.
    """

    def __init__(self, folder: Path, backend: tokenizers.Tokenizer, files: tokenizer_files.TokenizerFiles) -> None:
        """Use `load`."""
        self.folder = folder
        self.backend = backend
        self._files = files
        self._templates = {name: ChatTemplate(source, files.special_tokens) for name, source in files.templates.items()}

    @classmethod
    def load(cls, folder: Path) -> ChatTokenizer:
        """Read the tokenizer of a model folder.

        Raises:
            UserError: there is none, or it is damaged.
        """
        import tokenizers  # heavy

        files = tokenizer_files.read(folder)
        try:
            backend = tokenizers.Tokenizer.from_str(files.tokenizer_json)
        except Exception as error:
            # tokenizers raises bare Exception for whatever it dislikes in the file.
            raise UserError(
                f"The tokenizer of {folder.name} cannot be read: {error}.", "Download the model again."
            ) from error
        backend.no_truncation()
        backend.no_padding()
        return cls(folder, backend, files)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ChatTokenizer.load, (self.folder,))

    @functools.cached_property
    def vocab_size(self) -> int:
        """Token ids that it can produce, added tokens included."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    @property
    def bos_id(self) -> int | None:
        """Start of text, None where the model has none."""
        return self._special_id("bos_token")

    @property
    def eos_id(self) -> int | None:
        """End of text, None where the model has none."""
        return self._special_id("eos_token")

    @property
    def pad_id(self) -> int:
        """What fills the rest of a batch (masked, so any token will do)."""
        own = self._special_id("pad_token")
        if own is not None:
            return own
        return self.eos_id if self.eos_id is not None else 0

    @property
    def template(self) -> str | None:
        """The chat template's source, None where the model has none."""
        default = self._templates.get("default")
        return default.source if default else None

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 over everything that decides how text becomes tokens."""
        parts = [self._files.tokenizer_json, self._files.templates, self._files.special_tokens, sorted(self.stop_ids)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()

    @functools.cached_property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer: what the model's files say, and what its template puts behind an answer."""
        named = {*self._files.eos_ids, self.eos_id, self._turn_end_id()} - {None}
        return frozenset(token for token in named if isinstance(token, int))

    @functools.cached_property
    def added_by_default(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tokens that this tokenizer puts before and behind plain text by its own convention."""
        ids = self.backend.encode("a", add_special_tokens=True).ids
        bare = self.backend.encode("a", add_special_tokens=False).ids
        starts = [at for at in range(len(ids)) if ids[at : at + len(bare)] == bare]
        if not bare or not starts:
            return (), ()
        return tuple(ids[: starts[0]]), tuple(ids[starts[0] + len(bare) :])

    @functools.cached_property
    def folds_system(self) -> bool:
        """True when the template refuses a system message, so that it is put before the first question instead."""
        if "default" not in self._templates:
            return False
        question = {"role": "user", "content": _PROBE}
        return not self._accepts([{"role": "system", "content": "s"}, question]) and self._accepts([question])

    def encode(self, text: str) -> list[int]:
        """Token ids; special tokens written in the text are recognised, none is added."""
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[tokenizers.Encoding]:
        """As `encode`, for many texts at once on all cores, with the places of the tokens. Releases the interpreter."""
        return list(self.backend.encode_batch(list(texts), add_special_tokens=False))

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Text of token ids."""
        return str(self.backend.decode(list(ids), skip_special_tokens=skip_special))

    def token_id(self, token: str) -> int | None:
        """The id of a token by its exact spelling."""
        found = self.backend.token_to_id(token)
        return None if found is None else int(found)

    def render(
        self,
        messages: Messages,
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        add_generation_prompt: bool = False,
    ) -> Rendered:
        """Messages as the text that the model reads.

        Raises:
            UserError: the model has no chat template.
            TemplateError: the template refuses these messages.
        """
        template = self._templates.get("tool_use" if tools else "default") or self._templates.get("default")
        if template is None:
            raise UserError(
                f"{self.folder.name} has no chat template, so it cannot hold conversations.",
                "Take the model's instruct or chat edition, or train on plain text rows.",
            )
        if self.folds_system:
            messages = fold_system(messages)
        return template.render(messages, tools=tools, add_generation_prompt=add_generation_prompt)

    def encode_prompt(self, messages: Messages, tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
        """Token ids of a conversation up to where the answer begins. Raises as `prompt` does."""
        return self.encode(self.prompt(messages, tools))

    def prompt(self, messages: Messages, tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """A conversation as the model reads it, up to where the answer begins.

        Raises:
            UserError: there is no template, or it refuses these messages.
        """
        try:
            return self.render(messages, tools=tools, add_generation_prompt=True).text
        except TemplateError as error:
            raise UserError(f"The model's chat template refuses this conversation: {error}.") from error

    def _accepts(self, messages: Messages) -> bool:
        try:
            return _PROBE in self._templates["default"].render(messages).text
        except TemplateError:
            return False

    def _special_id(self, name: str) -> int | None:
        token = self._files.special_tokens.get(name)
        return None if token is None else self.token_id(token)

    def _turn_end_id(self) -> int | None:
        """The first special token that the template writes behind an answer."""
        if "default" not in self._templates:
            return None
        try:
            messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": _PROBE}]
            behind = self._templates["default"].render(messages).text.rpartition(_PROBE)[2]
        except TemplateError:
            return None
        special = {token for token, added in self.backend.get_added_tokens_decoder().items() if added.special}
        return next((token for token in self.encode(behind) if token in special), None)


def fold_system(messages: Messages) -> Messages:
    """Put a leading system message before the first question, for templates that know no system role."""
    if len(messages) < 2 or messages[0].get("role") != "system" or messages[1].get("role") != "user":
        return messages
    system, user = messages[0], messages[1]
    joined = f"{system.get('content') or ''}\n\n{user.get('content') or ''}"
    return [{**user, "content": joined}, *messages[2:]]
