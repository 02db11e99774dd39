"""Models from the Hub: which of a repository's files are needed, whether they fit, and getting them into the cache.

The cache is huggingface_hub's own, so that other programs share it. How one file comes over is in `hub_files`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.models import hub_place
from studio.models.hub_errors import translated
from studio.models.hub_files import BlobStore
from studio.sizes import human_bytes

Progress = Callable[[float, float, str], None]

# Config, tokenizer, template, weights, licence. Never pickles, never code.
WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "LICENSE*", "NOTICE*", "README.md"]
UNWANTED = ["*/*", "consolidated*.safetensors", "*.fp16.safetensors", "*.bin.index.json", "*.py"]
SPARE_BYTES = 500_000_000  # a disk filled to its last byte takes other programs down


def fetch(name: str, revision: str = "", *, on_progress: Progress | None = None) -> Path:
    """The cached folder of a Hub model, downloaded where needed. An interrupted download goes on where it stopped.

    Args:
        name: "org/model".
        revision: branch, tag or commit; "" is the main branch.
        on_progress: (bytes done, bytes in all, what); may raise to stop.

    Raises:
        UserError: not found, gated, offline, unreachable, no safe weights, not enough disk.
    """
    cached = find_cached(name, revision)
    if cached is not None and (hub_place.is_offline() or _is_commit(revision)):
        return cached
    with translated(name, revision):
        try:
            return _download(name, revision, on_progress or (lambda done, total, what: None))
        except Exception as error:
            if cached is not None and _is_unreachable(error):
                return cached
            raise


def find_cached(name: str, revision: str = "") -> Path | None:
    """The complete cached folder of a model, or None. Never touches the network."""
    from huggingface_hub import snapshot_download  # heavy

    try:
        folder = snapshot_download(
            name,
            revision=revision or None,
            cache_dir=hub_place.cache_dir(),
            local_files_only=True,
            allow_patterns=WANTED,
            ignore_patterns=UNWANTED,
        )
    except (OSError, ValueError):  # not there, or only in part
        return None
    path = Path(folder)
    return path if (path / "config.json").is_file() and any(path.glob("*.safetensors")) else None


def api() -> Any:
    """The Hub's client, for the address and the token of this moment."""
    from huggingface_hub import HfApi  # heavy

    return HfApi(endpoint=hub_place.endpoint(), token=hub_place.token())


def refuse_offline(what: str) -> None:
    """Refuse what needs the network while offline.

    Raises:
        UserError: the sentence begins with `what`.
    """
    if hub_place.is_offline():
        raise UserError(
            f"{what}, and offline mode is on.",
            "Switch offline mode off (in Preferences, or HF_HUB_OFFLINE=0), or name a model folder.",
        )


def wanted_files(name: str, revision: str = "") -> tuple[str, dict[str, int]]:
    """The commit a revision means, and the files worth having with their sizes.

    Raises:
        UserError: the repository holds nothing that can be trained.
    """
    info = api().model_info(name, revision=revision or None, files_metadata=True)
    return str(info.sha), _choose(name, {file.rfilename: int(file.size or 0) for file in info.siblings or []})


def commit_of(folder: Path) -> str:
    """The commit a cached folder holds ("" for any other folder): its name in the cache."""
    return folder.name if folder.parent.name == "snapshots" and _is_commit(folder.name) else ""


def _download(name: str, revision: str, on_progress: Progress) -> Path:
    refuse_offline(f"The model {name} is not on this computer")
    from huggingface_hub import snapshot_download  # heavy

    commit, sizes = wanted_files(name, revision)
    store = BlobStore(name, commit)
    missing = {file: size for file, size in sizes.items() if not store.has(file)}
    _check_disk(name, sum(missing.values()), store.folder)
    _get_all(store, missing, on_progress)
    folder = snapshot_download(
        name,
        revision=revision or None,
        cache_dir=hub_place.cache_dir(),
        endpoint=hub_place.endpoint(),
        token=hub_place.token(),
        allow_patterns=WANTED,
        ignore_patterns=UNWANTED,
        tqdm_class=_silent_bar(),
    )
    return Path(folder)


def _choose(name: str, sizes: dict[str, int]) -> dict[str, int]:
    """The files worth having, with their sizes."""
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # heavy

    chosen = list(filter_repo_objects(sizes, allow_patterns=WANTED, ignore_patterns=UNWANTED))
    if "config.json" not in chosen:
        kind = "only GGUF files" if any(file.endswith(".gguf") for file in sizes) else "no config.json"
        raise UserError(
            f"{name} is not a model that can be trained: it has {kind}.", "Take the original that it was made from."
        )
    if not any(file.endswith(".safetensors") for file in chosen):
        raise UserError(
            f"{name} has no safetensors weights; pickled ones can run code when they are opened.",
            "Look for a copy or a revision of it that has .safetensors files.",
        )
    return {file: sizes[file] for file in chosen}


def _check_disk(name: str, needed: int, folder: Path) -> None:
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise UserError(
            f"{name} needs {human_bytes(needed)} more, and {folder} has {human_bytes(free)} free.",
            "Free some space, or point HF_HOME at a disk that has it.",
        )


def _get_all(store: BlobStore, missing: dict[str, int], on_progress: Progress) -> None:
    total, done = float(sum(missing.values())), 0.0
    for file, size in missing.items():
        store.get(file, lambda here, what=file, before=done: on_progress(before + here, total, what))  # type: ignore[misc]
        done += size
        on_progress(done, total, file)


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and all(character in "0123456789abcdef" for character in revision)


def _is_unreachable(error: Exception) -> bool:
    import httpx2  # heavy

    return isinstance(error, httpx2.TransportError)


def _silent_bar() -> Any:
    """A progress bar that shows nothing: progress has been told already, and a terminal is not ours to draw on."""
    from tqdm import tqdm  # type: ignore[import-untyped]  # heavy

    class Silent(tqdm):  # type: ignore[misc, unused-ignore]
        def __init__(self, *values: Any, **options: Any) -> None:
            super().__init__(*values, **{**options, "disable": True})

    return Silent
