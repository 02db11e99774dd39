"""Which characters of a rendered conversation are answers: from the template's marks, or from proven prefixes.

Never from marker strings written by hand. Tokens are made in `studio.data.encoding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from studio.data.conversation import Example, RowError
from studio.models.template import Rendered, TemplateError
from studio.models.tokenizer import ChatTokenizer

TrainOn = Literal["answers", "last_answer", "everything"]
Span = tuple[int, int]
_Dicts = Sequence[Mapping[str, Any]]


def render_example(example: Example, tokenizer: ChatTokenizer, train_on: TrainOn) -> tuple[str, list[Span]]:
    """The text of a conversation and the character spans to learn, in order.

    Raises:
        RowError: the template refuses the row, loses its text, or its answers cannot be told apart for certain.
    """
    messages = [message.as_dict() for message in example.messages]
    whole = _render(tokenizer, messages, example)
    check_nothing_lost(example, whole.text)
    if train_on == "everything":
        return whole.text, [(0, len(whole.text))]
    if not any(message["role"] == "assistant" for message in messages):
        raise RowError("has no answer to learn from")
    spans = list(whole.generation) or prefix_spans(messages, whole.text, example, tokenizer)
    return whole.text, spans[-1:] if train_on == "last_answer" else spans


def check_nothing_lost(example: Example, text: str) -> None:
    """A template that drops what the user said would train on nonsense.

    Raises:
        RowError: a turn's text is not in the rendering.
    """
    for at, message in enumerate(example.messages, 1):
        if message.role == "tool" or message.content.strip() in text:
            continue
        # Templates trim lines, and a few drop an earlier answer's reasoning: answers are compared by their last line.
        lines = [line.strip() for line in message.content.strip().splitlines()]
        wanted = lines[-1:] if message.role == "assistant" else lines
        if any(line not in text for line in wanted):
            raise RowError(f"loses its text in the model's chat template: turn {at} ({message.role}) is not in it")


def prefix_spans(messages: _Dicts, whole: str, example: Example, tokenizer: ChatTokenizer) -> list[Span]:
    """Spans of the answers for a template without marks.

    For each answer the conversation is rendered up to it with the cue for an answer (the generation prompt), and
    again with it. Both must be beginnings of the whole text; the answer is what lies between.

    Raises:
        RowError: that cannot be proven for an answer.
    """
    spans = []
    for at, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        if at == 0:
            continue  # nothing comes before it, so there is no cue from which it could be learned
        spans.append(_answer_span(messages, at, whole, example, tokenizer))
    if not spans:
        raise RowError("has no question before its answer")
    return spans


def _answer_span(messages: _Dicts, at: int, whole: str, example: Example, tokenizer: ChatTokenizer) -> Span:
    before = _render(tokenizer, messages[:at], example, cue=True).text
    is_last = at == len(messages) - 1
    upto = whole if is_last else _render(tokenizer, messages[: at + 1], example).text
    start = _start(before, upto, whole, str(messages[at]["content"] or ""), example, tokenizer, messages[:at])
    if whole.startswith(upto):
        return start, len(upto)
    end = _end(upto[start:], whole, start, str(messages[at]["content"] or ""))
    if end is None:
        raise RowError(f"cannot be split for certain: the chat template writes turn {at + 1} differently in the middle")
    return start, end


def _start(
    cue: str, upto: str, whole: str, content: str, example: Example, tokenizer: ChatTokenizer, earlier: _Dicts
) -> int:
    """Where the answer begins: behind the cue, or behind the part of the cue that stands before the answer's text."""
    if upto.startswith(cue) and whole.startswith(cue):
        return len(cue)
    # Some templates cue more than they keep (an opened reasoning block): the header must be a beginning of the cue.
    bare = _render(tokenizer, earlier, example).text
    place = whole.find(content.strip(), len(bare)) if content.strip() and whole.startswith(bare) else -1
    if place < 0 or not (cue.startswith(whole[:place]) and upto.startswith(whole[:place])):
        raise RowError("cannot be split for certain: the chat template's cue for an answer is no beginning of the row")
    return place


def _end(piece: str, whole: str, start: int, content: str) -> int | None:
    """Where an answer ends that the template shortens in the middle of a conversation (it drops old reasoning).

    `piece` is what the template writes for it as the last turn. The whole text must hold, from `start` on, an end
    of that piece which closes with the same end of turn.
    """
    last_line = content.strip().rpartition("\n")[2]
    closing = piece[piece.rfind(last_line) + len(last_line) :] if last_line and last_line in piece else ""
    if not closing.strip():
        return None
    found, at = None, whole.find(closing, start)
    while at >= 0 and at - start <= len(piece):
        end = at + len(closing)
        if piece.endswith(whole[start:end]) and last_line in whole[start:end]:
            found = end
        at = whole.find(closing, at + 1)
    return found


def _render(tokenizer: ChatTokenizer, messages: _Dicts, example: Example, *, cue: bool = False) -> Rendered:
    try:
        return tokenizer.render(messages, tools=example.tools, add_generation_prompt=cue)
    except TemplateError as error:
        raise RowError(f"is refused by the model's chat template: {error}") from error
