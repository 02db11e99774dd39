"""A model's chat template: jinja in a sandbox, set up as transformers sets it up, plus what the answers' marks say.

Tokens and loss masks are not here; a template turns messages into text and nothing else.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.utils
from jinja2.sandbox import ImmutableSandboxedEnvironment

from studio.errors import UserError

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
        self._environment = _environment()
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
        marks: _Marks = self._environment.marks  # type: ignore[attr-defined]
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


class _Marks:
    """Remembers where `{% generation %}` blocks begin and end while a template renders."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._length = 0
        self._spans: list[tuple[int, str]] = []

    def collect(self, pieces: Iterator[str]) -> str:
        parts = []
        for piece in pieces:
            parts.append(piece)
            self._length += len(piece)
        return "".join(parts)

    def note(self, text: str) -> None:
        self._spans.append((self._length, text))

    def proven(self, text: str) -> tuple[tuple[int, int], ...]:
        """The spans, or none where a mark sat inside a macro or a `set` block and its place is not what it seemed."""
        if not all(text.startswith(inside, start) for start, inside in self._spans):
            return ()
        return tuple((start, start + len(inside)) for start, inside in self._spans if inside)


class _GenerationTag(jinja2.ext.Extension):
    """`{% generation %} ... {% endgeneration %}`: text that the model is to produce."""

    tags = {"generation"}

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        environment.extend(marks=_Marks())

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_note"), [], [], body).set_lineno(line)

    def _note(self, caller: Callable[[], str]) -> str:
        text = str(caller())
        self.environment.marks.note(text)  # type: ignore[attr-defined]
        return text


class _SafeDict:
    """`dict` for templates without the attributes that lead out of the sandbox."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


class _SafeNamespace(jinja2.utils.Namespace):
    """`namespace` for templates; names with a leading underscore lead to Python's own internals."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        # No named `self`, so that a template may store an entry of that name.
        attributes = dict(*args[1:], **kwargs)
        for name in attributes:
            _check_name(name)
        jinja2.utils.Namespace.__init__(args[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError("a template may not use names with a leading underscore")


def _environment() -> jinja2.Environment:
    """As transformers 5 sets it up (its `utils/chat_template_utils.py`): templates are written against that."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda pattern: datetime.datetime.now().strftime(pattern)
    environment.globals["dict"] = _SafeDict()
    environment.globals["namespace"] = _SafeNamespace
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own `tojson` escapes HTML, which would put `\\u003c` before the model."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> str:
    raise jinja2.TemplateError(message)


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
