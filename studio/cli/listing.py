"""What a bundle holds, as lines for a terminal."""

from __future__ import annotations

from rich.console import Console

from studio.project.bundle_rules import Manifest, Origin
from studio.sizes import human_bytes


def print_contents(manifest: Manifest, console: Console) -> None:
    """Project, runs, model, data and every file with its size."""
    console.print(f'Project "{manifest.project}" of {manifest.created}, with {len(manifest.runs)} runs')
    console.print(f"  model: {_origin(manifest.model)}")
    console.print(f"  data:  {_origin(manifest.data)}")
    for entry in manifest.files:
        console.print(f"  {human_bytes(entry.bytes):>10}  {entry.path}")
    console.print(f"  {human_bytes(sum(entry.bytes for entry in manifest.files)):>10}  in all")


def _origin(origin: Origin) -> str:
    where = "included" if origin.is_included else "not included" if origin.is_local else "from the Hub or bundled"
    mark = f", fingerprint {origin.fingerprint[:12]}" if origin.fingerprint else ""
    return f"{origin.name} ({where}{mark})"
