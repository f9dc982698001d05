"""Loopback venues that serve a recorded tape at recorded speed: the venue's own bytes, over real sockets.

Every recorded DATA frame goes out byte for byte to the clients that subscribed to its stream, and to those that asked
for another stream of the same symbol and family (a recording of ``trade`` serves a client of ``aggTrade``); a frame
whose symbol cannot be read goes to all. Acknowledgements and errors of the recording are left out: requests
are answered afresh. A recorded REST answer is served from its recorded time on; a request that comes earlier waits.
Time starts when each venue has a subscriber, or ``patience_s`` after the first one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec
from loguru import logger

from dope.sim.binance import RULES, BinanceTalk
from dope.sim.dialogue import Client, Close, Ping, Reply
from dope.sim.okx import OkxTalk
from dope.sim.port import Port
from dope.types import DATA, REPLY, Frame, ReplyInfo

PATIENCE_S = 5.0
REPLIES_KEPT = 64  #: recorded REST answers kept per venue: the newest per instrument
HEAD = 300  #: bytes of a frame that are searched for its symbol and channel
YIELD_EACH = 200  #: frames without a pause between them before the loop may do something else
HIGH_WATER = 4 * 1024 * 1024  #: bytes unsent to the slowest client at which the playback waits for it
TOPICS_CACHED = 4096
WAIT_S = 8.0  #: a REST request that no recorded answer meets within this gets a 503
SETTLE_S = 0.25  #: from the first subscription of every venue to the first frame: further connections join
DRAIN_TRIES = 1000  #: … so many times 10 ms, then the client is left to be cut

_STREAM = re.compile(rb'"stream":\s*"([^"]{1,80})"')
_ARG = re.compile(rb'"arg":\s*\{[^}]*\}')
_CHANNEL = re.compile(rb'"channel":\s*"([^"]{1,60})"')
_INST = re.compile(rb'"instId":\s*"([^"]{1,60})"')
_PLAIN_SYMBOL = re.compile(rb'"s":\s*"([^"]{1,40})"')
_PLAIN_EVENT = re.compile(rb'"e":\s*"([^"]{1,40})"')
_ANSWER = re.compile(
    rb'^\s*\{\s*"(?:result|code|error|id)":'  # Binance
    rb'|^\s*\{\s*"event":\s*"(?:subscribe|unsubscribe|error|login|channel-conn)|^pong$'  # OKX
)
_FAMILY = (
    ("depth", "depth"), ("books", "depth"), ("bookTicker", "touch"), ("bbo", "touch"), ("aggTrade", "trade"), ("trade", "trade"),
    ("kline", "candle"), ("candle", "candle"), ("markPrice", "mark"), ("mark-price", "mark"),
)  # fmt: skip


class Talk(Protocol):
    """The request language of a venue, without its data."""

    def admit(self, path: str, now: float) -> Reply | None: ...

    def heard(self, client: Client, text: str, now: float) -> list[str] | Close: ...


class SilentTalk:
    """For venues whose requests are not spoken here: everybody is let in and nothing is answered."""

    def admit(self, path: str, now: float) -> Reply | None:
        """Lets everybody in."""
        return None

    def heard(self, client: Client, text: str, now: float) -> list[str]:
        """Notes only that the client asked for something."""
        client.topics[""] = False
        return []


def family(channel: str) -> str:
    """The kind of channel: depth, touch, trade, candle, mark, or the name itself."""
    return next((kind for start, kind in _FAMILY if channel.startswith(start)), channel)


def subject(data: bytes) -> tuple[str, str] | None:
    """``(native symbol, channel)`` of a recorded frame; None where it cannot be read."""
    head = data[:HEAD]
    if stream := _STREAM.search(head):
        name, _, channel = stream[1].decode("utf-8", "replace").partition("@")
        return name.upper(), channel
    if argument := _ARG.search(head):
        channel_found, native = _CHANNEL.search(argument[0]), _INST.search(argument[0])
        if channel_found and native:
            return native[1].decode("utf-8", "replace").upper(), channel_found[1].decode("utf-8", "replace")
    if symbol := _PLAIN_SYMBOL.search(head):
        event = _PLAIN_EVENT.search(head)
        kind = event[1].decode("utf-8", "replace") if event else "bookTicker"  # spot bookTicker names no event
        return symbol[1].decode("utf-8", "replace").upper(), kind
    return None


@lru_cache(maxsize=TOPICS_CACHED)
def topic_subject(topic: str) -> tuple[str, str]:
    """``(native symbol, channel)`` of a subscription, ``btcusdt@depth@100ms`` or ``books:BTC-USDT``."""
    if "@" in topic:
        name, _, channel = topic.partition("@")
        return name.upper(), channel
    channel, _, native = topic.partition(":")
    return native.upper(), channel


class RecordedVenue:
    """One venue of a recording on one port."""

    def __init__(self, venue: str, clock: Callable[[], float]) -> None:
        self.venue = venue
        self._talk, ping = _talk(venue)
        self._replies: dict[str, Reply] = {}
        self._came = asyncio.Event()
        self._over = False
        self._first_of: dict[tuple[str, str], str] = {}  #: the first channel of each family that the recording holds
        self.port = Port(venue, self, clock, ping)

    def send(self, data: bytes) -> None:
        """One recorded frame, to whom it concerns."""
        spoken = not isinstance(self._talk, SilentTalk)
        if spoken and _ANSWER.match(data):
            return
        about = subject(data) if spoken else None
        clients = [client for client in self.port.clients if about is None or self._covers(client, about)]
        self.port.send(clients, data, binary=b"" < data[:1] < b" ")  # gzip and protobuf begin with a control character

    def note_reply(self, data: bytes) -> None:
        """From now on this REST answer is served; those without a body or a good status are not."""
        head, _, body = data.partition(b"\n")
        info = msgspec.json.decode(head, type=ReplyInfo)
        if info.status != 200:
            return
        self._replies.pop(info.key, None)
        self._replies[info.key] = Reply(info.status, body, (("X-Recorded-Url", info.url.encode("ascii", "replace").decode()),))
        while len(self._replies) > REPLIES_KEPT:
            self._replies.pop(next(iter(self._replies)))
        came, self._came = self._came, asyncio.Event()
        came.set()

    def finish(self) -> None:
        """The tape is over: whoever still waits for a REST answer is told that there is none."""
        self._over = True
        self._came.set()

    def subscribed(self) -> bool:
        """Whether anybody listens."""
        return any(client.topics for client in self.port.clients)

    def backlog(self) -> int:
        """Bytes not yet taken by the slowest client."""
        return max((client.ws.transport.get_write_buffer_size() for client in self.port.clients), default=0)

    def _covers(self, client: Client, about: tuple[str, str]) -> bool:
        native, channel = about
        kind = native, family(channel)
        stands_in = self._first_of.setdefault(kind, channel) == channel
        for topic in client.topics:
            wanted = topic_subject(topic)
            if wanted == about or (stands_in and (wanted[0], family(wanted[1])) == kind):
                return True
        return False

    # -- Dialogue ------------------------------------------------------------------------------------------------------
    def admit(self, path: str, now: float) -> Reply | None:
        """As the venue does."""
        return self._talk.admit(path, now)

    def opened(self, client: Client) -> list[str]:
        """As the venue does."""
        return self._talk.opened(client) if isinstance(self._talk, BinanceTalk) else []

    def heard(self, client: Client, text: str, now: float) -> list[str] | Close:
        """As the venue does."""
        return self._talk.heard(client, text, now)

    async def rest(self, path: str, query: dict[str, str], now: float) -> Reply:
        """The newest recorded answer for this instrument; waits a while for the first one."""
        native = query.get("symbol") or query.get("instId") or ""
        try:
            async with asyncio.timeout(WAIT_S):
                while (found := self._find(native)) is None and not self._over:
                    await self._came.wait()
        except TimeoutError:
            found = None
        return found or Reply(503, '{"code":-1,"msg":"the recording holds no such answer"}')

    def _find(self, native: str) -> Reply | None:
        plain = native.upper().replace("-", "")
        for key, reply in reversed(self._replies.items()):
            query = parse_qs(urlsplit(reply.headers[0][1]).query)
            named = query.get("symbol") or query.get("instId")
            if named == [native] if named else plain in key.upper().replace("-", ""):
                return reply
        return None


def _talk(venue: str) -> tuple[Talk, Ping]:
    match venue:
        case "binance_spot" | "binance_usdm" | "binance_coinm":
            return BinanceTalk(RULES[venue]), RULES[venue].ping
        case "okx":
            return OkxTalk(lambda channel, native: True), Ping(None, None)
    return SilentTalk(), Ping(None, None)


class Playback:
    """Serves ``frames`` (in tape order; kinds other than DATA and REPLY are passed over) for the named venues."""

    def __init__(
        self, frames: Iterable[Frame], venues: Sequence[str], *, speed: float = 1.0, patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """``speed`` = recorded seconds per second, 0 = as fast as the clients read."""
        self.venues = {venue: RecordedVenue(venue, clock) for venue in venues}
        self._frames = frames
        self._speed = speed
        self._patience_s = patience_s
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, dict[str, str]]:
        """Open the ports; returns the endpoints per venue id."""
        for venue in self.venues.values():
            await venue.port.up()
        self._task = asyncio.create_task(self._run())
        return {name: venue.port.endpoints for name, venue in self.venues.items()}

    async def stop(self) -> None:
        """End the playback and close the ports."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for venue in self.venues.values():
            venue.finish()
            await venue.port.down()

    async def wait(self) -> None:
        """Until the tape is over. Raises what reading it raised."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        await self._audience()
        logger.info("playback of {} begins at speed {:g}", ", ".join(self.venues), self._speed)
        begin, first, count = self._clock(), None, 0
        for frame in self._frames:
            venue = self.venues.get(frame.venue)
            if venue is None or frame.kind not in (DATA, REPLY):
                continue
            first = frame.ts if first is None else first
            count += 1
            if self._speed > 0:
                await self._until(begin + (frame.ts - first) / 1e9 / self._speed)
            if count % YIELD_EACH == 0 or venue.backlog() > HIGH_WATER:
                await self._drain(venue)
            if frame.kind == DATA:
                venue.send(frame.data)
            else:
                venue.note_reply(frame.data)
        for venue in self.venues.values():
            venue.finish()
        logger.info("playback is over after {} frames", count)

    async def _until(self, when: float) -> None:
        left = when - self._clock()
        if left > 0.001:
            await asyncio.sleep(left)

    async def _drain(self, venue: RecordedVenue) -> None:
        await asyncio.sleep(0)
        patience = DRAIN_TRIES
        while venue.backlog() > HIGH_WATER and patience:
            patience -= 1
            await asyncio.sleep(0.01)

    async def _audience(self) -> None:
        waited = 0.0
        while waited < self._patience_s and not all(venue.subscribed() for venue in self.venues.values()):
            await asyncio.sleep(0.01)
            waited += 0.01 if any(venue.subscribed() for venue in self.venues.values()) else 0.0
        await asyncio.sleep(SETTLE_S)
