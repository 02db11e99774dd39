"""The Modelfile that Ollama makes a model from: file, template and stop words.

Ollama has a template language of its own. The model's template is put into it only where a plain form of it (fixed
text around each role's message) is proven to give the same text; otherwise Ollama is left to recognise the template
that the GGUF file carries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from studio.errors import UserError
from studio.models.template import TemplateError
from studio.models.tokenizer import ChatTokenizer
from studio.paths import write_text

Messages = tuple[tuple[str, str], ...]
_TRIALS: tuple[Messages, ...] = (
    (("user", "one"),),
    (("system", "be kind"), ("user", "one")),
    (("user", "one"), ("assistant", "two"), ("user", "three")),
    (
        ("system", "be kind"),
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
        ("assistant", "4"),
        ("user", "5"),
    ),
)


@dataclass(frozen=True)
class PlainTemplate:
    """A chat template as fixed text around messages.

    Attributes:
        default_system: what stands in front when there is no system message.
        around: role -> text before and behind its message.
        answer: what stands before the answer that is asked for.
    """

    default_system: str
    around: dict[str, tuple[str, str]]
    answer: str

    def render(self, messages: Messages) -> str:
        """Text of a conversation that ends with a question."""
        start = "" if messages[0][0] == "system" else self.default_system
        body = "".join(self.around[role][0] + text + self.around[role][1] for role, text in messages)
        return start + body + self.answer

    def in_go(self) -> str:
        """As Ollama writes templates (Go's text/template)."""
        branches = [
            f'if eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{behind}{{{{ '
            for role, (before, behind) in self.around.items()
        ]
        start = f"{{{{ if not .System }}}}{self.default_system}{{{{ end }}}}" if self.default_system else ""
        return f"{start}{{{{ range .Messages }}}}{{{{ {'else '.join(branches)}end }}}}{{{{ end }}}}{self.answer}"


def write_modelfile(file: Path, base: Path) -> Path:
    """Write `<name>.Modelfile` beside a GGUF file."""
    path = file.with_suffix(".Modelfile")
    write_text(path, modelfile(file.name, ChatTokenizer.load(base)))
    return path


def modelfile(file_name: str, tokenizer: ChatTokenizer) -> str:
    """The text of the Modelfile."""
    lines = [
        f"# ollama create NAME -f {file_name.removesuffix('.gguf')}.Modelfile",
        f"FROM ./{file_name}",
        *(f"PARAMETER stop {json.dumps(text, ensure_ascii=False)}" for text in _stop_words(tokenizer)),
    ]
    plain = plain_template(tokenizer)
    if plain is None:
        lines.append("# The chat template is in the GGUF file; Ollama uses it where it knows its family.")
    else:
        lines.append(f'TEMPLATE """{plain.in_go()}"""')
    return "\n".join(lines) + "\n"


def plain_template(tokenizer: ChatTokenizer) -> PlainTemplate | None:
    """The model's template as fixed text around messages; None where it is more than that."""
    if tokenizer.template is None:
        return None
    try:
        plain = _read_off(tokenizer)
        is_equal = all(plain.render(trial) == _render(tokenizer, trial) for trial in _TRIALS)
    except (UserError, TemplateError):
        return None
    text = plain.default_system + "".join("".join(pair) for pair in plain.around.values()) + plain.answer
    return plain if is_equal and '"""' not in text and "{{" not in text else None


def _read_off(tokenizer: ChatTokenizer) -> PlainTemplate:
    """The fixed text between marked messages. Where two pieces always stand together, either may hold both."""
    marked = tuple((role, f"@{role}@") for role in ("system", "user", "assistant", "user"))
    text, pieces = _render(tokenizer, marked), []
    for _, mark in marked:
        before, _, text = text.partition(mark)
        pieces.append(before)
    start, after_system, after_user, after_answer = pieces
    alone = _render(tokenizer, (("user", "@user@"),)).partition("@user@")[0]
    question = _common_end(_common_end(after_system, after_answer), alone)
    end = after_answer.removesuffix(question)
    shared = end if after_user.startswith(end) and text.startswith(end) else ""
    return PlainTemplate(
        default_system=alone.removesuffix(question),
        around={
            "system": (start, after_system.removesuffix(question)),
            "user": (question, shared),
            "assistant": (after_user.removeprefix(shared), end),
        },
        answer=text.removeprefix(shared),
    )


def _common_end(one: str, two: str) -> str:
    length = 0
    while length < min(len(one), len(two)) and one[-1 - length] == two[-1 - length]:
        length += 1
    return one[len(one) - length :]


def _render(tokenizer: ChatTokenizer, messages: Messages) -> str:
    """Without the start token that llama.cpp itself puts in front."""
    text = tokenizer.render(
        [{"role": role, "content": text} for role, text in messages], add_generation_prompt=True
    ).text
    in_front = tokenizer.decode(tokenizer.added_by_default[0], skip_special=False)
    return text.removeprefix(in_front)


def _stop_words(tokenizer: ChatTokenizer) -> list[str]:
    return [tokenizer.decode([token], skip_special=False) for token in sorted(tokenizer.stop_ids)]
