"""Finds units (methods, formats, objectives, optimizers, jobs) by walking their package: one file adds one."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Generic, TypeVar, cast

from studio.errors import UserError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """All units of one kind, each a module-level constant in a file of its own.

    The file's name is the unit's key: a mismatch, or a file without the constant, fails at the first look-up and so
    in every test.
    """

    def __init__(self, package: str, constant: str, what: str) -> None:
        self._package = package
        self._constant = constant
        self._what = what
        self._units: dict[str, T] | None = None
        self._got: dict[str, T] = {}

    def all(self) -> dict[str, T]:
        """Units by key, in order of key."""
        if self._units is None:
            self._units = {name: self._load(name) for name in self._names()}
        return self._units

    def get(self, key: str) -> T:
        """The unit named `key`.

        Raises:
            UserError: nothing has this name; the hint names the nearest one.
        """
        if key not in self._got:
            known = self._names() if self._units is None else list(self._units)
            if key not in known:
                raise UserError(f'There is no {self._what} "{key}".', nearest(key, known))
            # One by one: a worker that runs one job must not pay for the imports of all others.
            self._got[key] = self._load(key)
        return self._got[key]

    def _names(self) -> list[str]:
        package = importlib.import_module(self._package)
        return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name[0] != "_")

    def _load(self, name: str) -> T:
        module: ModuleType = importlib.import_module(f"{self._package}.{name}")
        unit = getattr(module, self._constant)
        key = getattr(unit, "key", name)
        assert key == name, f"{module.__name__}: {self._constant}.key is {key!r}, the file says {name!r}"
        return cast(T, unit)
