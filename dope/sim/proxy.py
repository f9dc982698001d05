"""A TCP proxy before a simulated venue, on loopback: what passes comes late, slowly, in pieces, spoilt, or not at all, each way apart.

It reads nothing of what it carries, so WebSocket and HTTP pass alike. "up" is from the client to the venue, "down" the other way.
Its times are those of the loop, not of the market.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Iterable, Mapping
from urllib.parse import urlsplit

from dope.errors import BadFault
from dope.sim.modes import DOWN, UP, WAYS, Mode

HELD_MAX = 1 << 20  #: bytes of one way of a connection that wait here; then their sender has to
BACKLOG = 1024  #: connections that wait to be accepted
LINGER_0 = struct.pack("ii", 1, 0)  #: a socket that is closed with this sends RST
FIN, CUT, RST = "the end of one way", "a close", "a reset"


class _End(asyncio.Protocol):
    """One of the two sockets of a connection: what it hears goes one ``way``, out at the ``other``."""

    def __init__(self, proxy: Proxy, way: str, door: _Door) -> None:
        self.proxy, self.way, self.door = proxy, way, door
        self.other: _End
        self.transport: asyncio.Transport | None = None
        self.gone = self.heard_all = self.said_all = self.full = False
        self._on = proxy.on_way[way]
        self._loop = asyncio.get_running_loop()
        self._held: deque[tuple[float, bytes | str]] = deque()  # (when it goes on, what)
        self._bytes = self._passed = 0
        self._due = 0.0  # when the newest of them goes on
        self._timer: asyncio.TimerHandle | None = None

    # -- what the socket tells -----------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.way == UP:
            self.proxy.accepted(self)
        elif self.other.gone:
            transport.abort()
        else:
            self.other.flow()

    def data_received(self, data: bytes) -> None:
        on = self._on
        if "tcp_blackhole" in on:
            on["tcp_blackhole"].did()
            return
        if self.other.said_all or self.other.gone:
            return
        limit = on.get("tcp_limit")
        if limit is not None:
            data = data[: max(0, int(limit.number("n")) - self._passed)]
        self._passed += len(data)
        if "tcp_corrupt" in on and data:
            data = on["tcp_corrupt"].spoilt(data)
        size = int(on["tcp_slice"].number("n", 1)) if "tcp_slice" in on else len(data)
        late = on["tcp_latency"].late_s() if "tcp_latency" in on else 0.0
        for start in range(0, len(data), size or 1):
            self._hold(data[start : start + size], late)
        if limit is not None and self._passed >= limit.number("n"):
            limit.did()
            self._hold(CUT)
        self.flow()

    def eof_received(self) -> bool:
        self.heard_all = True
        if "tcp_blackhole" not in self._on:
            self._hold(FIN)
            self.flow()
        return self.other.transport is not None  # the other way goes on, where there is one

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self.other.gone or self.other.transport is None:
            self.proxy.forget(self)
        elif "tcp_blackhole" not in self._on:
            self._hold(RST if exc is not None else CUT)
            self.flow()

    def pause_writing(self) -> None:
        self.full = True
        self.other.mind()

    def resume_writing(self) -> None:
        self.full = False
        self.other.mind()

    # -- what is done --------------------------------------------------------------------------------------------------
    def _hold(self, what: bytes | str, late_s: float = 0.0) -> None:
        self._due = max(self._due, self._loop.time() + late_s)
        if isinstance(what, bytes):
            self._bytes += len(what)
            if "tcp_rate" in self._on:
                self._due += len(what) / self._on["tcp_rate"].number("bytes_s", 1)
        self._held.append((self._due, what))

    def flow(self) -> None:
        """Let go on what is due."""
        if self.other.transport is None:
            return  # not connected yet
        now = self._loop.time()
        while self._held and self._held[0][0] <= now:
            what = self._held.popleft()[1]
            self.other.take(what)
            self._bytes -= len(what) if isinstance(what, bytes) else 0
        if self._held and self._timer is None:
            self._timer = self._loop.call_at(self._held[0][0], self._next)
        self.mind()

    def _next(self) -> None:
        self._timer = None
        self.flow()

    def take(self, what: bytes | str) -> None:
        """Say this."""
        assert self.transport is not None
        if self.transport.is_closing():
            return
        if isinstance(what, bytes):
            self.proxy.carried[self.other.way] += len(what)
            self.transport.write(what)
        elif what == FIN:
            self.said_all = True
            self.transport.write_eof()
            if self.other.said_all:
                self.close()
                self.other.close()
        elif what == RST:
            self.reset()
        else:
            self.close()

    def close(self) -> None:
        """Close it; what was written still goes out."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close it with RST."""
        if self.transport is not None and not self.gone:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            self.transport.abort()

    def mind(self) -> None:
        """Read on, or not."""
        if self.transport is None or self.heard_all or self.transport.is_closing():
            return
        if self._bytes > HELD_MAX or self.other.full or "tcp_stall" in self._on:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def catch_up(self) -> None:
        """What was swallowed of the end of this socket is told now."""
        if self.gone or self.heard_all:
            self._hold(CUT if self.gone else FIN)
            self.flow()


class _Door:
    """The port that stands for one address of the venue."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self.host, self.behind, self.port = host, port, 0
        self._proxy = proxy
        self._server: asyncio.Server | None = None

    async def shut(self) -> None:
        """Have the port and do not listen there: who connects is refused."""
        self.close()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connected, "127.0.0.1", self.port, backlog=BACKLOG, start_serving=False)
        self.port = self._server.sockets[0].getsockname()[1]

    async def open(self) -> None:
        """Listen."""
        if self._server is None:
            await self.shut()
        assert self._server is not None
        await self._server.start_serving()

    def close(self) -> None:
        """Leave the port."""
        if self._server is not None:
            self._server.close()

    def _connected(self) -> _End:
        near, far = _End(self._proxy, UP, self), _End(self._proxy, DOWN, self)
        near.other, far.other = far, near
        return near


class Proxy:
    """All connections to one venue; transparent as long as no mode is on. Of two modes of a kind the newer holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoints: dict[str, str] = {}
        self.modes: list[Mode] = []
        self.on_way: dict[str, dict[str, Mode]] = {way: {} for way in WAYS}
        self.carried = dict.fromkeys(WAYS, 0)  #: bytes
        self.connections: dict[_End, None] = {}  #: the clients' ends, oldest first
        self._doors: dict[tuple[str, int], _Door] = {}
        self._dials: set[asyncio.Task[None]] = set()

    async def before(self, endpoints: Mapping[str, str]) -> dict[str, str]:
        """Listen before these addresses; gives what stands for them. Raises BadFault for one that is not of this machine's loopback."""
        for name, url in endpoints.items():
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or 0
            if not _is_loopback(host):
                raise BadFault(f"a proxy stands only before addresses on loopback, not before {host[:64]!r}")
            if (host, port) not in self._doors:
                self._doors[host, port] = _Door(self, host, port)
                await self._doors[host, port].open()
            self.endpoints[name] = parts._replace(netloc=f"127.0.0.1:{self._doors[host, port].port}").geturl()
        return self.endpoints

    def on(self, mode: Mode) -> Awaitable[None] | None:
        """Do this from now on, to what is open too."""
        self.modes.append(mode)
        self._sort()
        for end in self._ends(mode.ways):
            match mode.kind:
                case "tcp_reset":
                    mode.did()
                    end.other.reset()
                case "tcp_eof" if not end.other.said_all and end.other.transport is not None:
                    mode.did()
                    end.other.take(FIN)
                case "tcp_stall":
                    end.mind()
        return self._refuse(True) if mode.kind == "tcp_refuse" else None

    def off(self, mode: Mode) -> Awaitable[None] | None:
        """Do this no longer."""
        self.modes.remove(mode)
        self._sort()
        for end in self._ends(mode.ways):
            if mode.kind == "tcp_stall":
                end.mind()
            elif mode.kind == "tcp_blackhole":
                end.catch_up()
            elif mode.kind == "tcp_hang" and end.transport is not None and end.other.transport is None:
                end.reset()
        if mode.kind == "tcp_refuse" and not any(other.kind == mode.kind for other in self.modes):
            return self._refuse(False)
        return None

    async def close(self) -> None:
        """Cut everything and stop listening."""
        for door in self._doors.values():
            door.close()
        for dial in self._dials:
            dial.cancel()
        for end in self._ends(WAYS):
            if end.transport is not None:
                end.transport.abort()
        await asyncio.gather(*self._dials, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport frees its descriptor in the next turn of the loop

    # -- connections ---------------------------------------------------------------------------------------------------
    def accepted(self, near: _End) -> None:
        """A client is there."""
        on = self.on_way[DOWN]
        if "tcp_reset" in on:
            on["tcp_reset"].did()
            near.reset()
            return
        self.connections[near] = None
        if "tcp_hang" in on:
            on["tcp_hang"].did()
            return
        dial = asyncio.get_running_loop().create_task(self._dial(near), name=f"proxy {self.name}")
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)

    async def _dial(self, near: _End) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: near.other, near.door.host, near.door.behind)
        except OSError:
            near.reset()  # the venue does not listen

    def forget(self, end: _End) -> None:
        """A connection of which nothing is left."""
        self.connections.pop(end if end.way == UP else end.other, None)

    def _ends(self, ways: Iterable[str]) -> list[_End]:
        return [end for near in self.connections for end in (near, near.other) if end.way in ways]

    def _sort(self) -> None:
        for way, on in self.on_way.items():
            on.clear()
            on |= {mode.kind: mode for mode in self.modes if way in mode.ways}

    async def _refuse(self, on: bool) -> None:
        for door in self._doors.values():
            await (door.shut() if on else door.open())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may stand for anything
