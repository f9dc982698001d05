"""The live stream ``/ws/v1/live``: one broadcaster encodes each change once, every client gets the same text.

Server → client: ``{"type":"snapshot","seq","t","age_ms","event_ns","data"}`` first and after a resync, then
``{"type":"delta","seq":+1,…,"data":{changed sections}}``; at least one message a second, so that a browser can tell a
dead server; ``age_ms`` since the engine's last publication tells a dead engine.
Client → server: ``{"type":"resync"}``, ``{"type":"ping","c":ms}`` → ``{"type":"pong","c","t"}``; where reading
needs a token that came neither as header nor as cookie, first of all ``{"type":"auth","token":"…"}``.
The forms of the sections are in ``delta.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from loguru import logger
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from dope.api.delta import Differ, Discontinuity, whole
from dope.api.rates import block
from dope.api.tokens import Access, Tokens
from dope.board import Board, Snapshot
from dope.settings import Settings
from dope.watch import Watch

QUEUE = 64  #: messages waiting for one client; when full they are replaced by one fresh snapshot
DRAIN_S = 10.0  #: s that one message may take to leave before its client is closed
RETRY_S = 10  #: s after which a client that found no place may try again
KEEPALIVE_S = 1.0  #: longest silence
AUTH_S = 5.0  #: s that a client without header or cookie has for its first message, the token
MAX_REQUESTS_S = 50  #: messages a client may send us per second
OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY

BAD_MESSAGE, TOO_BIG, TRY_LATER = 1008, 1009, 1013  #: WebSocket close codes
MAX_MESSAGE = 64 * 1024  #: bytes of one client message


def encode(kind: str, seq: int, t_ms: int, sections: Mapping[str, Any], *, event_ns: int, age_ms: int) -> str:
    """One message as JSON text. NaN and infinities become null."""
    message = {"type": kind, "seq": seq, "t": t_ms, "age_ms": age_ms, "event_ns": event_ns, "data": sections}
    return orjson.dumps(message, option=OPTIONS).decode()


def event_ns(data: Mapping[str, Any]) -> int:
    """Receive time of the newest event that the data show, 0 before the first."""
    return (data.get("sys") or {}).get("event_ns") or 0


class Outbox:
    """What one client still has to get; never more than ``limit`` messages."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._texts: deque[str] = deque()
        self._snapshot_due = True
        self._wake = asyncio.Event()
        self._wake.set()

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


class Hub:
    """All clients of the live stream. Lives on the web server's event loop; the broadcaster runs while clients are there."""

    def __init__(
        self, board: Board, settings: Settings, tokens: Tokens, places: Places, *, clock_ns: Callable[[], int], watch: Watch | None = None
    ) -> None:
        self._board, self._watch = board, watch or Watch()
        self._least_gap = 0.5 / settings.push_hz  #: s between two messages: a publisher in a hurry is not followed faster than that
        self._tokens, self._places = tokens, places
        self._clock_ns = clock_ns
        self._drain_s, self._auth_s = DRAIN_S, AUTH_S
        self._clients: set[Outbox] = set()
        self._task: asyncio.Task[None] | None = None
        self._differ = Differ({})
        self._seq = 0
        self._cached: tuple[int, str] = (-1, "")
        self._polled: tuple[int, str] = (-1, "")
        self.counts: Counter[str] = Counter()  #: messages, bytes, overflows, evicted, refused, resyncs, work_ns

    @property
    def clients(self) -> int:
        return len(self._clients)

    def poll(self) -> str:
        """The newest snapshot message for clients that cannot use WebSockets; encoded once per publication."""
        snapshot = self._board.read()
        if self._polled[0] != snapshot.seq:
            self._polled = (snapshot.seq, self._message("snapshot", snapshot.seq, whole(snapshot.data), snapshot.data))
        return self._polled[1]

    async def serve(self, socket: WebSocket) -> None:
        """One client from accept to close."""
        address = socket.client.host if socket.client else ""
        if not self._places.take(block(address)):
            self.counts["refused"] += 1
            await socket.send_denial_response(Response(status_code=503, headers={"Retry-After": str(RETRY_S)}))
            return
        outbox = Outbox(QUEUE)
        try:
            await socket.accept()
            if await self._admitted(socket, address):
                self._clients.add(outbox)
                self._start()
                await self._attend(socket, outbox)
        finally:
            self._clients.discard(outbox)
            self._places.give_back(block(address))

    async def _admitted(self, socket: WebSocket, address: str) -> bool:
        """Whether the client may read; one that has shown nothing yet must do so in its first message."""
        need = self._tokens.needed("GET", socket.scope["path"])
        if socket.scope.get("dope.access", Access.NOTHING) >= need:
            return True
        try:
            async with asyncio.timeout(self._auth_s):
                message = await socket.receive()
        except TimeoutError:
            message = {"type": "websocket.receive"}
        if message["type"] != "websocket.receive":
            return False
        token = _token_in(message.get("text") or "")
        if token and (verdict := self._tokens.of_token(token, address)).access >= need and not verdict.status:
            return True
        self.counts["refused"] += 1
        await socket.close(BAD_MESSAGE, "the first message must be the token")
        return False

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._anew()
            self._task = self._watch.kept("live broadcaster", self._broadcast)
            self._task.add_done_callback(_report)

    def _anew(self) -> None:
        """Begin at the newest state; clients that are there see a hole in the numbers and ask for it."""
        self._differ = Differ(self._board.read().data)
        self._seq += 1

    async def _attend(self, socket: WebSocket, outbox: Outbox) -> None:
        """Send and listen until either ends."""
        tasks = {
            asyncio.create_task(self._send(socket, outbox), name="live sender"),
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

    async def _send(self, socket: WebSocket, outbox: Outbox) -> None:
        while True:
            text = await outbox.take()
            try:
                async with asyncio.timeout(self._drain_s):
                    await socket.send_text(self._snapshot() if text is None else text)
                    self.counts["messages"] += 1
            except TimeoutError:
                self.counts["evicted"] += 1
                _evict(socket)
                return

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
            case {"type": "auth", "token": str()}:
                pass  # shown although nobody asked: never looked at, never kept
            case {"type": "ping", "c": int() | float() as c}:
                outbox.reply(orjson.dumps({"type": "pong", "c": c, "t": self._clock_ns() // 1_000_000}).decode())
            case _:
                return BAD_MESSAGE
        return 0

    async def _broadcast(self) -> None:
        """Wait for a publication, compare, encode once, hand out; ends when the last client has left."""
        loop, published = asyncio.get_running_loop(), asyncio.Event()

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # our loop is closing: nobody is left to hear of it
                loop.call_soon_threadsafe(published.set)

        leave = self._board.follow(told)
        spoke = loop.time()
        try:
            while self._clients:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(KEEPALIVE_S):
                        await published.wait()
                published.clear()
                began = time.perf_counter_ns()
                text = self._next(self._board.read(), keepalive=loop.time() - spoke >= KEEPALIVE_S)
                if text is not None:
                    spoke = loop.time()
                    self._hand_out(text)
                    self.counts["work_ns"] += time.perf_counter_ns() - began
                await asyncio.sleep(self._least_gap)
        except BaseException:
            self._anew()
            raise
        finally:
            leave()

    def _hand_out(self, text: str) -> None:
        for outbox in tuple(self._clients):
            if not outbox.put(text):
                self.counts["overflows"] += 1
        self.counts["updates"] += 1
        self.counts["bytes"] += len(text) * len(self._clients)

    def _next(self, snapshot: Snapshot, *, keepalive: bool) -> str | None:
        """The next message for everybody, None when there is nothing to say yet."""
        try:
            changes = self._differ.step(snapshot.data)
        except Discontinuity:
            self._seq += 1
            return self._snapshot()
        if not changes and not keepalive:
            return None
        self._seq += 1
        return self._message("delta", self._seq, changes, snapshot.data)

    def _snapshot(self) -> str:
        """The state after message ``seq``, encoded once for all who ask between two deltas."""
        if self._cached[0] != self._seq:
            data = self._differ.data
            self._cached = (self._seq, self._message("snapshot", self._seq, whole(data), data))
        return self._cached[1]

    def _message(self, kind: str, seq: int, sections: Mapping[str, Any], data: Mapping[str, Any]) -> str:
        now, published = self._clock_ns(), self._board.read().t_ns
        age_ms = max(0, now - published) // 1_000_000 if published else 0
        return encode(kind, seq, now // 1_000_000, sections, event_ns=event_ns(data), age_ms=age_ms)


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


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.opt(exception=error).error("the live stream stopped: {}", error)
