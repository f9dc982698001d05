"""What a simulated venue and its clients say to each other: who is connected, what is asked and answered, how a connection ends."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

ANSWER = "answer"  #: the topic of what a client gets for what it said
MAX_UNSENT = 16 * 1024 * 1024  #: bytes waiting for a client that does not read, before it is cut


class Reply(NamedTuple):
    """One REST answer."""

    status: int
    body: str | bytes
    headers: tuple[tuple[str, str], ...] = ()


class Ping(NamedTuple):
    """The venue's protocol pings: one each ``interval_s``; a client silent for ``timeout_s`` is cut. None = no pings."""

    interval_s: float | None
    timeout_s: float | None


class Said(NamedTuple):
    """One message on its way to one client; ``raw`` = these bytes go to the transport as they are, not as a frame."""

    payload: str | bytes
    data: bool = True
    binary: bool = False
    topic: str = ""
    raw: bool = False


class Close(NamedTuple):
    """The venue ends a connection."""

    code: int
    reason: str


class Client:
    """One open WebSocket: where it connected, what it subscribed to, when it spoke."""

    def __init__(self, ws: ServerConnection, number: int, now: float) -> None:
        self.ws = ws
        self.number = number
        parts = urlsplit(ws.request.path if ws.request else "/")
        self.path = parts.path
        self.query = dict(parse_qsl(parts.query))
        self.topics: dict[str, bool] = {}  #: in the order asked for; True = its first message has gone out
        self.heard: deque[float] = deque()  #: times of its recent requests, for the limits
        self.last = now  #: when anything was last sent or heard
        self.since = now  #: when it connected
        self.ahead = 0  #: messages with a number of this connection that a fault put between the venue's own

    def write(self, data: bytes) -> bool:
        """These bytes as they are, for as long as the connection is open; one that closes takes no more, and would say so loudly."""
        if self.ws.state is not State.OPEN or self.ws.transport.is_closing() or self.ws.transport.get_write_buffer_size() > MAX_UNSENT:
            return False
        self.ws.transport.write(data)
        return True

    def __hash__(self) -> int:
        """Its number: a set of clients is gone through in the same order in every process."""
        return self.number


class Rate:
    """At most ``limit`` events in any ``window_s``; bounded by the limit itself."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit, self.window_s = limit, window_s

    def allows(self, times: deque[float], now: float) -> bool:
        """Count one event at ``now`` in ``times``; False = it is over the limit (and is not counted)."""
        while times and times[0] <= now - self.window_s:
            times.popleft()
        if len(times) >= self.limit:
            return False
        times.append(now)
        return True


class Dialogue(Protocol):
    """What one venue says: which paths and requests it takes, and its answers."""

    def admit(self, path: str, now: float) -> Reply | None:
        """None lets a WebSocket in at ``path``, a Reply refuses it."""

    def opened(self, client: Client) -> Sequence[str | bytes]:
        """Texts for a client that has just connected; its URL may already subscribe."""

    def heard(self, client: Client, text: str, now: float) -> Sequence[str | bytes] | Close:
        """Answers to one text of a client, or the way its connection ends."""

    def rest(self, path: str, query: dict[str, str], now: float) -> Reply | Awaitable[Reply]:
        """The answer to one GET."""


def read_json(text: str) -> object | None:
    """The value of a client's text; None where it is no JSON at all."""
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def as_json(value: object) -> str:
    """Compact JSON, as venues send it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
