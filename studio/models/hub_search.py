"""Looking models up on the Hub: what a search finds, and what getting one of them would take. Nothing is downloaded."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from studio.errors import UserError
from studio.models import hub, hub_place
from studio.models.hub_errors import translated
from studio.models.hub_files import BlobStore

_LIMIT = 40
_KNOCK_SECONDS = 6.0
_SHOWN: list[Any] = ["safetensors", "gated", "downloads", "likes", "tags", "pipeline_tag", "lastModified"]
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2}


@dataclass(frozen=True)
class FoundModel:
    """One line of a search.

    Attributes:
        name: "org/model".
        parameters, weight_bytes: 0 when the Hub does not say.
        licence: as the model's page says it ("apache-2.0"), "" when it does not.
        is_gated: whether its owners want their terms accepted first.
        downloads, likes: in the last month; ever.
        is_here: whether it is in the cache, complete.
    """

    name: str
    parameters: int
    weight_bytes: int
    licence: str
    is_gated: bool
    downloads: int
    likes: int
    is_here: bool


@dataclass(frozen=True)
class Offer:
    """What getting a model would take.

    Attributes:
        name: "org/model".
        total_bytes: of the files that are wanted.
        missing_bytes: of those that are not here yet.
        free_bytes: on the disk that takes them.
    """

    name: str
    total_bytes: int
    missing_bytes: int
    free_bytes: int

    @property
    def short_bytes(self) -> int:
        """How much room is lacking; 0 when it fits."""
        return max(0, self.missing_bytes + hub.SPARE_BYTES - self.free_bytes)


def search(words: str) -> list[FoundModel]:
    """Models that can be trained whose names match, the most used first. A link to a model's page finds that model.

    Raises:
        UserError: offline, unreachable, or no Hub at all.
    """
    query = name_in(words)
    hub.refuse_offline("The Hub cannot be searched")
    with translated(query, ""), _answering():
        _knock()
        listed = hub.api().list_models(
            search=query, filter="safetensors", sort="downloads", limit=_LIMIT, expand=_SHOWN
        )
        return [_found(info) for info in listed if _is_language_model(info)]


def offer(name: str, revision: str = "") -> Offer:
    """What downloading a model would take.

    Raises:
        UserError: it does not exist, is gated, has no safe weights, or the Hub cannot be reached.
    """
    hub.refuse_offline(f"The model {name} is not on this computer")
    with translated(name, revision):
        commit, sizes = hub.wanted_files(name, revision)
    store = BlobStore(name, commit)
    missing = sum(size for file, size in sizes.items() if not store.has(file))
    folder = next(place for place in [store.folder, *store.folder.parents] if place.exists())
    return Offer(name, sum(sizes.values()), missing, shutil.disk_usage(folder).free)


def name_in(words: str) -> str:
    """What to look for in what was typed or pasted: a link's "org/model", else the words."""
    text = words.strip()
    if "://" not in text:
        return text
    parts = [part for part in urlsplit(text).path.split("/") if part]
    return "/".join(parts[:2])


def page_of(name: str) -> str:
    """The address of a model's page, where terms are read and accepted."""
    return f"{hub_place.endpoint()}/{name}"


def _knock() -> None:
    """One try of a few seconds: the library itself goes on trying for half a minute, while somebody waits."""
    from huggingface_hub import get_session  # heavy

    get_session().head(hub_place.endpoint(), timeout=_KNOCK_SECONDS)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """A search that cannot reach the Hub is no word about a model."""
    import httpx2  # heavy

    try:
        yield
    except httpx2.TransportError as error:
        host = urlsplit(hub_place.endpoint()).netloc
        raise UserError(f"{host} does not answer.", "Models on this computer work as before.") from error


def _is_language_model(info: Any) -> bool:
    """What writes text; models without a stated use are shown, and checked when chosen."""
    return info.pipeline_tag in (None, "text-generation", "image-text-to-text", "any-to-any")


def _found(info: Any) -> FoundModel:
    counts = info.safetensors.parameters if info.safetensors else {}
    return FoundModel(
        name=str(info.id),
        parameters=int(info.safetensors.total) if info.safetensors else 0,
        weight_bytes=sum(_BYTES.get(kind, 1) * count for kind, count in counts.items()),
        licence=next((tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")), ""),
        is_gated=bool(info.gated),
        downloads=int(info.downloads or 0),
        likes=int(info.likes or 0),
        is_here=hub.find_cached(str(info.id)) is not None,
    )
