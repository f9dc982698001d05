"""The stage of a simulated run: a world of venues and a session that watches it, joined by a network in memory, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

from dope.feed.clock import Clock
from dope.feed.connection import Timing
from dope.feed.feed import Network
from dope.session import Session
from dope.settings import Settings
from dope.sim.listings import ListingSpec
from dope.types import Frame
from dope.watch import Watch
from tests.simulation.net import InOrder, Net, Requests
from tests.simulation.truth import Ledger, WrittenWorld


class Stage:
    """Everything of one run. ``batches`` are the frames as they were handed over, oldest first."""

    def __init__(self, seed: int, specs: Sequence[ListingSpec], clock: Clock, *, timing: Timing | None = None) -> None:
        now, chance = asyncio.get_running_loop().time, random.Random(f"{seed}/net")
        self.net, self.watch, self.clock = Net(chance), Watch(now), clock
        self.venues = tuple(dict.fromkeys(spec.venue for spec in specs))
        self.world = WrittenWorld(seed, venues=self.venues, listings=specs, clock=now)
        for server in self.world.servers.values():
            server.port.clients = InOrder()  # type: ignore[assignment]
            server.port.inside(self.net)
        self.settings = Settings(
            _env_file=None, record=False, venues=self.venues, symbols=tuple(dict.fromkeys(spec.symbol for spec in specs))
        )  # type: ignore[call-arg]
        self.client = httpx.AsyncClient(transport=Requests(self.net, chance), timeout=None)
        self.network = Network(random.Random(f"{seed}/feed"), self.net.connect, self.client, timing)
        self.session: Session
        self.ledger: Ledger
        self.running: asyncio.Task[None]
        self.batches: list[list[Frame]] = []

    async def open(self) -> None:
        """The ports listen, the feed connects."""
        endpoints = await self.world.start()
        self.session = Session(self.settings, "sim", endpoints, self.clock, self.watch, None, self.network)
        venues = self.session.engine.venues
        self.world.ledger = self.ledger = Ledger(self.world, {venue: venues[venue].DEPTH for venue in self.venues})
        self.running = asyncio.ensure_future(self.session.feed.run())

    async def close(self) -> None:
        """The feed first, so that the world does not look as if it failed. Raises what the feed or a server raised."""
        await self.session.feed.stop()
        await self.running
        await self.world.stop()
        await self.net.close()
        await self.client.aclose()


@asynccontextmanager
async def staged(seed: int, specs: Sequence[ListingSpec], clock: Clock, *, timing: Timing | None = None) -> AsyncIterator[Stage]:
    """A stage that is open."""
    stage = Stage(seed, specs, clock, timing=timing)
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()
