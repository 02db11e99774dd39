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
# Private-use characters: no template looks for them, and no row has them in this order.
_STAND_IN = "\ue0a7\ue1b3\ue0a7"


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
    again with it. When both are beginnings of the whole text, the answer is what lies between. Templates that write
    a turn differently in the middle (old reasoning dropped, tools moved to the last question) are asked in another
    way, see `_swapped_span`.

    Raises:
        RowError: the place of an answer cannot be proven.
    """
    # A first turn that is an answer has no cue before it from which it could be learned.
    answers = [at for at, message in enumerate(messages) if message["role"] == "assistant" and at > 0]
    if not answers:
        raise RowError("has no question before its answer")
    return [_answer_span(messages, at, whole, example, tokenizer) for at in answers]


def _answer_span(messages: _Dicts, at: int, whole: str, example: Example, tokenizer: ChatTokenizer) -> Span:
    cue = _render(tokenizer, messages[:at], example, cue=True).text
    is_last = at == len(messages) - 1
    upto = whole if is_last else _render(tokenizer, messages[: at + 1], example).text
    if upto.startswith(cue) and whole.startswith(upto) and len(upto) > len(cue):
        return len(cue), len(upto)
    return _swapped_span(messages, at, whole, cue, example, tokenizer)


def _swapped_span(messages: _Dicts, at: int, whole: str, cue: str, example: Example, tokenizer: ChatTokenizer) -> Span:
    """The answer's place, proven by swapping its text for another: nothing but this place may change.

    Where the template writes reasoning that is part of the text, swapping all of it changes more than that; then
    the cue tells the beginning, and swapping the last line alone proves the end.

    Raises:
        RowError: more changes than that, or what stands in the place is not the answer.
    """
    content = str(messages[at]["content"]).strip()
    has_cue = whole.startswith(cue)
    place = _swap(messages, at, "", content, whole, example, tokenizer)
    if place is not None and has_cue and len(cue) <= place[0]:
        return len(cue), place[1]
    if place is not None:
        # A space before the answer belongs to its first token, and no cue claims it.
        return len(whole[: place[0]].rstrip(" ")), place[1]
    above, line_break, last = content.rpartition("\n")
    place = _swap(messages, at, above + line_break, last, whole, example, tokenizer) if has_cue and above else None
    if place is None or len(cue) > place[0]:
        raise RowError(
            f"cannot be split for certain: the model's chat template writes turn {at + 1} in a way that hides "
            "where the answer begins or ends"
        )
    return len(cue), place[1]


def _swap(
    messages: _Dicts, at: int, kept: str, swapped: str, whole: str, example: Example, tokenizer: ChatTokenizer
) -> Span | None:
    """Where `swapped`, the end of answer `at`, stands in the whole text; None when that is not certain."""
    other = [*messages[:at], {**messages[at], "content": kept + _STAND_IN}, *messages[at + 1 :]]
    head, found, tail = _render(tokenizer, other, example).text.partition(_STAND_IN)
    start, end = len(head), len(whole) - len(tail)
    if not found or start >= end or not whole.startswith(head) or not whole.endswith(tail):
        return None
    shown = whole[start:end].strip()
    return (start, end) if shown and swapped.endswith(shown) else None


def _render(tokenizer: ChatTokenizer, messages: _Dicts, example: Example, *, cue: bool = False) -> Rendered:
    try:
        return tokenizer.render(messages, tools=example.tools, add_generation_prompt=cue)
    except TemplateError as error:
        raise RowError(f"is refused by the model's chat template: {error}") from error
