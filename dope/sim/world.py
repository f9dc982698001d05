"""The sample world: the seeded market and its loopback venues, driven in virtual time, with faults at will."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from loguru import logger

from dope.errors import UnknownName
from dope.sim import venue as venues_of
from dope.sim.listings import ListingSpec
from dope.sim.market import EPOCH_MS, STEP_MS, SampleMarket
from dope.sim.port import Port

MAX_LATE_STEPS = 200  #: a loop that comes later than this skips the rest instead of racing after it
PULSE_S = 0.01

VENUES = ("binance_spot", "binance_usdm", "okx")  #: unless others are asked for


class Server(Protocol):
    """What the world needs of a venue's server."""

    port: Port

    def publish(self) -> None: ...

    def drop(self, symbol: str) -> None: ...


class World:
    """Start it inside a running loop; every method but the constructor belongs to that loop."""

    def __init__(
        self, seed: int = 7, *, venues: Sequence[str] = VENUES, speed: float = 1.0, epoch_ms: int = EPOCH_MS,
        options: Mapping[str, Mapping[str, Any]] | None = None, clock: Callable[[], float] = time.monotonic,
        listings: Sequence[ListingSpec] | None = None,
    ) -> None:  # fmt: skip
        """``speed`` = virtual seconds per second; 0 = only ``advance`` moves time. ``epoch_ms`` = where virtual time
        starts. ``options`` of servers by venue id and other ``listings`` are for tests. Raises UnknownName for a venue without a server."""
        self.speed = speed
        self.sample = SampleMarket(seed, venues_of.listings(venues) if listings is None else listings, epoch_ms=epoch_ms)
        self.servers: dict[str, Server] = {
            venue: venues_of.module(venue).Server(self.sample, clock=clock, **(options or {}).get(venue, {})) for venue in venues
        }
        self.faults = Faults(self)
        self._clock = clock
        self._drive: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, dict[str, str]]:
        """Open all ports and set time going. Returns the endpoints per venue id."""
        for server in self.servers.values():
            await server.port.up()
        if self.speed > 0:
            self._drive = asyncio.create_task(self._run())
        logger.info("sample market with seed {} runs at speed {:g}", self.sample.seed, self.speed)
        return {venue: server.port.endpoints for venue, server in self.servers.items()}

    async def run(self) -> None:
        """Until time stands still. Raises what made it stand still."""
        if self._drive is not None:
            await asyncio.shield(self._drive)

    async def stop(self) -> None:
        """Stop time, cut the clients, close the ports."""
        if self._drive is not None:
            self._drive.cancel()
            await asyncio.gather(self._drive, return_exceptions=True)
            self._drive = None
        for server in self.servers.values():
            await server.port.down()

    def advance(self, steps: int = 1) -> None:
        """Make so many steps of 10 ms at once and send what they bring."""
        for _ in range(steps):
            self.sample.step()
            for server in self.servers.values():
                server.publish()

    async def _run(self) -> None:
        origin, done = self._clock(), 0
        while True:
            await asyncio.sleep(PULSE_S)
            due = int((self._clock() - origin) * self.speed * 1000 / STEP_MS) - done
            if due > MAX_LATE_STEPS * max(1.0, self.speed):
                done += due - 1  # the machine slept: virtual time just goes on from here
                due = 1
            self.advance(due)
            done += due


class Faults:
    """What may be done to a venue; names are venue ids and canonical symbols. Raises UnknownName for others."""

    def __init__(self, world: World) -> None:
        self._world = world

    def server(self, venue: str) -> Server:
        """The server of a venue."""
        if venue not in self._world.servers:
            raise UnknownName("venue", venue, self._world.servers)
        return self._world.servers[venue]

    def freeze(self, venue: str) -> None:
        """The sockets stay open and nothing comes nor is read, not even pongs."""
        self._port(venue, "frozen").freeze()

    def mute(self, venue: str) -> None:
        """Acks and pongs only, no data."""
        self._port(venue, "mute").muted = True

    def refuse(self, venue: str, status: int = 503) -> None:
        """Every handshake and request gets this HTTP status; open connections go on."""
        self._port(venue, f"answers {status}").refusing = status

    def heal(self, venue: str) -> None:
        """End of freeze, mute and refuse."""
        port = self._port(venue, "well again")
        port.muted, port.refusing = False, 0
        port.thaw()

    async def kick(self, venue: str, code: int = 1001, reason: str = "") -> None:
        """Close all its connections with this code; 1006 = cut."""
        await self._port(venue, f"kicks with {code}").kick(code, reason)

    async def down(self, venue: str) -> None:
        """Cut all connections and stop listening."""
        await self._port(venue, "goes down").down()

    async def up(self, venue: str) -> None:
        """Listen again, on the same port."""
        await self._port(venue, "comes up").up()

    def drop(self, venue: str, symbol: str) -> None:
        """Lose one depth message of a symbol: the next one that somebody would have got."""
        self._market(venue, symbol)
        self.server(venue).drop(symbol)

    def raw(self, venue: str, frame: str | bytes) -> None:
        """Send one arbitrary frame to every client: str as text, bytes as binary."""
        self._port(venue, "sends a raw frame").raw(frame)

    def halt(self, venue: str, symbol: str, halted: bool = True) -> None:
        """Nothing happens in this market any more; ``Truth`` no longer tells its future."""
        self._market(venue, symbol)
        self._world.sample.markets[f"{venue}:{symbol}"].halted = halted

    def _port(self, venue: str, what: str) -> Port:
        port = self.server(venue).port
        logger.info("sim {} {}", venue, what)
        return port

    def _market(self, venue: str, symbol: str) -> None:
        self.server(venue)
        if f"{venue}:{symbol}" not in self._world.sample.markets:
            raise UnknownName("market", f"{venue}:{symbol}", self._world.sample.markets)
