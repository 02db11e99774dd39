"""A small server that speaks the Hub's protocol: search, and one repository's info, tree, files with ranges and tags.

It can be slow, gated, broken or cut connections, as tests ask.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LFS_BYTES = 10_000  # files above this count as LFS: their tag is their sha256


@dataclass
class Hub:
    """What the server holds and how it behaves.

    Attributes:
        name: the repository.
        files: path -> content.
        listed: what a search may find, as the Hub's API tells it.
        gated, broken: answer with 403 or 500.
        pause: seconds between pieces of 64 KiB.
        cut_after: bytes of a body after which the connection is cut, once; 0 never.
        damaged: answer content that is not what the tags say.
        requests: (method, path, Range header) as they came.
        tokens: tokens that came with requests.
    """

    name: str
    files: dict[str, bytes]
    listed: list[dict[str, Any]] = field(default_factory=list)
    gated: bool = False
    broken: bool = False
    pause: float = 0.0
    cut_after: int = 0
    damaged: bool = False
    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    sent_bytes: int = 0
    tokens: set[str] = field(default_factory=set)

    def sizes_asked(self) -> list[int]:
        """Where each ranged request began."""
        return [int(re.findall(r"\d+", found)[0]) for _, _, found in self.requests if found]


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve `hub` on a free port of this machine; its `url` is set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def etag_of(content: bytes) -> str:
    """sha256 for large files, git's blob hash for small ones, as the Hub does."""
    if len(content) > _LFS_BYTES:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        self.hub.tokens.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if self.hub.broken:
            self._json({"error": "broken"}, status=500)
        elif path == "/api/models":
            self._json(self._search())
        elif f"/{self.hub.name}" not in path:
            self._json({"error": "no"}, status=404, code="RepoNotFound")
        elif self.hub.gated:
            self._json({"error": "gated"}, status=403, code="GatedRepo")
        elif "/nosuch" in path:
            self._json({"error": "no"}, status=404, code="RevisionNotFound")
        elif path.startswith("/api/") and "/tree/" in path:
            self._json([_tree_entry(name, content) for name, content in self.hub.files.items()])
        elif path.startswith("/api/"):
            self._json(self._info())
        else:
            self._file(path.split("/resolve/")[1].split("/", 1)[1], has_body=has_body)

    def _search(self) -> list[dict[str, Any]]:
        asked = parse_qs(urlsplit(self.path).query)
        words = asked.get("search", [""])[0].lower()
        return [model for model in self.hub.listed if words in model["id"].lower()][: int(asked["limit"][0])]

    def _info(self) -> dict[str, Any]:
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": "0" * 40} for name, content in self.hub.files.items()
        ]
        return {"_id": "1", "id": self.hub.name, "modelId": self.hub.name, "sha": COMMIT, "siblings": siblings}

    def _json(self, value: Any, *, status: int = 200, code: str = "") -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _file(self, name: str, *, has_body: bool) -> None:
        content = self.hub.files[name]
        start = int(re.findall(r"\d+", self.headers.get("Range", "bytes=0-"))[0])
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("ETag", f'"{etag_of(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if has_body:
            self._send(content[start:])

    def _send(self, body: bytes) -> None:
        if self.hub.damaged:
            body = bytes(len(body))
        for offset in range(0, len(body), 1 << 16):
            if self.hub.cut_after and offset >= self.hub.cut_after:
                self.hub.cut_after = 0
                self.close_connection = True
                return
            piece = body[offset : offset + (1 << 16)]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(piece)
                self.hub.sent_bytes += len(piece)
            time.sleep(self.hub.pause)


def _tree_entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
    if len(content) > _LFS_BYTES:
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry
