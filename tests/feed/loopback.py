"""What the feed's tests talk to: loopback servers that misbehave on purpose, virtual time, a recorder."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from dope.feed import Clock, Feed, Timing
from dope.types import DATA, KIND_NAMES, TICK, Event, Frame, Instrument, Limits, Plan
from dope.venues.base import Known, Venue
from tests.simulation.loop import in_virtual_time

__all__ = ["in_virtual_time"]  # for code whose network is replaced at the seam

FAST = Limits(connects_per_s=1000.0, connects_per_5min=100_000, messages_per_s=1000.0)
QUICK = Timing(settle_s=0.2, base_s=0.02, cap_s=0.05, overlap_s=0.2)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Wire(Venue):
    """A venue of the simplest kind: its plans are given, its messages are whatever the server sends."""

    ID = "wire"
    LABEL = SHORT = "Wire"
    LIMITS = FAST

    def __init__(
        self, *urls: str, limits: Limits = FAST, idle_s: float = 5.0, ping: tuple[float, str] | None = None, venue_id: str = "wire"
    ) -> None:
        super().__init__(("BTC-USDT",))
        self.ID, self.LIMITS, self.IDLE_S, self.PING = venue_id, limits, idle_s, ping  # type: ignore[misc]
        self._plans = tuple(Plan(f"plan{i}", url, ("BTC-USDT",)) for i, url in enumerate(urls))

    def plan(self) -> tuple[Plan, ...]:
        return self._plans

    def native(self, symbol: str) -> str | None:
        return None

    def instrument(self, native: str) -> Instrument | None:
        return None

    def topics(self, socket: str, native: str) -> tuple[str, ...]:
        return ()

    def requests(self, conn: int, wish: str, topics: Sequence[str]) -> tuple[tuple[str, Sequence[str]], ...]:
        return ()

    def read(self, frame: Frame, events: list[Event]) -> None:
        """Nobody reads it."""

    def again(self, known: Known, ts: int) -> None:
        """Nobody is there to be asked."""


class Recorder:
    """Keeps all frames and lets a test wait for what it expects; the limit only ends a hopeless wait."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.batches: list[list[Frame]] = []

    def __call__(self, batch: list[Frame]) -> None:
        self.batches.append(batch)
        self.frames += batch

    def of(self, *kinds: int) -> list[Frame]:
        return [frame for frame in self.frames if frame.kind in kinds]

    def data(self) -> list[bytes]:
        return [frame.data for frame in self.of(DATA)]

    def story(self) -> list[str]:
        """The frames without ticks as words: "open 1", "data 1"…"""
        return [f"{KIND_NAMES[f.kind]} {f.conn}" for f in self.frames if f.kind != TICK]

    async def until(self, condition: Callable[[], Any], limit_s: float = 10.0) -> Any:
        return await until(condition, limit_s)


async def until(condition: Callable[[], Any], limit_s: float = 10.0) -> Any:
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while not (value := condition()):
        assert loop.time() < end, "what the test waits for never happened"
        await asyncio.sleep(0.005)
    return value


@contextlib.asynccontextmanager
async def feeding(*venues: Venue, timing: Timing = QUICK, **options: Any) -> AsyncIterator[tuple[Feed, Recorder]]:
    """A running feed over ``venues``; stopped at the end."""
    recorder = Recorder()
    on_frames = options.pop("on_frames", recorder)
    feed = Feed({v.ID: v for v in venues}, on_frames, Clock(), random.Random(1), timing=timing, **options)
    task = asyncio.ensure_future(feed.run())
    try:
        yield feed, recorder
    finally:
        await feed.stop()
        await task


# -- servers ----------------------------------------------------------------------------------------------------------
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, scheme: str = "ws") -> AsyncIterator[str]:
    """A TCP server that leaves everything to ``handler``; yields its URL. Open connections are cut at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        while tasks:
            await asyncio.sleep(0.005)


async def shake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The server's half of a WebSocket handshake."""
    request = await reader.readuntil(b"\r\n\r\n")
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key.group(1) + GUID).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    await writer.drain()


def frame(payload: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    """One unmasked WebSocket frame, as a server sends it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65_536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([opcode | (0x80 if fin else 0)]) + length + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next frame of a client: (opcode, payload)."""
    head = await reader.readexactly(2)
    size = head[1] & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    body = await reader.readexactly(size)
    return head[0] & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))


def answering(response: bytes) -> Handler:
    """A server that answers the upgrade with these bytes and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return handle

