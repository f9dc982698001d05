"""The clients of a stream from handshake to close: who gets a place, who may read, what waits for each, what each may say.

All streams (``live.py``, ``relays.py``, ``features.py``) let their clients in here, so that the bounds are the same on each.
Client → server: ``{"type":"resync"}``, ``{"type":"seen",…}`` (``Seen``),
``{"type":"ping","c":ms}`` → ``{"type":"pong","c","t"}``; where reading
needs a token that came neither as header nor as cookie, first of all ``{"type":"auth","token":"…"}``.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import orjson
from loguru import logger
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from dope.api.rates import block
from dope.api.tokens import Access, Tokens
from dope.errors import DopeError
from dope.settings import Settings

QUEUE = 64  #: messages waiting for one client; when full they are replaced by one fresh snapshot
DRAIN_S = 10.0  #: s that one message may take to leave before its client is closed
RETRY_S = 10  #: s after which a client that found no place may try again
KEEPALIVE_S = 1.0  #: longest silence
AUTH_S = 5.0  #: s that a client without header or cookie has for its first message, the token
MAX_REQUESTS_S = 50  #: messages a client may send us per second

BAD_MESSAGE, TOO_BIG, TRY_LATER = 1008, 1009, 1013  #: WebSocket close codes
MAX_MESSAGE = 64 * 1024  #: bytes of one client message
MAX_REASON = 123  #: bytes of the words in a close frame

class Seen(msgspec.Struct, frozen=True):
    """What a page says of itself: whether it is looked at, and that the row of a self-test has come."""

    shown: bool
    n: int = 0  #: number of the self-test, 0 = none
    t: float = 0.0  #: when it came, ms UTC by the server's clock as far as the page knows it; 0 = it does not
    screen: tuple[float, float, int] | None = None  #: event → screen as the page measured it: ms p50, ms p99, updates


State = Callable[[], str]  #: gives the whole state as one message


class Ended(DopeError):
    """A client has to go: WebSocket close code and why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason.encode()[:MAX_REASON].decode(errors="ignore")


class Outbox:
    """What one client still has to get; never more than ``limit`` messages."""

    def __init__(self, limit: int = QUEUE) -> None:
        self._limit = limit
        self._texts: deque[str] = deque()
        self._snapshot_due = True
        self._wake = asyncio.Event()
        self._wake.set()
        self.sent = 0  #: messages that have left
        self.page = 0  #: ns: when a page of the dashboard last said that somebody looks at it; 0 = none, or nobody

    def put(self, text: str) -> bool:
        """Queue a delta; False when the queue was full and a snapshot takes the place of all that waited."""
        if self._snapshot_due:
            return True  # the snapshot is built when it is sent and will contain this change
        return self.reply(text)

    def reply(self, text: str) -> bool:
        """Queue an answer, which no snapshot can replace."""
        if len(self._texts) >= self._limit:
            self.restart()
            return False
        self._texts.append(text)
        self._wake.set()
        return True

    def restart(self) -> None:
        """Forget what waits; the next thing to send is a fresh snapshot."""
        self._texts.clear()
        self._snapshot_due = True
        self._wake.set()

    async def take(self) -> str | None:
        """Next text to send; None = build a snapshot now."""
        await self._wake.wait()
        snapshot = self._snapshot_due
        self._snapshot_due = False
        text = None if snapshot else self._texts.popleft()
        if not self._texts:
            self._wake.clear()
        return text


Enter = Callable[[Outbox], AbstractAsyncContextManager[State]]  #: lets a client into a stream for as long as it stays; may raise Ended


class Places:
    """How many clients there may be at once, on all streams together and of one address. Lives on the web server's event loop."""

    def __init__(self, settings: Settings) -> None:
        self._total, self._per_address = settings.max_clients, settings.max_clients_per_address
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """False when all are taken."""
        if self._taken.total() >= self._total or self._taken[address] >= self._per_address:
            return False
        self._taken[address] += 1
        return True

    def give_back(self, address: str) -> None:
        self._taken -= Counter((address,))


class ConnectionManager:
    """Sees each client of one stream through its life. Lives on the web server's event loop."""

    def __init__(self, tokens: Tokens, places: Places, *, clock_ns: Callable[[], int]) -> None:
        self._tokens, self._places, self._clock_ns = tokens, places, clock_ns
        self.drain_s, self.auth_s = DRAIN_S, AUTH_S
        self.counts: Counter[str] = Counter()  #: messages, evicted, refused, resyncs
        self.on_seen: Callable[[Outbox, Seen], None] = lambda outbox, seen: None
        self.on_subscribe: Callable[[Outbox, list[str]], None] | None = None  #: where a client may change what it follows

    async def serve(self, socket: WebSocket, enter: Enter) -> None:
        """One client from accept to close; ``enter`` is called when it is known that it may read."""
        address = socket.client.host if socket.client else ""
        if not self._places.take(block(address)):
            self.counts["refused"] += 1
            await socket.send_denial_response(Response(status_code=503, headers={"Retry-After": str(RETRY_S)}))
            return
        try:
            await socket.accept()
            if await self._admitted(socket, address):
                outbox = Outbox()
                async with enter(outbox) as snapshot:
                    await self._attend(socket, outbox, snapshot)
        except Ended as end:
            if socket.client_state is WebSocketState.CONNECTED:
                await socket.close(end.code, end.reason)
        finally:
            self._places.give_back(block(address))

    async def _admitted(self, socket: WebSocket, address: str) -> bool:
        """Whether the client may read; one that has shown nothing yet must do so in its first message."""
        need = self._tokens.needed("GET", socket.scope["path"])
        if socket.scope.get("dope.access", Access.NOTHING) >= need:
            return True
        try:
            async with asyncio.timeout(self.auth_s):
                message = await socket.receive()
        except TimeoutError:
            message = {"type": "websocket.receive"}
        if message["type"] != "websocket.receive":
            return False
        token = _token_in(message.get("text") or "")
        if token and (verdict := self._tokens.of_token(token, address)).access >= need and not verdict.status:
            return True
        self.counts["refused"] += 1
        raise Ended(BAD_MESSAGE, "the first message must be the token")

    async def _attend(self, socket: WebSocket, outbox: Outbox, snapshot: State) -> None:
        """Send and listen until either ends."""
        tasks = {
            asyncio.create_task(self._send(socket, outbox, snapshot), name="live sender"),
            asyncio.create_task(self._listen(socket, outbox), name="live listener"),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception) and not isinstance(end, WebSocketDisconnect):
                raise end

    async def _send(self, socket: WebSocket, outbox: Outbox, snapshot: State) -> None:
        while True:
            text = await outbox.take()
            try:
                async with asyncio.timeout(self.drain_s):
                    await socket.send_text(snapshot() if text is None else text)
            except TimeoutError:
                self.counts["evicted"] += 1
                _evict(socket)
                return
            self.counts["messages"] += 1
            outbox.sent += 1

    async def _listen(self, socket: WebSocket, outbox: Outbox) -> None:
        second, heard = 0, 0
        while True:
            message = await socket.receive()
            if message["type"] != "websocket.receive":
                return
            now = int(time.monotonic())
            second, heard = (now, 1) if now != second else (second, heard + 1)
            code = BAD_MESSAGE if heard > MAX_REQUESTS_S else self._answer(message.get("text") or "", outbox)
            if code:
                await socket.close(code, "message not understood" if code == BAD_MESSAGE else "message too big")
                return

    def _answer(self, text: str, outbox: Outbox) -> int:
        """Carry out one client message; a close code when it is none of ours, else 0."""
        if len(text) > MAX_MESSAGE:
            return TOO_BIG
        try:
            wish = orjson.loads(text)
        except orjson.JSONDecodeError:
            return BAD_MESSAGE
        match wish:
            case {"type": "resync"}:
                self.counts["resyncs"] += 1
                outbox.restart()
            case {"type": "seen"}:
                try:
                    self.on_seen(outbox, msgspec.convert(wish, Seen))
                except msgspec.ValidationError:
                    return BAD_MESSAGE
            case {"type": "subscribe", "symbols": [*symbols]} if self.on_subscribe and all(isinstance(each, str) for each in symbols):
                self.on_subscribe(outbox, symbols)
            case {"type": "auth", "token": str()}:
                pass  # shown although nobody asked: never looked at, never kept
            case {"type": "ping", "c": int() | float() as c}:
                outbox.reply(orjson.dumps({"type": "pong", "c": c, "t": self._clock_ns() // 1_000_000}).decode())
            case _:
                return BAD_MESSAGE
        return 0


def _token_in(text: str) -> str:
    """The token of a first message, "" when it is something else."""
    try:
        wish = orjson.loads(text[:MAX_MESSAGE])
    except orjson.JSONDecodeError:
        return ""
    match wish:
        case {"type": "auth", "token": str() as token}:
            return token
    return ""


def _evict(socket: WebSocket) -> None:
    """Close a client that does not read. Our server can cut its buffer (see serve.py); others close when it drains."""
    evict = socket.scope.get("extensions", {}).get("dope.evict")
    if evict is not None:
        evict["call"](TRY_LATER, "too slow")


def told_by(what: str) -> Callable[[asyncio.Task[None]], None]:
    """For a task's end: says so when an error ended it."""

    def report(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.opt(exception=error).error("{} stopped: {}", what, error)

    return report
