"""Smaller answers: gzip for text, kept for files whose address changes with their content, and long cache headers for those.

The middleware that comes with the framework compresses 5 MB of script on the event loop for every visitor, during
which no update leaves; here it happens once, in a thread.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1024  #: smaller answers are sent as they are
INLINE_BYTES = 32 * 1024  #: larger answers are compressed in a thread
MAX_FILE = 16 * 2**20  #: bytes of a file that is collected and compressed
CACHE_BYTES = 32 * 2**20  #: compressed files kept in memory
TEXT = re.compile(rb"(text/|application/(json|javascript|openmetrics)|image/svg)")
FILES = ("/assets/", "/_dash-component-suites/", "/docs/files/")
FOREVER = b"public, max-age=31536000, immutable"


class Compress:
    """ASGI middleware. Answers in several parts (exports) pass unchanged, except static files."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[tuple[str, bytes], bytes] = {}
        self._kept_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        accepts = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
        await self._app(scope, receive, _Answer(self, scope, send, accepts).send)

    async def pack(self, address: tuple[str, bytes], body: bytes, *, keep: bool) -> bytes:
        """``body`` compressed; ``keep`` = the same address will always have the same content."""
        if keep and address in self._kept:
            return self._kept[address]
        packed = await asyncio.to_thread(gzip.compress, body, 6, mtime=0) if len(body) > INLINE_BYTES else gzip.compress(body, 4, mtime=0)
        if keep and self._kept_bytes + len(packed) <= CACHE_BYTES:
            self._kept[address] = packed
            self._kept_bytes += len(packed)
        return packed


class _Answer:
    """One answer on its way out: held back until it is known whether it comes in one part."""

    def __init__(self, owner: Compress, scope: Scope, send: Send, accepts: bool) -> None:
        self._owner, self._send, self._accepts = owner, send, accepts
        self._is_file = scope["path"].startswith(FILES)
        self._forever = self._is_file and (_is_fingerprinted(scope["path"]) or b"m=" in scope["query_string"])
        self._address = (scope["path"], scope["query_string"])
        self._start: dict[str, Any] | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = dict(message)
            self._label()
            return
        if message["type"] != "http.response.body" or self._start is None:
            await self._send(message)
            return
        more = message.get("more_body", False)
        if more and not (self._is_file and self._length() <= MAX_FILE):
            await self._release(message)
            return
        self._body += message.get("body", b"")
        if not more:
            await self._finish()

    def _label(self) -> None:
        assert self._start is not None
        if self._forever and self._start["status"] == 200:
            others = [pair for pair in self._start["headers"] if pair[0].lower() != b"cache-control"]
            self._start["headers"] = [*others, (b"cache-control", FOREVER)]

    def _header(self, name: bytes) -> bytes:
        assert self._start is not None
        return next((value for key, value in self._start["headers"] if key.lower() == name), b"")

    def _length(self) -> int:
        return int(self._header(b"content-length") or MAX_FILE + 1)

    async def _release(self, message: Message) -> None:
        start, self._start = self._start, None
        assert start is not None
        await self._send(start)
        await self._send(message)

    async def _finish(self) -> None:
        assert self._start is not None
        body = bytes(self._body)
        suitable = self._start["status"] == 200 and len(body) >= MIN_BYTES and TEXT.match(self._header(b"content-type"))
        if suitable and not self._header(b"content-encoding"):
            if self._accepts:
                body = await self._owner.pack(self._address, body, keep=self._forever)
            changed = (b"content-length", b"etag") if self._accepts else (b"content-length",)
            headers = [pair for pair in self._start["headers"] if pair[0].lower() not in changed]
            headers += [(b"vary", b"Accept-Encoding"), (b"content-length", str(len(body)).encode())]
            self._start["headers"] = [*headers, (b"content-encoding", b"gzip")] if self._accepts else headers
        await self._release({"type": "http.response.body", "body": body})


def _is_fingerprinted(path: str) -> bool:
    """Dash puts version and modification time into the names of component files."""
    return re.search(r"\.v[0-9a-z_]+m\d+\.", path) is not None
