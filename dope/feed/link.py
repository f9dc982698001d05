"""One connection epoch: from OPEN to CLOSED, with its watchdog, its paced sending and its application ping."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from dope.feed.clock import Clock
from dope.feed.outbox import PORTION, Outbox
from dope.feed.transport import NO_CLOSE_FRAME, PROTOCOL_ERROR, TOO_BIG, Socket
from dope.types import CLOSED, DATA, OPEN, PLANNED, SENT, ClosedInfo, Frame, OpenInfo, Plan

BEAT_BELOW = 256  #: bytes; a shorter message may be a ping of the venue, or answer ours, and prove nothing about the data
REFUSED = 4003  #: our own code of an end: the venue takes nothing that was asked for
QUEUE_MAX = 1000  #: texts waiting to be sent on one connection


def no_pong(plan: str, data: bytes) -> bool:
    """Whether a short message is no answer to a ping."""
    return b"pong" not in data.lower()


class LinkRules(msgspec.Struct, frozen=True):
    """What a venue asks of its connections, as plain values (see ``Venue``)."""

    venue: str
    idle_s: float
    messages_per_s: float
    ping: tuple[float, str] | None = None
    proves: Callable[[str, bytes], bool] = no_pong


class Epoch(Protocol):
    """What the number of a connection stands for, with a socket or without."""

    def send(self, text: str, *, first: bool = False) -> None: ...

    def send_later(self, text: str, delay_s: float) -> None: ...

    def end(self, code: int, reason: str) -> None: ...


class Registry:
    """The open epochs of a feed by number; numbers start at 1 and are never used again."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, Epoch] = {}

    def enter(self, epoch: Epoch) -> int:
        conn = next(self._numbers)
        self._open[conn] = epoch
        return conn

    def leave(self, conn: int) -> None:
        self._open.pop(conn, None)

    def find(self, conn: int) -> Epoch | None:
        return self._open.get(conn)


class Owner(Protocol):
    """Who a link belongs to. ``link_ended`` comes once, also for a link that never opened."""

    def link_opened(self, link: Link) -> None: ...

    def link_ended(self, link: Link) -> None: ...


class Link:
    """The listener of one socket. Between its OPEN and its CLOSED frame everything it does is a frame; after it, nothing.

    ``conn`` is 0 until the socket is open. ``last`` is the ns of the newest message that counts as data (0 = none yet);
    ``count`` counts messages. the owner is told right after the OPEN and the CLOSED frame.
    """

    def __init__(
        self, plan: Plan, rules: LinkRules, outbox: Outbox, clock: Clock, registry: Registry, owner: Owner
    ) -> None:
        self.plan = plan
        self.conn = 0
        self.opened_at = self.last = self.count = 0
        self.over = False
        self.by_peer = False
        self.code, self.reason = 0, ""
        self._venue = rules.venue
        self._rules, self._proves = rules, rules.proves
        self._outbox = outbox
        self._frames, self._wake, self._hand_over = outbox.frames, outbox.wake, outbox.hand_over
        self._now = clock.now
        self._monotonic, self._anchor = clock.monotonic, clock.anchor
        self._registry = registry
        self._owner = owner
        self._socket: Socket | None = None
        self._queue: deque[str] = deque()
        self._sent = 0  # when the newest text left, ns
        self._sender: asyncio.TimerHandle | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()

    # -- what the socket tells ----------------------------------------------------------------------------------------
    def opened(self, socket: Socket) -> None:
        """The handshake is done: a new epoch begins."""
        self._socket = socket
        self.conn = self._registry.enter(self)
        info = OpenInfo(plan=self.plan.name, url=self.plan.url, symbols=self.plan.symbols)
        self._outbox.put(self._venue, self.conn, OPEN, msgspec.json.encode(info))
        self.opened_at = self._now()
        self._owner.link_opened(self)
        self._watch()
        if self._rules.ping is not None:
            self._later("ping", self._rules.ping[0], self._ping)

    def message(self, data: bytes) -> None:
        """The hot path: one Frame and one append."""
        if self.over:
            return
        ts = self._monotonic() + self._anchor
        self.count += 1
        if len(data) >= BEAT_BELOW or self._proves(self.plan.name, data):
            self.last = ts
        frames = self._frames
        if not frames:
            self._wake()
        frames.append(Frame(ts, self._venue, self.conn, DATA, data))
        if len(frames) >= PORTION:
            self._hand_over()

    def closed(self, code: int, reason: str) -> None:
        """The peer closed, broke the protocol, or the socket is gone."""
        self.by_peer = self.by_peer or not self.over
        self.end(code, reason)

    # -- what we do ---------------------------------------------------------------------------------------------------
    def send(self, text: str, *, first: bool = False) -> None:
        """Send ``text``, now or as soon as the venue's message rate allows, ``first`` before all that waits. A dead epoch swallows it."""
        if self.over:
            return
        if len(self._queue) >= QUEUE_MAX:
            self.end(NO_CLOSE_FRAME, f"more than {QUEUE_MAX} messages waiting to be sent")
            return
        (self._queue.appendleft if first else self._queue.append)(text)
        if "send" not in self._timers:
            self._send_next()

    def send_later(self, text: str, delay_s: float) -> None:
        """``send`` after a while; the same text asked for again meanwhile waits anew."""
        name = f"send {text}"
        waiting = self._timers.pop(name, None)
        if waiting is not None:
            waiting.cancel()
        if not self.over and len(self._timers) < QUEUE_MAX:
            self._later(name, delay_s, lambda: self._send_late(name, text))

    def end(self, code: int, reason: str) -> None:
        """Close and abort: the CLOSED frame is the last of this epoch. May be called more than once."""
        if self.over:
            return
        self.over = True
        self.code, self.reason = code, reason
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._queue.clear()
        if self.conn:
            self._registry.leave(self.conn)
            info = ClosedInfo(code=code, reason=reason, planned=reason in PLANNED and not self.by_peer)
            self._outbox.put(self._venue, self.conn, CLOSED, msgspec.json.encode(info))
        if self._socket is not None:
            self._socket.close(code if code in (PROTOCOL_ERROR, TOO_BIG) else 1000)
        self._owner.link_ended(self)

    def good_s(self) -> float:
        """s between opening and the newest data, 0.0 when none came."""
        return (self.last - self.opened_at) / 1e9 if self.last else 0.0

    def asked_s(self) -> float:
        """s since all that it had to say has been said, 0.0 while something still waits."""
        return 0.0 if self._queue else (self._now() - max(self._sent, self.opened_at)) / 1e9

    # -- timers -------------------------------------------------------------------------------------------------------
    def _later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._timers[name] = self._loop.call_later(seconds, call)

    def _watch(self) -> None:
        idle = self._rules.idle_s
        left = idle - (self._now() - (self.last or self.opened_at)) / 1e9
        if left <= 0:
            self.end(NO_CLOSE_FRAME, f"no data for {idle:g} s")
        else:
            self._later("watch", left, self._watch)

    def _ping(self) -> None:
        assert self._rules.ping is not None
        period, text = self._rules.ping
        self.send(text, first=True)
        if not self.over:
            self._later("ping", period, self._ping)

    def _send_late(self, name: str, text: str) -> None:
        self._timers.pop(name, None)
        self.send(text)

    def _send_next(self) -> None:
        self._timers.pop("send", None)
        if not self._queue or self._socket is None:
            return
        text = self._queue.popleft()
        self._socket.send(text)
        self._sent = self._now()
        self._outbox.put(self._venue, self.conn, SENT, text.encode())
        # Also after the last one: the next text must keep its distance from it.
        self._later("send", 1.0 / self._rules.messages_per_s, self._send_next)
