"""A network in memory: the simulated venues' ports listen in it, the feed connects and asks through it; no byte leaves the process.

What is said arrives later, in order. It stands where the libraries stand otherwise: ``serve`` is that of websockets,
``start_server`` that of asyncio, ``connect`` the seam of the feed, ``Requests`` the transport of httpx. Of frames there are only
whole messages here, so compression, masks, fragments and broken handshakes are not to be had.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close
from websockets.http11 import Request, Response
from websockets.protocol import State

from dope.feed.pace import retry_after_s
from dope.feed.transport import MAX_MESSAGE, NO_CLOSE_FRAME, OPEN_TIMEOUT_S, TOO_BIG, ConnectFailed, Listener

FIRST_PORT = 40_001
DELAY_S = (0.0005, 0.02)  #: one way; each connection has its own


class Slow(NamedTuple):
    """A slow line: so many bytes a second, so much later, more or less."""

    bytes_s: float
    delay_s: float
    jitter_s: float
    rng: random.Random


class Pipe:
    """One direction: items come out at ``deliver`` in the order in which they went in, ``delay_s`` later, unless it is stopped."""

    def __init__(self, delay_s: float, deliver: Callable[[Any], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay_s, self._deliver = delay_s, deliver
        self._items: deque[tuple[float, Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.stopped = False
        self.swallows = False  #: nothing arrives any more, and nobody is told
        self.bytes = 0  #: on their way
        self.slow: Slow | None = None
        self.late_s: deque[float] = deque(maxlen=1000)  #: of the newest items that came out of a slow line
        self._free = 0.0  # when a slow line has carried all that went in

    def put(self, item: Any) -> None:
        if self.swallows:
            return
        now = self._loop.time()
        due = now + self._delay_s if self.slow is None else self._slowly(now, item, self.slow)
        self._items.append((due, item))
        if isinstance(item, bytes):
            self.bytes += len(item)
        if self._timer is None and not self.stopped:
            self._timer = self._loop.call_at(due, self._flow)

    def _slowly(self, now: float, item: Any, line: Slow) -> float:
        self._free = max(now, self._free) + (len(item) if isinstance(item, bytes) else 0) / line.bytes_s
        before = self._items[-1][0] if self._items else now
        due = max(before, self._free + self._delay_s + line.delay_s + line.rng.uniform(-line.jitter_s, line.jitter_s))
        self.late_s.append(due - now - self._delay_s)
        return due

    def stop(self) -> None:
        """What is on its way waits."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def swallow(self, on: bool) -> None:
        """From now on what is put in is lost, and so is what is on its way; or no longer."""
        self.swallows = on
        if on:
            self.stop()
            self._items.clear()
            self.bytes = 0
            self.stopped = False

    def go_on(self) -> None:
        self.stopped = False
        if self._items and self._timer is None:
            self._timer = self._loop.call_at(max(self._items[0][0], self._loop.time()), self._flow)

    def _flow(self) -> None:
        self._timer = None
        now = self._loop.time() + 1e-9
        while self._items and self._items[0][0] <= now and not self.stopped:
            item = self._items.popleft()[1]
            if isinstance(item, bytes):
                self.bytes -= len(item)
            self._deliver(item)
        if self._items and self._timer is None and not self.stopped:
            self._timer = self._loop.call_at(self._items[0][0], self._flow)


class Lost:
    """An item that says: the connection is cut."""


LOST = Lost()
CLOSE = 8  #: opcode; above it pings and pongs
PING, PONG = object(), object()


class Raw(NamedTuple):
    """Bytes that are to be read as frames."""

    data: bytes


class Frames:
    """Reads frames: complete messages come out; what breaks the protocol or the limit is a Close."""

    def __init__(self, max_message: int) -> None:
        self._max, self._buffer, self._message = max_message, bytearray(), bytearray()

    def read(self, data: bytes) -> Iterator[bytes | Close]:
        self._buffer += data
        while len(self._buffer) >= 2:
            first, size = self._buffer[0], self._buffer[1]
            head = 2 + {126: 2, 127: 8}.get(size, 0)
            if first & 0x70 or size & 0x80:
                yield Close(1002, "protocol error")
                return
            if len(self._buffer) < head:
                return
            size = int.from_bytes(self._buffer[2:head], "big") if head > 2 else size
            if len(self._message) + size > self._max:
                yield Close(TOO_BIG, f"a message above {self._max} bytes or 65536 fragments")
                return
            if len(self._buffer) < head + size:
                return
            payload = bytes(self._buffer[head : head + size])
            del self._buffer[: head + size]
            if first & 0x0F == CLOSE:
                yield Close(int.from_bytes(payload[:2], "big") or 1005, payload[2:].decode("utf-8", "replace"))
            elif first & 0x0F < CLOSE:  # pings and pongs are the library's
                self._message += payload
                if first & 0x80:
                    yield bytes(self._message)
                    self._message.clear()


class Wire:
    """One WebSocket: to the server a ``ServerConnection``, to the feed a ``Socket``; its own ``transport`` and ``protocol``."""

    def __init__(self, request: Request, listener: Listener, delay_s: float, max_message: int = MAX_MESSAGE) -> None:
        self.request = request
        self.transport = self.protocol = self
        self.state = State.OPEN
        self.send_in_progress = None
        self.is_closing = lambda: self.state is not State.OPEN
        self._listener, self._max_message = listener, max_message
        self._down, self._up = Pipe(delay_s, self._to_client), Pipe(delay_s, self._to_server)
        self._heard: asyncio.Queue[str | Close | Lost] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._client_open = True
        self._frames = Frames(max_message)
        self._asked: list[asyncio.Future[None]] = []
        self._pinged: asyncio.TimerHandle | None = None

    # -- the server's end ----------------------------------------------------------------------------------------------
    def send_text(self, data: bytes) -> None:
        self._down.put(data)

    send_binary = send_text

    def write(self, data: bytes) -> None:
        """Bytes of frames as they are, whole or in pieces."""
        self._down.put(Raw(bytes(data)))

    def data_to_send(self) -> list[bytes]:
        """Nothing: it is on its way already."""
        return []

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.state is State.OPEN:
            self.state = State.CLOSING
            self._down.put(Close(code, reason))
        await self._gone.wait()

    def abort(self) -> None:
        if self.state is not State.CLOSED:
            self._down.put(LOST)
            self._end(LOST)

    def get_write_buffer_size(self) -> int:
        return self._down.bytes

    def pause_reading(self) -> None:
        self._up.stop()

    def resume_reading(self) -> None:
        self._up.go_on()

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            item = await self._heard.get()
            if isinstance(item, Close):
                return
            if isinstance(item, Lost):
                raise ConnectionClosedError(None, None)
            yield item

    async def ping(self) -> asyncio.Future[None]:
        """A ping of the protocol; what is given is done when it is answered."""
        answered = asyncio.get_running_loop().create_future()
        self._asked.append(answered)
        self._down.put(PING)
        return answered

    def keep_alive(self, interval_s: float | None, timeout_s: float | None) -> None:
        """Ping each ``interval_s``; without an answer within ``timeout_s`` the connection is cut."""
        if interval_s is None:
            return
        loop = asyncio.get_running_loop()

        def silent() -> None:
            if self.state is State.OPEN:
                self._down.put(Close(1011, "keepalive ping timeout"))
                self._end(LOST)

        def ping() -> None:
            if self.state is State.OPEN:
                self._down.put(PING)
                if timeout_s is not None and self._pinged is None:
                    self._pinged = loop.call_later(timeout_s, silent)
                loop.call_later(interval_s, ping)

        loop.call_later(interval_s, ping)

    def _end(self, how: Close | Lost) -> None:
        if self.state is not State.CLOSED:
            self.state = State.CLOSED
            self._gone.set()
            self._heard.put_nowait(how)
            if self._pinged is not None:
                self._pinged.cancel()

    def _to_server(self, item: Any) -> None:
        if item is PONG:
            for answered in self._asked:
                if not answered.done():
                    answered.set_result(None)
            self._asked.clear()
            if self._pinged is not None:
                self._pinged.cancel()
                self._pinged = None
        elif isinstance(item, str):
            if self.state is State.OPEN:
                self._heard.put_nowait(item)
        else:
            self._end(item)

    def half_open(self, on: bool) -> None:
        """Neither end hears of the other any more, not even that it has gone; when that is over, the server learns of it."""
        self._down.swallow(on)
        self._up.swallow(on)
        if not on and not self._client_open:
            self._end(LOST)

    # -- the feed's end --------------------------------------------------------------------------------------------------
    def send(self, text: str) -> None:
        if self._client_open:
            self._up.put(text)

    def hang_up(self, code: int = 1000) -> None:
        if self._client_open:
            self._client_open = False
            self._up.put(Close(code, ""))

    def _to_client(self, item: Any) -> None:
        if not self._client_open:
            return
        if isinstance(item, bytes):
            if len(item) <= self._max_message:
                self._listener.message(item)
            else:
                self._listener.closed(TOO_BIG, f"a message above {self._max_message} bytes or 65536 fragments")
        elif isinstance(item, Raw):
            for found in self._frames.read(item.data):
                self._to_client(found)
        elif item is PING:
            self._up.put(PONG)
        elif isinstance(item, Close):
            self._listener.closed(item.code, item.reason)
            self.hang_up(item.code)
        else:
            self._client_open = False
            self._listener.closed(NO_CLOSE_FRAME, "connection lost")


class _Near:
    """The feed's end of a wire, in the form of a ``Socket``."""

    def __init__(self, wire: Wire) -> None:
        self.send, self.close = wire.send, wire.hang_up


class Place:
    """One port that listens: both kinds of server look like theirs."""

    def __init__(self, net: Net, port: int) -> None:
        self.sockets = [SimpleNamespace(getsockname=lambda: ("127.0.0.1", port))]
        self.handler: Callable[[Wire], Awaitable[None]] | None = None
        self.process_request: Callable[[Any, Request], Awaitable[Response | None]] | None = None
        self.streams: Callable[[Any, Any], Awaitable[None]] | None = None
        self.ping: tuple[float | None, float | None] = (None, None)
        self.wires: dict[Wire, None] = {}
        self.dark = False  #: nothing comes here, and nothing from here arrives
        self._net, self._port = net, port

    def close(self, close_connections: bool = True, code: int = 1001, reason: str = "") -> None:
        self._net.places.pop(self._port, None)
        for wire in self.wires if close_connections else ():
            wire.abort()

    async def wait_closed(self) -> None:
        """It is."""


class Net:
    """All ports of one run. ``attempts`` and ``asked`` keep (loop's s, port) of every connection tried and every request made."""

    def __init__(self, rng: random.Random) -> None:
        self.places: dict[int, Place] = {}
        self.attempts: list[tuple[float, int]] = []
        self.asked: list[tuple[float, int]] = []
        self._rng = rng
        self._numbers = itertools.count(FIRST_PORT)
        self._tasks: dict[asyncio.Task[None], None] = {}

    # -- listening ---------------------------------------------------------------------------------------------------------
    async def serve(self, handler: Any, host: str, port: int, *, process_request: Any = None, ping_interval: float | None = None,
                    ping_timeout: float | None = None, **rest: Any) -> Any:  # fmt: skip
        """As ``websockets.asyncio.server.serve``."""
        place = self._listen(port)
        place.handler, place.process_request, place.ping = handler, process_request, (ping_interval, ping_timeout)
        return place

    async def start_server(self, client_connected_cb: Any, host: str, port: int, **rest: Any) -> Any:
        """As ``asyncio.start_server``."""
        place = self._listen(port)
        place.streams = client_connected_cb
        return place

    def _listen(self, port: int) -> Place:
        port = port or next(self._numbers)
        if port in self.places:
            raise OSError(f"port {port} is taken")
        self.places[port] = Place(self, port)
        return self.places[port]

    def black_hole(self, port: int, on: bool) -> None:
        """Whatever goes to or from this port vanishes: open connections are half open, new ones and requests get no answer."""
        self.places[port].dark = on
        for wire in self.places[port].wires:
            wire.half_open(on)

    def slow(self, port: int, line: Slow) -> list[Pipe]:
        """From now on what comes from this port comes over a slow line: those of the open connections."""
        pipes = [wire._down for wire in self.places[port].wires]
        for pipe in pipes:
            pipe.slow = line
        return pipes

    async def answers(self, place: Place) -> None:
        """Until something of what is sent there arrives."""
        while place.dark:
            await asyncio.sleep(1.0)

    # -- connecting --------------------------------------------------------------------------------------------------------
    async def connect(self, url: str, listener: Listener) -> None:
        """The feed's way to a WebSocket. Raises ConnectFailed."""
        parts = urlsplit(url)
        assert parts.port is not None
        self.attempts.append((asyncio.get_running_loop().time(), parts.port))
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self._connect(parts.port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), listener)
        except TimeoutError:
            raise ConnectFailed(f"no answer within {OPEN_TIMEOUT_S:g} s") from None

    async def _connect(self, port: int, target: str, listener: Listener) -> None:
        delay_s = self._rng.uniform(*DELAY_S)
        await asyncio.sleep(2 * delay_s)
        place = self.places.get(port)
        if place is None or place.handler is None:
            raise ConnectFailed("connection refused")
        await self.answers(place)
        wire = Wire(Request(target, Headers({"Upgrade": "websocket"})), listener, delay_s)
        refused = await place.process_request(wire, wire.request) if place.process_request is not None else None
        if refused is not None:
            wait = retry_after_s(refused.headers.get("Retry-After"), 0.0)
            raise ConnectFailed(f"answered HTTP {refused.status_code} instead of a WebSocket", refused.status_code, wait)
        wire.keep_alive(*place.ping)
        place.wires[wire] = None
        task = asyncio.get_running_loop().create_task(self._handle(place, wire), name="net handler")
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        listener.opened(_Near(wire))

    async def _handle(self, place: Place, wire: Wire) -> None:
        try:
            assert place.handler is not None
            await place.handler(wire)
            await wire.close()
        finally:
            place.wires.pop(wire, None)

    async def close(self) -> None:
        """End whoever still serves. Raises what a server's handler raised."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Requests(httpx.AsyncBaseTransport):
    """Carries the requests of an ``httpx.AsyncClient``."""

    def __init__(self, net: Net, rng: random.Random) -> None:
        self._net, self._rng = net, rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        net, port = self._net, request.url.port
        assert port is not None
        net.asked.append((asyncio.get_running_loop().time(), port))
        body, delay_s, target = await request.aread(), self._rng.uniform(*DELAY_S), request.url.raw_path.decode()
        await asyncio.sleep(2 * delay_s)
        place = net.places.get(port)
        if place is None:
            raise httpx.ConnectError("connection refused")
        await net.answers(place)
        if place.streams is not None:
            answer = await _streamed(place.streams, request.method, target, body)
        else:
            assert place.process_request is not None
            response = await place.process_request(None, Request(target, Headers()))
            assert response is not None, "a request without an upgrade is answered"
            answer = httpx.Response(response.status_code, headers=list(response.headers.raw_items()), content=bytes(response.body or b""))
        await asyncio.sleep(delay_s)
        return answer


async def _streamed(serve: Callable[[Any, Any], Awaitable[None]], method: str, target: str, body: bytes) -> httpx.Response:
    """One request through a pair of streams."""
    reader, written = asyncio.StreamReader(), bytearray()
    reader.feed_data(f"{method} {target} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    reader.feed_eof()

    async def drain() -> None:
        await asyncio.sleep(0)

    await serve(reader, SimpleNamespace(write=written.extend, drain=drain, close=lambda: None))
    head, _, content = bytes(written).partition(b"\r\n\r\n")
    if not head:
        raise httpx.RemoteProtocolError("the server hung up")
    lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
    return httpx.Response(int(lines[0].split(" ")[1]), headers=headers, content=content)  # type: ignore[arg-type]


class InOrder(dict[Any, None]):
    """A set that remembers in which order things came: one that goes by their place in memory has another order each time."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.keys()))

