"""A card made of ordinary memory, under the name "cuda", where PyTorch was built without one.

`plug_in()` has to come before anything imports torch. From then on the process has one card: what runs on it is
computed by the processor, but tensors of two devices do not mix, memory has an end, and what `non_blocking` copies is
late. Kernels, speed, bf16 on a card and bitsandbytes' own kernels are not shown by it: those take a real one.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

NAME = "Pretended card"
BYTES = 4 << 30
_SOURCE = Path(__file__).with_name("pretend.cpp")


def can_be_made() -> bool:
    return sys.platform == "linux" and _compiler() is not None


def library(cache: Path) -> Path | None:
    """The compiled card, made once for each source and version of torch; None where there is no compiler."""
    if not can_be_made():
        return None
    torch = _torch_folder()
    key = hashlib.sha256(_SOURCE.read_bytes() + (torch / "version.py").read_bytes()).hexdigest()[:16]
    made = cache / f"pretended-card-{key}{sysconfig.get_config_var('SHLIB_SUFFIX')}"
    if not made.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        partial = made.with_suffix(f".{os.getpid()}")
        headers = [f"-I{torch / 'include'}", f"-I{torch / 'include/torch/csrc/api/include'}"]
        libraries = [f"-L{torch / 'lib'}", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{torch / 'lib'}"]
        options = ["-O1", "-std=c++20", "-fPIC", "-shared"]
        subprocess.run([_compiler(), *options, _SOURCE, "-o", partial, *headers, *libraries], check=True)
        partial.rename(made)
    return made


def plug_in(made: Path) -> None:
    """Give this process the card.

    Raises:
        RuntimeError: torch was imported before.
    """
    if "torch" in sys.modules:
        raise RuntimeError("torch has looked for a card already")
    os.environ["TORCHDYNAMO_DISABLE"] = "1"  # bitsandbytes would have its products by 4 bits compiled, for minutes
    ctypes.CDLL(str(_torch_folder() / "lib" / "libtorch_global_deps.so"), mode=ctypes.RTLD_GLOBAL)
    card = _Card(ctypes.CDLL(str(made)))
    import bitsandbytes  # noqa: F401 - before there is a card, or it would look for kernels of its own
    import torch

    for name in [name for name in dir(card) if not name.startswith("_")]:
        setattr(torch.cuda, name, getattr(card, name))
    torch.cuda._lazy_init = _nothing
    torch.cuda.Event = lambda **_: _Event(card)  # type: ignore[misc,assignment]
    _Stream.library = card._library
    torch.cuda.Stream = _Stream  # type: ignore[misc,assignment]
    torch.cuda.stream = _aside  # type: ignore[assignment]
    torch.cuda.current_stream = _OwnStream  # type: ignore[assignment]
    torch.nn.functional.scaled_dot_product_attention = _without_scores(torch.nn.functional.scaled_dot_product_attention)


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "c++"))


def _torch_folder() -> Path:
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def _without_scores(attend: Callable[..., Any]) -> Callable[..., Any]:
    """As kernels of a card do, and unlike what torch does on a device that it has no kernel for."""
    import torch

    quick = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
                  is_causal: bool = False, scale: Any = None, enable_gqa: bool = False) -> Any:  # fmt: skip
        if not query.is_cuda or dropout_p or query.shape[-1] != value.shape[-1]:
            return attend(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
        if torch.is_autocast_enabled("cuda"):
            query, key, value = (x.to(torch.get_autocast_dtype("cuda")) for x in (query, key, value))
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, float("-inf"))
        return quick(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]

    return attention


def _nothing() -> None:
    pass


class _Card:
    """What of `torch.cuda` the program and its libraries ask for."""

    def __init__(self, library: Any) -> None:
        for name in ("used", "peak", "moment"):
            getattr(library, f"card_{name}").restype = ctypes.c_int64
        library.card_set_capacity.argtypes = library.card_wait.argtypes = [ctypes.c_int64]
        library.card_follow.argtypes = [ctypes.c_int64]
        library.card_pin.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        library.card_unpin.argtypes = [ctypes.c_size_t]
        self._library = library
        library.card_set_capacity(BYTES)

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def is_bf16_supported(self, including_emulation: bool = True) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def set_device(self, device: Any) -> None:
        pass

    def get_device_name(self, device: Any = None) -> str:
        return NAME

    def get_device_capability(self, device: Any = None) -> tuple[int, int]:
        return 8, 6

    def get_device_properties(self, device: Any = None) -> Any:
        return SimpleNamespace(name=NAME, total_memory=BYTES, major=8, minor=6, multi_processor_count=1)

    def synchronize(self, device: Any = None) -> None:
        _wait(self._library, self._library.card_moment())

    def memory_allocated(self, device: Any = None) -> int:
        return int(self._library.card_used())

    def memory_reserved(self, device: Any = None) -> int:
        return int(self._library.card_used())

    def max_memory_allocated(self, device: Any = None) -> int:
        return int(self._library.card_peak())

    def max_memory_reserved(self, device: Any = None) -> int:
        return int(self._library.card_peak())

    def reset_peak_memory_stats(self, device: Any = None) -> None:
        self._library.card_forget_peak()

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return BYTES - self.memory_allocated(), BYTES

    def set_per_process_memory_fraction(self, fraction: float, device: Any = None) -> None:
        self._library.card_set_capacity(int(fraction * BYTES))

    def empty_cache(self) -> None:
        pass

    def get_rng_state(self, device: Any = "cuda") -> Any:
        import torch

        return torch.get_rng_state()

    def set_rng_state(self, state: Any, device: Any = "cuda") -> None:
        import torch

        torch.set_rng_state(state)

    def get_rng_state_all(self) -> list[Any]:
        return [self.get_rng_state()]

    def set_rng_state_all(self, states: list[Any]) -> None:
        self.set_rng_state(states[0])

    def manual_seed(self, seed: int) -> None:
        pass  # its generator is the processor's, which has been seeded

    manual_seed_all = manual_seed

    def cudart(self) -> Any:
        return SimpleNamespace(
            cudaHostRegister=lambda bytes_, size, flags: self._library.card_pin(bytes_, size),
            cudaHostUnregister=lambda bytes_: self._library.card_unpin(bytes_),
        )

    @contextlib.contextmanager
    def device(self, device: Any) -> Iterator[None]:
        yield


def _wait(library: Any, moment: int) -> None:
    if not library.card_wait(moment):
        raise RuntimeError("pinned memory was written into while the card could still read it")


class _Stream:
    """Another than the card's own; what it copies is late enough without waiting for anything."""

    library: Any

    def __init__(self, device: object = None) -> None:
        self._device = device

    def wait_event(self, event: _Event) -> None:
        pass


class _OwnStream(_Stream):
    """What others copied before an event is there for what comes after."""

    def wait_event(self, event: _Event) -> None:
        self.library.card_follow(event._moment)


@contextlib.contextmanager
def _aside(stream: _Stream) -> Iterator[None]:
    stream.library.card_step_aside(1)
    try:
        yield
    finally:
        stream.library.card_step_aside(0)


class _Event:
    """A moment of the card's work."""

    def __init__(self, card: _Card) -> None:
        self._library, self._moment = card._library, 0

    def record(self, stream: Any = None) -> None:
        self._moment = int(self._library.card_moment())

    def synchronize(self) -> None:
        _wait(self._library, self._moment)
