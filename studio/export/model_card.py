"""README.md of what is exported: where it came from and how it was made, as model cards on the Hub have it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from studio.project.tuned import Tuned


def model_card(tuned: Tuned, library: str) -> str:
    """README.md: where it came from and how it was made, with what machines read in front (Hub model cards)."""
    front: dict[str, Any] = {
        "library_name": library,
        "base_model": tuned.base_name,
        "tags": ["tunesmith"],
        **_licence(tuned.base),
    }
    lines = [f"# {tuned.name}", "", f"{tuned.base_name}, fine-tuned with Tunesmith.", ""]
    return "---\n" + yaml.safe_dump(front, sort_keys=True) + "---\n\n" + "\n".join([*lines, *_how(tuned)]) + "\n"


def _how(tuned: Tuned) -> list[str]:
    if tuned.run is None:
        return []
    spec, state = tuned.run.spec(), tuned.run.state()
    rows = [
        ("Data", Path(spec.data.path).name),
        ("Learned from", spec.data.train_on.replace("_", " ")),
        ("Method", json.dumps(spec.method.model_dump(mode="json"))),
        ("Optimizer", json.dumps(spec.optimizer.model_dump(mode="json"))),
        ("Learning rate", spec.train.learning_rate),
        ("Steps", tuned.step or state.step),
        ("Rows a step", spec.train.batch_size * spec.train.accumulation),
        ("Held-out loss before", state.first_eval),
        ("Held-out loss after", state.best_eval),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows if value is not None)]


def _licence(base: Path) -> dict[str, Any]:
    """The base's licence, as its own card says it: what is tuned from it stays under it."""
    readme = base / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    if not text.startswith("---"):
        return {}
    try:
        front = yaml.safe_load(text.split("---")[1])
    except yaml.YAMLError:
        return {}
    front = front if isinstance(front, dict) else {}
    return {key: front[key] for key in ("license", "license_name", "license_link", "language") if key in front}
