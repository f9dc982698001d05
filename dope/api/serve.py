"""How uvicorn has to run our app: which protocols, which bounds in time and size, which headers it must not believe.

uvicorn itself waits for ever for the rest of a request's head, for its body, and for a client to take its answer. The
two protocols here end all three; who shows no request makes room for who does, so a flood of idle sockets shuts nobody out.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from dope.settings import Settings

MAX_WS_MESSAGE = 64 * 1024  #: bytes of one client message; larger → close 1009
MAX_FRAGMENTS = 64  #: parts of one client message; more → close 1009
MAX_FRAMES_S = 200  #: frames of one client per second, of every kind; more → close 1008
SLICE = 4096  #: bytes looked at before asking whether to go on: a full buffer may hold 40,000 tiny frames
LINGER_S = 2.0  #: s that a client has to take what was already written for it, once its end is said
LINGER_BYTES = 1 << 20  #: what it may still send meanwhile; all of it is thrown away
HEAD_S = 5.0  #: s that the head of a request may take, from connecting or from the answer before it was asked for
BODY_S = 10.0  #: s that a body may take
DRAIN_S = 15.0  #: s that an answer may wait for its client to read on
KEEP_ALIVE_S = 20  #: s that a connection may rest between two requests
MAX_HEAD = 32 * 1024  #: bytes of a request's head
MAX_URL = 8 * 1024  #: bytes of an address
MAX_HEADERS = 100
MAX_IDLE = 256  #: connections without a request; the oldest gives way to a newcomer
MAX_BUSY = 512  #: requests and streams under way, beyond the live stream's own clients; further ones get 503


class HttpProtocol(HttpToolsProtocol):
    """The HTTP protocol of uvicorn, plus an end to waiting."""

    #: connections of a server that wait for a request, oldest first
    _idle: ClassVar[WeakKeyDictionary[Any, OrderedDict[HttpProtocol, None]]] = WeakKeyDictionary()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._head_bytes = 0  #: of the head under way; -1 = complete
        self._refusal = 400
        self._queue = self._idle.setdefault(self.server_state, OrderedDict())

    # -- the life of a connection ------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._rest(HEAD_S)
        while len(self._queue) > MAX_IDLE:
            self._queue.popitem(last=False)[0]._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._head_bytes >= 0 and self._deadline is None:
            self._rest(HEAD_S)  # the first bytes of a further request
        self._head_bytes += len(data) if self._head_bytes >= 0 else 0
        super().data_received(data)
        if self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self._refusal = 431
            self.send_400_response("")

    def handle_websocket_upgrade(self) -> None:
        self._leave()
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline and not self.transport.is_closing() and self._head_bytes == 0:
            self._queue[self] = None  # rests until uvicorn's own keep-alive timer ends it

    # -- the parser's calls --------------------------------------------------------------------------------------------
    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            self._refuse(431)

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self._refuse(431)
        self._leave()
        self._head_bytes = -1
        self._deadline = self.loop.call_later(BODY_S, self._cut)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._leave()
        self._head_bytes = 0
        super().on_message_complete()

    def _refuse(self, status: int) -> None:
        self._refusal = status
        raise httptools.HttpParserError(f"refused with {status}")  # comes out of the parser and into send_400_response

    def send_400_response(self, msg: str) -> None:
        words = {400: b"this is no HTTP request", 414: b"this address is too long", 431: b"this request's head is too large"}
        body = b'{"error":"%s","hint":""}' % words[self._refusal]
        self.transport.write(
            STATUS_LINE[self._refusal]
            + b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )  # fmt: skip
        self.transport.close()

    # -- ends ------------------------------------------------------------------------------------------------------------
    def _rest(self, seconds: float) -> None:
        self._queue[self] = None
        self._deadline = self.loop.call_later(seconds, self._cut)

    def _leave(self) -> None:
        self._queue.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        self._leave()
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(DRAIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class LiveProtocol(WebSocketsSansIOProtocol):
    """The WebSocket protocol of uvicorn, plus bounds on what a client may send, and a way to cut off one that never reads."""

    _second = _frames_heard = 0
    _thrown_away: int | None = None  #: bytes since its end was said; None = it goes on

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):  # absent when the handshake was refused
            self.scope["extensions"]["dope.evict"] = {"call": self.evict}  # type: ignore[index]

    def evict(self, code: int, reason: str) -> None:
        """Queue the close frame behind what waits, then cut: a peer that never reads would keep the socket for ever."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self._say_the_end()

    def _say_the_end(self) -> None:
        """Write the close frame and go on reading for a while: closing on bytes unread is a reset, which takes the frame away."""
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_sent = True
        self._thrown_away = 0
        self.loop.call_later(LINGER_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE):
            if self._thrown_away is not None:
                self._throw_away(len(data) - start)
                return
            super().data_received(data[start : start + SLICE])

    def _throw_away(self, count: int) -> None:
        assert self._thrown_away is not None
        self._thrown_away += count
        if self._thrown_away > LINGER_BYTES:
            self.transport.abort()

    def handle_parser_exception(self) -> None:
        """A frame against the protocol: the app hears of it, then the peer."""
        assert self.conn.close_sent is not None
        end = self.conn.close_sent
        self.queue.put_nowait({"type": "websocket.disconnect", "code": end.code, "reason": end.reason})
        self.disconnected = True
        self._say_the_end()

    def handle_text(self, event: Frame) -> None:
        if self._may_go_on():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        if self._may_go_on():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:  # empty parts add nothing to the size of a message, but would go on for ever
            self._end(1009, "too many fragments")
        elif self._may_go_on():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        if self._may_go_on():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._may_go_on():
            super().handle_pong(event)

    def _may_go_on(self) -> bool:
        """Count one more frame; False when that was one too many, or the end has been said already."""
        now = int(self.loop.time())
        self._second, self._frames_heard = now, self._frames_heard + 1 if now == self._second else 1
        if self._frames_heard > MAX_FRAMES_S:
            self._end(1008, "too many frames")
        return not self.disconnected

    def _end(self, code: int, reason: str) -> None:
        """Tell the app, then the peer, whose further frames nobody looks at."""
        if not self.disconnected:
            self.frames = []
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
            self.evict(code, reason)
            self.disconnected = True  # what the app still sends is for nobody


def server_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of ``uvicorn.Config`` for ``settings``."""
    return {
        "host": settings.host,
        "port": settings.port,
        "http": HttpProtocol,
        "ws": LiveProtocol,
        "ws_max_size": MAX_WS_MESSAGE,
        "ws_per_message_deflate": False,  # 15 ms of CPU per client-update against 0.04
        "proxy_headers": False,  # any local program could otherwise choose the address that it is counted under
        "server_header": False,
        "access_log": False,
        "log_config": None,  # its words go where ours go, see logs.py
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": 3,
        "limit_concurrency": settings.max_clients + MAX_IDLE + MAX_BUSY,
    }
