"""A TCP proxy before a simulated venue, on loopback: what passes comes late, slowly, in pieces, spoilt, or not at all, each way apart.

It reads nothing of what it carries, so WebSocket and HTTP pass alike. "up" is from the client to the venue, "down" the other way.
Its times are those of the loop, not of the market.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Iterable, Mapping
from urllib.parse import urlsplit

from dope.errors import BadFault
from dope.sim.modes import DOWN, UP, WAYS, Mode
from dope.sim.proxy_end import FIN, End

BACKLOG = 1024  #: connections that wait to be accepted


class _Door:
    """The port that stands for one address of the venue."""

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self._behind, self.port = (host, port), 0
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

    def _connected(self) -> End:
        near, far = End(self._proxy, UP, self._behind), End(self._proxy, DOWN, self._behind)
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
        self.connections: dict[End, None] = {}  #: the clients' ends, oldest first
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
    def accepted(self, near: End) -> None:
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

    async def _dial(self, near: End) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: near.other, *near.behind)
        except OSError:
            near.reset()  # the venue does not listen

    def forget(self, end: End) -> None:
        """A connection of which nothing is left."""
        self.connections.pop(end if end.way == UP else end.other, None)

    def _ends(self, ways: Iterable[str]) -> list[End]:
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
