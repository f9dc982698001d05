"""The sample world: the seeded market and its loopback venues, driven in virtual time, with faults at will."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from loguru import logger

from dope.sim import scenarios
from dope.sim import venue as venues_of
from dope.sim.faults import Faults, Server
from dope.sim.journal import Journal
from dope.sim.listings import ListingSpec
from dope.sim.market import EPOCH_MS, STEP_MS, SampleMarket
from dope.sim.proxy import Proxy
from dope.sim.scenarios import Scenario
from dope.sim.truth_log import TruthLog

MAX_LATE_STEPS = 200  #: a loop that comes later than this skips the rest instead of racing after it
PULSE_S = 0.01

VENUES = ("binance_spot", "binance_usdm", "okx")  #: unless others are asked for


class World:
    """Start it inside a running loop; every method but the constructor belongs to that loop."""

    def __init__(
        self, seed: int = 7, *, venues: Sequence[str] = VENUES, speed: float = 1.0, epoch_ms: int = EPOCH_MS,
        options: Mapping[str, Mapping[str, Any]] | None = None, clock: Callable[[], float] = time.monotonic,
        listings: Sequence[ListingSpec] | None = None, journal: Journal | None = None, scenario: str = "usual", proxied: bool = False,
    ) -> None:  # fmt: skip
        """``speed`` = virtual seconds per second; 0 = only ``advance`` moves time. ``epoch_ms`` = where virtual time
        starts. ``options`` of servers by venue id and other ``listings`` are for tests. ``proxied`` = a TCP proxy stands before
        every venue, for the faults of ``kinds.LINKS``. Raises UnknownName for a scenario that
        is none and for a venue without a server."""
        self.speed = speed
        self.journal = journal or Journal()
        specs = venues_of.listings(venues) if listings is None else listings
        first = scenarios.named(scenario)
        self.sample = SampleMarket(seed, specs, epoch_ms=epoch_ms, character=first.character, journal=self.journal)
        clocks = {venue: venues_of.VenueClock(self.sample) for venue in venues}
        self.servers: dict[str, Server] = {
            venue: venues_of.module(venue).Server(clocks[venue], clock=clock, **(options or {}).get(venue, {})) for venue in venues
        }
        self.log = TruthLog(self.sample)  #: what was published; with ``Truth``, every book that was
        for server in self.servers.values():
            server.voice.log = self.log
        self.faults = Faults(self.sample, self.servers, clocks, self.journal)
        self._director = scenarios.Director(first, self.sample, self.faults)
        self._clock, self._proxied = clock, proxied
        self._drive: asyncio.Task[None] | None = None

    async def start(self) -> dict[str, dict[str, str]]:
        """Open all ports and set time going. Returns the endpoints per venue id."""
        for venue, server in self.servers.items():
            await server.port.up()
            if self._proxied:
                await server.port.stand_behind(Proxy(venue))
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
        self.faults.close()
        for server in self.servers.values():
            await server.port.down()
            if server.port.proxy is not None:
                await server.port.proxy.close()

    @property
    def scenario(self) -> Scenario:
        """What is being played."""
        return self._director.playing

    def play(self, scenario: str) -> None:
        """Play this scenario from now on. Raises UnknownName."""
        self._director.play(scenarios.named(scenario))

    def advance(self, steps: int = 1) -> None:
        """Make so many steps of 10 ms at once and send what they bring."""
        for _ in range(steps):
            for _ in self.turn():
                pass

    def turn(self) -> Iterator[Server]:
        """One step of 10 ms, venue after venue: what it brings has been sent by each that is given out."""
        self.sample.step()
        self._director.step()
        self.faults.step()
        for server in self.servers.values():
            with server.port.together():
                server.publish()
            yield server

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
