"""One file of a Hub repository into huggingface_hub's cache, going on where an earlier try stopped.

The library itself resumes within a process only: it throws partial files away when it ends (since its 2.x), which
for gigabytes of weights is the complaint most heard. Metadata, streaming, retries and the cache's layout are its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from studio.errors import UserError
from studio.models import hub_place

_PIECE_BYTES = 2**20


class BlobStore:
    """The place of one commit of one repository in the cache."""

    def __init__(self, name: str, commit: str) -> None:
        """For the repository `name` ("org/model") at `commit` (40 hex digits)."""
        from huggingface_hub.file_download import repo_folder_name  # heavy

        self.name, self.commit = name, commit
        self.folder = hub_place.cache_dir() / repo_folder_name(repo_id=name, repo_type="model")

    def has(self, file: str) -> bool:
        """Whether the file is there already."""
        return self._pointer(file).exists()

    def get(self, file: str, on_bytes: Callable[[float], None]) -> None:
        """Download one file unless its content is there from another revision.

        Args:
            file: its path in the repository.
            on_bytes: told how many of its bytes are here, those of an earlier try included; may raise to stop.

        Raises:
            UserError: what came over is not what the Hub announced.
        """
        from huggingface_hub import get_hf_file_metadata, hf_hub_url  # heavy
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # heavy

        token, endpoint = hub_place.token(), hub_place.endpoint()
        url = hf_hub_url(self.name, file, revision=self.commit, endpoint=endpoint)
        facts = get_hf_file_metadata(url, token=token, endpoint=endpoint)
        assert facts.etag is not None and facts.location is not None
        target = self._target(file, facts.etag)
        partial = self.folder / "blobs" / f"{facts.etag}.tunesmith.part"
        partial.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{partial}.lock"):
            if not target.exists():
                headers = {} if _is_elsewhere(facts.location) else build_hf_headers(token=token)
                _stream(facts.location, partial, headers, facts.size, on_bytes)
                _verify(partial, facts.etag, file)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial, target)
        Path(f"{partial}.lock").unlink(missing_ok=True)

    def _pointer(self, file: str) -> Path:
        return self.folder / "snapshots" / self.commit / file

    def _target(self, file: str, etag: str) -> Path:
        """Where the library looks: by content, or by name on systems without symbolic links."""
        from huggingface_hub.file_download import are_symlinks_supported  # heavy

        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / "blobs" / etag if are_symlinks_supported(self.folder) else self._pointer(file)


def _stream(
    url: str, partial: Path, headers: dict[str, Any], size: int | None, on_bytes: Callable[[float], None]
) -> None:
    from huggingface_hub import constants  # heavy
    from huggingface_hub.file_download import http_get  # heavy

    # The library's pieces of 10 MiB are ten seconds of a slow line: so long would nothing move, and be lost by a pause.
    constants.DOWNLOAD_CHUNK_SIZE = _PIECE_BYTES
    with partial.open("ab") as file:
        here = file.tell()
        if size is not None and here > size:
            file.truncate(0)
            here = 0
        on_bytes(here)
        http_get(
            url,
            file,
            resume_size=here,
            headers={**headers, "Accept-Encoding": "identity"},
            expected_size=size,
            tqdm_class=_meter(on_bytes),
        )


def _meter(on_bytes: Callable[[float], None]) -> Any:
    """What the library takes for a progress bar. It is moved before a piece is written: told is what came before it."""

    class Meter:
        def __init__(self, *_: object, initial: int = 0, **__: object) -> None:
            self.here = initial

        def __enter__(self) -> Meter:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def update(self, count: float | None = 1) -> None:
            on_bytes(self.here)
            self.here += int(count or 0)

    return Meter


def _verify(partial: Path, etag: str, file: str) -> None:
    """An LFS file's tag is its sha256."""
    if len(etag) != 64:
        return
    with partial.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != etag:
        partial.unlink()
        raise UserError(f"{file} came over damaged: its checksum is wrong.", "Start the download again.")


def _is_elsewhere(url: str) -> bool:
    """Whether a file lies on another host than the Hub's: a token must not go there."""
    return urlsplit(url).netloc != urlsplit(hub_place.endpoint()).netloc
