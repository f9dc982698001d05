"""HTTP on a loopback port of its own, for venues whose REST takes POST: the WebSocket library reads GET only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

MAX_HEAD = 16 * 1024  #: bytes of a request's head
MAX_BODY = 64 * 1024  #: bytes of a request's body; what is behind them nobody reads

#: (method, path with query, body) → (status, headers of its own, body)
Answer = Callable[[str, str, bytes], Awaitable[tuple[int, tuple[tuple[str, str], ...], bytes]]]


class RestPort:
    """One request per connection."""

    def __init__(self, answer: Answer) -> None:
        self.port = 0
        self.listen: Callable[..., Awaitable[asyncio.Server]] = asyncio.start_server
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def up(self) -> None:
        """Listen; after ``down`` on the same port as before. Raises OSError if another has taken it meanwhile."""
        self._server = await self.listen(self._serve, "127.0.0.1", self.port, limit=MAX_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Stop listening."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            asked = await reader.readexactly(min(int(fields.get("content-length", "0")), MAX_BODY))
            status, headers, body = await self._answer(method, target, asked)
            first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json"
            first += "".join(f"\r\n{name}: {value}" for name, value in headers)
            writer.write(f"{first}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass  # no request, or the client went away: nothing to do for a server
        finally:
            writer.close()
