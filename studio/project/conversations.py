"""Conversations with a project's models: a tree, because questions are edited and answers drawn anew. Kept as JSON.

Every question has answers of several sides ("base", "tuned"), and of each side several versions. One way through the
tree is shown at a time.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.paths import write_text

_VERSION = 1
_TITLE_LENGTH = 60


@dataclass
class Answer:
    """What a model said.

    Attributes:
        text: as it came; Markdown is not read here.
        model: who said it, for people ("Qwen3-4B, step 800").
        finish: how it ended: stop, length, cancelled, or "" where the worker went away.
        figures: tokens, prompt_tokens, tokens_per_second, ...
        corrected: what it should have said, "" when nobody corrected it.
    """

    text: str
    model: str = ""
    finish: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    corrected: str = ""


@dataclass
class Node:
    """A question with its answers.

    Attributes:
        key: its number in the conversation.
        parent: the question before it, None for the first.
        question: what was asked.
        answers: side -> versions, oldest first.
        shown: side -> which version is shown; the newest where nothing is said.
    """

    key: int
    parent: int | None
    question: str
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)

    def answer(self, side: str) -> Answer | None:
        """The version that is shown."""
        versions = self.answers.get(side, [])
        return versions[self.shown_number(side)] if versions else None

    def shown_number(self, side: str) -> int:
        """Which version is shown, from 0."""
        count = len(self.answers.get(side, []))
        return max(0, min(self.shown.get(side, count - 1), count - 1))

    def add(self, side: str, answer: Answer) -> None:
        """Another version, which is then the one shown."""
        versions = self.answers.setdefault(side, [])
        versions.append(answer)
        self.shown[side] = len(versions) - 1


@dataclass
class Conversation:
    """A tree of questions, and which of them is the last one shown.

    Attributes:
        name: the file's, without its ending.
        system: what the models are told first.
        nodes: by key.
        last: key of the last question shown, None before the first.
    """

    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    system: str = ""
    nodes: dict[int, Node] = field(default_factory=dict)
    last: int | None = None

    @property
    def title(self) -> str:
        """The first question, shortened."""
        first = next(iter(self.path()), None)
        words = " ".join(first.question.split()) if first else "New conversation"
        return words if len(words) <= _TITLE_LENGTH else f"{words[: _TITLE_LENGTH - 1]}…"

    def path(self, until: int | None = None) -> list[Node]:
        """The questions shown, first one first; up to and with `until` when it is given."""
        key = self.last if until is None else until
        found: list[Node] = []
        while key is not None:
            found.append(self.nodes[key])
            key = self.nodes[key].parent
        return found[::-1]

    def ask(self, question: str) -> Node:
        """A question behind the last one shown."""
        return self._add(self.last, question)

    def edit(self, key: int, question: str) -> Node:
        """Another question in the place of `key`; what was said before stays as a branch of its own."""
        return self._add(self.nodes[key].parent, question)

    def branch(self, key: int) -> None:
        """End the path at `key`, so that the next question begins a branch."""
        self.last = key

    def branches(self, key: int) -> list[int]:
        """Keys of the questions that stand in the same place, oldest first."""
        parent = self.nodes[key].parent
        return [node.key for node in self.nodes.values() if node.parent == parent]

    def show_branch(self, key: int) -> None:
        """Show the branch of this question to its newest end."""
        self.last = key
        while following := [node.key for node in self.nodes.values() if node.parent == self.last]:
            self.last = following[-1]

    def messages(self, key: int, side: str) -> list[dict[str, str]]:
        """What a side is given to answer question `key`. Questions that it was never asked are left out."""
        *before, asked = self.path(key)
        turns = [{"role": "system", "content": self.system}] if self.system.strip() else []
        for node in before:
            if (answer := node.answer(side)) is not None:
                turns.append({"role": "user", "content": node.question})
                turns.append({"role": "assistant", "content": answer.corrected or answer.text})
        return [*turns, {"role": "user", "content": asked.question}]

    def _add(self, parent: int | None, question: str) -> Node:
        node = Node(max(self.nodes, default=0) + 1, parent, question)
        self.nodes[node.key] = node
        self.last = node.key
        return node


@dataclass(frozen=True)
class Kept:
    """A conversation in the project's folder. `changed` is in Unix seconds."""

    path: Path
    title: str
    num_questions: int
    changed: float


def save_conversation(folder: Path, conversation: Conversation) -> Path:
    """Write it into the project's folder, atomically."""
    path = _folder(folder) / f"{conversation.name}.json"
    record = {
        "version": _VERSION,
        "title": conversation.title,
        "system": conversation.system,
        "last": conversation.last,
        "nodes": [asdict(node) for node in conversation.nodes.values()],
    }
    write_text(path, json.dumps(record, ensure_ascii=True, indent=1))
    return path


def load_conversation(path: Path) -> Conversation:
    """Read one back.

    Raises:
        UserError: it is not there, damaged, or a newer version's.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["version"] != _VERSION:
            raise UserError(f"{path.name} was written by a newer version.", "Update Tunesmith to read it.")
        nodes = [_node(value) for value in record["nodes"]]
        found = Conversation(path.stem, str(record["system"]), {node.key: node for node in nodes}, record["last"])
        found.path()  # a parent that is missing shows here
        return found
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path.name} is damaged.", "Delete it, or take it from a copy.") from error


def kept_conversations(folder: Path) -> list[Kept]:
    """The project's conversations, newest first; damaged ones are left out."""
    found = []
    for path in _folder(folder).glob("*.json"):
        try:
            conversation = load_conversation(path)
            changed = path.stat().st_mtime
        except (UserError, OSError):
            continue
        if conversation.nodes:
            found.append(Kept(path, conversation.title, len(conversation.nodes), changed))
    return sorted(found, key=lambda kept: -kept.changed)


def _node(value: Mapping[str, Any]) -> Node:
    answers = {side: [Answer(**answer) for answer in versions] for side, versions in value["answers"].items()}
    return Node(int(value["key"]), value["parent"], str(value["question"]), answers, dict(value["shown"]))


def _folder(project: Path) -> Path:
    return project / "chats"
