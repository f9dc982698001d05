"""The live stream ``/ws/v1/live``: one broadcaster encodes each change once, every client gets the same text.

Server → client: ``{"type":"snapshot","seq","t","age_ms","event_ns","data"}`` first and after a resync, then
``{"type":"delta","seq":+1,…,"data":{changed sections}}``; at least one message a second, so that a browser can tell a
dead server; ``age_ms`` since the engine's last publication tells a dead engine.
What a client may say stands in ``clients.py``. The forms of the sections are in ``delta.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import orjson
from starlette.websockets import WebSocket

from dope.api.clients import KEEPALIVE_S, ConnectionManager, Outbox, Places, Seen, State, told_by
from dope.api.delta import Differ, Discontinuity, whole
from dope.api.tokens import Tokens
from dope.board import Board, Snapshot
from dope.settings import Settings
from dope.watch import Watch

QUIET_NS = 40 * 10**9  #: a page says something each 15 s: one that has not for so long sleeps with its machine
MAX_MS = 1e9  #: of a figure that a page tells
OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def encode(kind: str, seq: int, t_ms: int, sections: Mapping[str, Any], *, event_ns: int, age_ms: int) -> str:
    """One message as JSON text. NaN and infinities become null."""
    message = {"type": kind, "seq": seq, "t": t_ms, "age_ms": age_ms, "event_ns": event_ns, "data": sections}
    return orjson.dumps(message, option=OPTIONS).decode()


def event_ns(data: Mapping[str, Any]) -> int:
    """Receive time of the newest event that the data show, 0 before the first."""
    return (data.get("sys") or {}).get("event_ns") or 0


class Hub:
    """All clients of the live stream. Lives on the web server's event loop; the broadcaster runs while clients are there."""

    def __init__(
        self, board: Board, settings: Settings, tokens: Tokens, places: Places, *, clock_ns: Callable[[], int], watch: Watch | None = None
    ) -> None:
        self._board, self._watch = board, watch or Watch()
        self._least_gap = 0.5 / settings.push_hz  #: s between two messages: a publisher in a hurry is not followed faster than that
        self._clock_ns = clock_ns
        self.manager = ConnectionManager(tokens, places, clock_ns=clock_ns)
        self.manager.on_seen = self._seen
        self._clients: set[Outbox] = set()
        self._task: asyncio.Task[None] | None = None
        self._differ = Differ({})
        self._seq = 0
        self._cached: tuple[int, str] = (-1, "")
        self._polled: tuple[int, str] = (-1, "")
        self.counts = self.manager.counts  #: and updates, bytes, overflows, work_ns

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
        await self.manager.serve(socket, self._enter)

    @contextlib.asynccontextmanager
    async def _enter(self, outbox: Outbox) -> AsyncIterator[State]:
        self._clients.add(outbox)
        if self._task is None or self._task.done():
            self._anew()
            self._task = self._watch.kept("live broadcaster", self._broadcast)
            self._task.add_done_callback(told_by("the live stream"))
        try:
            yield self._snapshot
        finally:
            self._clients.discard(outbox)
            self._count_pages()

    def _seen(self, outbox: Outbox, seen: Seen) -> None:
        """A page tells of itself. Only the self-test that is on the board can have come, and not later than now."""
        outbox.page = self._clock_ns() if seen.shown else 0
        self._count_pages()
        if seen.n and seen.n == (self._board.read().data.get("sentinel") or {}).get("opened"):
            now = self._clock_ns()
            self._board.arrived(seen.n, min(now, int(seen.t * 1e6)) if seen.t else now)
        if seen.shown and seen.screen is not None and all(0 <= figure < MAX_MS for figure in seen.screen):
            self._board.screen = seen.screen

    def _count_pages(self) -> None:
        since = self._clock_ns() - QUIET_NS
        self._board.pages = sum(outbox.page > since for outbox in self._clients)

    def _anew(self) -> None:
        """Begin at the newest state; clients that are there see a hole in the numbers and ask for it."""
        self._differ = Differ(self._board.read().data)
        self._seq += 1

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
        self._count_pages()
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
