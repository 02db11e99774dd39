"""Where the optimizer's memory of frozen weights waits for their next turn: nowhere, in RAM, or on the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import torch

from studio.engine.checkpoint import load_tensors, save_tensors
from studio.engine.prepared import Base
from studio.errors import UserError

Left = Literal["drop", "ram", "disk", "keep"]
State = dict[str, Any]


class Parking:
    """Nowhere: what is left here is gone."""

    def put(self, name: str, state: State) -> None:
        """Leave a parameter's state."""

    def take(self, name: str) -> State:
        """Fetch it; empty when there is none."""
        return {}

    def state(self) -> dict[str, State]:
        """What a checkpoint must hold in its own file."""
        return {}

    def load_state(self, state: dict[str, State]) -> None:
        """Put back what `state` gave."""

    def save(self, weights: Path) -> None:
        """Put what is no part of `state` into the checkpoint whose weights lie there."""

    def close(self) -> None:
        """The run has ended."""


class InRam(Parking):
    """In the computer's own memory."""

    def __init__(self) -> None:
        self._parked: dict[str, State] = {}

    def put(self, name: str, state: State) -> None:
        """Leave it."""
        self._parked[name] = moved(state, torch.device("cpu"))

    def take(self, name: str) -> State:
        """Fetch it."""
        return self._parked.pop(name, {})

    def state(self) -> dict[str, State]:
        """All of it."""
        return self._parked

    def load_state(self, state: dict[str, State]) -> None:
        """All of it."""
        self._parked = state


class OnDisk(Parking):
    """A file for each parameter. A file never changes, so that a checkpoint needs no copy of it: a second name does."""

    def __init__(self, base: Base) -> None:
        """Begin with what the checkpoint has that is taken up."""
        own = f"parked-{os.environ.get('RANK', '0')}"  # every process parks its own
        self._folder = (base.workspace or Path(tempfile.mkdtemp())) / own
        shutil.rmtree(self._folder, ignore_errors=True)  # of a session that was killed
        self._folder.mkdir(parents=True)
        if base.resume is not None:
            _give_second_names(_beside(base.resume), self._folder)

    def put(self, name: str, state: State) -> None:
        """Write it.

        Raises:
            UserError: the disk is full.
        """
        part = self._folder / f".{name}.part"
        try:
            save_tensors(moved(state, torch.device("cpu")), part)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"The optimizer's memory of frozen layers cannot be written: {error}",
                "Make room on the disk and resume the run, or set method.frozen_state to drop.",
            ) from error
        os.replace(part, self._file(name))

    def take(self, name: str) -> State:
        """Read it; its file is needed no more."""
        file = self._file(name)
        if not file.is_file():
            return {}
        state: State = load_tensors(file)
        file.unlink()
        return state

    def save(self, weights: Path) -> None:
        """Beside the weights, in the same checkpoint."""
        _give_second_names(self._folder, _beside(weights))

    def close(self) -> None:
        """What is still needed lies in checkpoints."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.pt"


def open_parking(left: Left, base: Base) -> Parking:
    """Where state waits that is `left` behind."""
    if left == "disk":
        return OnDisk(base)
    return InRam() if left == "ram" else Parking()


def moved(state: State, device: torch.device) -> State:
    """A parameter's state on a device."""
    return {key: value.to(device) if torch.is_tensor(value) else value for key, value in state.items()}


def _beside(weights: Path) -> Path:
    """Not inside: weights become a result, which needs no optimizer."""
    return weights.parent / "parked"


def _give_second_names(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.pt")):
        try:
            os.link(path, target / path.name)
        except OSError:  # a file system that knows no second names
            shutil.copyfile(path, target / path.name)
