"""Facts of a model on the Hub before anything of it is downloaded: its config and its tensors' headers, kilobytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.errors import UserError
from studio.models import hub, hub_place
from studio.models.facts import ModelFacts, facts_of
from studio.models.hub_errors import translated

_MOST_FILES = 64  # each weight file is a request
_SECONDS = 15.0


def fetch_facts(name: str, revision: str = "") -> ModelFacts:
    """What `read_facts` would say once the model is here; its `folder` is only the model's name.

    Raises:
        UserError: offline, not found, gated, no safe weights, unreachable.
    """
    hub.refuse_offline(f"The model {name} is not on this computer")
    with translated(name, revision):
        commit, sizes = hub.wanted_files(name, revision)
        weights = [file for file in sizes if file.endswith(".safetensors")]
        if len(weights) > _MOST_FILES:
            raise UserError(f"{name} has {len(weights)} weight files, too many to look into.", "Download it first.")
        headers = {tensor: header for file in weights for tensor, header in _headers(name, file, commit)}
        config = _read_json(name, "config.json", commit)
        tokenizer = "tokenizer_config.json"
        return facts_of(
            Path(name), config, headers, sizes, _read_json(name, tokenizer, commit) if tokenizer in sizes else {}
        )


def _headers(name: str, file: str, commit: str) -> list[tuple[str, dict[str, Any]]]:
    """Of one weight file, by one ranged request."""
    found = hub.api().parse_safetensors_file_metadata(name, file, revision=commit, timeout=_SECONDS)
    return [
        (tensor, {"dtype": info.dtype, "shape": info.shape, "data_offsets": info.data_offsets})
        for tensor, info in found.tensors.items()
    ]


def _read_json(name: str, file: str, commit: str) -> dict[str, Any]:
    """A small file's content, past the cache: a model that was only looked at is no unfinished download."""
    from huggingface_hub import get_session, hf_hub_url  # heavy
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # heavy

    url = hf_hub_url(name, file, revision=commit, endpoint=hub_place.endpoint())
    answer = get_session().get(
        url, headers=build_hf_headers(token=hub_place.token()), timeout=_SECONDS, follow_redirects=True
    )
    hf_raise_for_status(answer)
    try:
        value = answer.json()
    except ValueError as error:
        raise UserError(f"{file} of {name} is damaged: it is not readable as JSON.", "Take another model.") from error
    if not isinstance(value, dict):
        raise UserError(f"{file} of {name} is damaged: it holds no settings.", "Take another model.")
    return value
