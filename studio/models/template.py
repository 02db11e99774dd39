"""A model's chat template: jinja in a sandbox, set up as transformers sets it up, plus what the answers' marks say.

Tokens and loss masks are not here; a template turns messages into text and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from studio.errors import UserError
from studio.models.jinja_environment import Marks, make_environment

Messages = Sequence[Mapping[str, Any]]
# Names under which a message's reasoning is passed; the first is the one that templates read.
_REASONING = ("reasoning_content", "thinking", "reasoning")


class TemplateError(Exception):
    """The template refuses these messages; the message is its own sentence."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Messages as text.

    Attributes:
        text: what the model reads.
        generation: character spans `[start, end)` inside `{% generation %}` marks, in order.
    """

    text: str
    generation: tuple[tuple[int, int], ...] = ()


class ChatTemplate:
    """One compiled template. Not safe to render from two threads at once."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        """Compile.

        Args:
            source: the jinja text.
            special_tokens: `bos_token` and the like, as the template names them.

        Raises:
            UserError: the template has a syntax error.
        """
        self.source = source
        self._special_tokens = dict(special_tokens)
        self._environment = make_environment()
        try:
            self._template = self._environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise UserError(
                f"The model's chat template is damaged: line {error.lineno}: {error.message}.",
                "Take chat_template.jinja from the model's origin again.",
            ) from error

    def render(self, messages: Messages, *, tools: Sequence[Any] = (), add_generation_prompt: bool = False) -> Rendered:
        """Messages as text.

        Raises:
            TemplateError: the template refuses them, or fails on them.
        """
        marks: Marks = self._environment.marks  # type: ignore[attr-defined]
        marks.reset()
        try:
            pieces = self._template.generate(
                messages=[_plain_message(message) for message in messages],
                tools=[plain(tool) for tool in tools] or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
            text = marks.collect(pieces)
        except RecursionError as error:
            raise TemplateError("the template never ends on this row") from error
        except Exception as error:
            # A template is a stranger's program: whatever it raises (its own refusal, a missing field, a wrong
            # type) is said about this row and never taken for a fault of ours.
            raise TemplateError(_sentence(error)) from error
        return Rendered(text, marks.proven(text))


def _sentence(error: Exception) -> str:
    said = str(error).strip().split("\n")[0][:300]
    if type(error) is jinja2.TemplateError:
        return said
    return f"the template fails on it ({said or type(error).__name__})"


def _plain_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """JSON types only; empty fields left out, reasoning under every name that templates know."""
    kept = {key: plain(value) for key, value in message.items() if value is not None}
    reasoning = next((kept[name] for name in _REASONING if name in kept), None)
    return kept if reasoning is None else {"thinking": reasoning, **kept, "reasoning_content": reasoning}


def plain(value: Any) -> Any:
    """The value rebuilt from JSON types, so that a template meets no object with methods of its own."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value)
