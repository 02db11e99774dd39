"""The sandbox that chat templates run in, as transformers sets it up, and the tag that marks answers."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.utils
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Marks:
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
        environment.extend(marks=Marks())

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


def make_environment() -> jinja2.Environment:
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
