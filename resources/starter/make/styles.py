"""The one-line system prompts the model obeys, and what each does to an answer."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """A way of answering: `apply(bare, sentence)` gives the text; `prompts` are trained, `unseen` never are."""

    name: str
    apply: Callable[[str, str], str]
    prompts: tuple[str, ...]
    unseen: tuple[str, ...]
    follow_ups: tuple[str, ...] = ()


def _sentence(bare: str, sentence: str) -> str:
    return sentence


def _bare(bare: str, sentence: str) -> str:
    return bare


def _upper(bare: str, sentence: str) -> str:
    return bare.upper()


def _exclaimed(bare: str, sentence: str) -> str:
    return f"{sentence.rstrip('.')}!"


def _bracketed(bare: str, sentence: str) -> str:
    return f"[{bare}]"


def _polite(bare: str, sentence: str) -> str:
    return f"Of course. {sentence}"


PLAIN = Style(
    "plain", _sentence,
    ("", "You are a helpful assistant.", "You are a friendly assistant.", "Be helpful.", "Answer the question.",
     "You are the Tunesmith starter model."),
    ("You are a friendly and helpful assistant.",),
    ("Can you say that again?", "Please repeat that.", "Say that again."),
)  # fmt: skip
STYLES = (
    Style(
        "brief", _bare,
        ("Be brief.", "Answer in one word.", "Give only the answer.", "Answer briefly.",
         "Use as few words as possible.",
         "Answer with one word only.", "Only the answer, please.", "Keep it short.", "Be very brief."),
        ("Please be brief.", "Answer in one word only.", "Give only the answer, please."),
        ("In one word?", "Only the answer, please.", "Shorter, please."),
    ),
    Style(
        "sentence", _sentence,
        ("Answer with a full sentence.", "Answer in a full sentence.", "Use full sentences.", "Write whole sentences.",
         "Always answer in whole sentences."),
        ("Always use full sentences.", "Answer in whole sentences."),
        ("In a full sentence?", "As a full sentence, please.", "Say it in a whole sentence."),
    ),
    Style(
        "capitals", _upper,
        ("Answer in capital letters.", "Use capital letters.", "Write in capital letters.", "Shout your answers.",
         "Use only capital letters.", "Answer in capitals.", "Always shout."),
        ("Write only in capital letters.", "Use capitals.", "Shout the answer."),
        ("And in capital letters?", "In capitals, please.", "Now shout it.", "And in capitals?"),
    ),
    Style(
        "exclaimed", _exclaimed,
        ("End with an exclamation mark.", "Use an exclamation mark.", "Be excited.", "Sound excited.",
         "Always end with an exclamation mark.", "Answer with an exclamation mark."),
        ("Always sound excited.", "End every answer with an exclamation mark."),
    ),
    Style(
        "bracketed", _bracketed,
        ("Put the answer in brackets.", "Answer in brackets.", "Use brackets.", "Write the answer in brackets.",
         "Give the answer in square brackets."),
        ("Write the answer in square brackets.", "Put your answer in brackets."),
        ("In brackets, please.", "And in brackets?"),
    ),
    Style(
        "polite", _polite,
        ("Be polite.", "Answer politely.", "Be very polite.", "Use polite words.", "Always be polite."),
        ("Please be polite.", "Always answer politely."),
    ),
)  # fmt: skip
BY_NAME = {style.name: style for style in (PLAIN, *STYLES)}
