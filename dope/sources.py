"""The one session that runs, the process behind it unless it is live, and the way from one source to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from loguru import logger

from dope.detectors import Rules
from dope.detectors.parameters import Values, in_force, parted
from dope.engines import ROLES
from dope.errors import DopeError
from dope.feed.clock import Clock
from dope.feed.probe import reachable
from dope.muting import Muting
from dope.session import Session
from dope.settings import Settings
from dope.sim.scenarios import SCENARIOS
from dope.tape.read import Tape
from dope.venues import chosen, make
from dope.watch import Watch
from dope.watching import Watching
from dope.worlds import ONLY_SIMULATED, WorldProcess, symbols_of

SIM_BANNER = "SIMULATED MARKET: no exchange can be reached"
DEMO_BANNER = "SIMULATED MARKET: started on request"
TAPE_BANNER = "RECORDED MARKET: a tape is played back over loopback"
OVER_BANNER = "RECORDED MARKET: the tape is over"
KNOCK_S = 5.0  #: s that a venue has to answer a probe
MENDED_ONCE_NS = 60 * 10**9  #: a process that ends by itself twice within this is not started a third time


class Sources:
    """Belongs to the loop; other threads may read ``session`` and ``banner``. ``on_begin`` is told each new session."""

    def __init__(
        self, settings: Settings, clock: Clock, tapes: tuple[Path, ...], on_begin: Callable[[Session], None],
        changes: Mapping[str, Any] | None = None, watch: Watch | None = None, watching: Watching | None = None,
        muting: Muting | None = None,
    ) -> None:  # fmt: skip
        """``changes`` = rules that a user changed before and that still hold; ``watching`` and ``muting`` likewise.

        None = as the settings say, and nobody.
        """
        self.muting = muting or Muting()
        self.watching = watching or Watching(settings.symbols, chosen(settings.venues))
        self._changes = dict(changes or {})
        self.tiers: dict[str, str] = {}  #: venue → fee tier that a user chose
        self.settings, self.clock, self.tapes, self._watch = settings, clock, tapes, watch or Watch()
        self.session: Session | None = None
        self.banner: str | None = None
        self.live_available = False  #: a venue answered while the simulated market runs
        self.scenario: tuple[str, int] | None = None  #: id of what the simulated market plays, and since when, virtual ms UTC
        self._chosen: str = settings.sim_scenario  # outlives a change of the source, and a process that is started anew
        self._on_begin = on_begin
        self._world: WorldProcess | None = None
        self._feed: asyncio.Task[None] | None = None
        self._rules: Rules | None = None  # what the user set outlives a change of the source
        self._parameters: Values = {}
        self._give_up_at = 0  # ns; until then a live venue may still answer, 0 = nobody waits for that
        self._mended_at = 0  # ns

    # -- opening -------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Open what the settings ask for; "auto" begins live and falls back on the simulated market in ``look_after``."""
        if self.tapes:
            await self._open_world("tape", TAPE_BANNER)
        elif self.settings.source == "sim":
            await self._open_world("sim", DEMO_BANNER)
        else:
            await self._open_live()
            if self.settings.source == "auto":
                self._give_up_at = self.clock.now() + int(self.settings.live_timeout_s * 1e9)

    async def switch(self, to: str) -> None:
        """Change to "live" or "sim" because a user wishes it."""
        if self.session is not None and self.session.source == to:
            raise DopeError(f"the {to} market is running already")
        await (self._open_live() if to == "live" else self._open_world("sim", DEMO_BANNER))

    async def _open_live(self) -> None:
        await self.close()
        self._begin(Session(self.settings, "live", {}, self.clock, self._watch, self.watching, muting=self.muting), None)

    async def _open_world(self, source: str, banner: str) -> None:
        """The new process first: should it not start, whatever runs goes on."""
        settings, tapes = self.settings, self.tapes if source == "tape" else ()
        if tapes:
            opened = [Tape(path, tolerant=True) for path in tapes]
            venues = tuple(sorted({venue for tape in opened for venue in tape.meta.venues}))
            settings = settings.model_copy(update={"symbols": await asyncio.to_thread(symbols_of, opened), "venues": venues})
        watched = [] if tapes else [venue for venue in chosen(["all"]) if self.watching.of(venue)]
        venues = tuple(dict.fromkeys([*chosen(settings.venues), *watched]))
        world = WorldProcess(
            seed=settings.sim_seed, venues=venues, speed=settings.sim_rate, tapes=tapes, scenario=self._chosen
        )  # fmt: skip
        endpoints = await world.start()
        await self.close()
        self._world = world
        self.scenario = None if tapes else (self._chosen, self.clock.now() // 1_000_000)
        watching = None if tapes else self.watching
        self._begin(Session(settings, source, endpoints, self.clock, self._watch, watching, muting=self.muting), banner)

    def _begin(self, session: Session, banner: str | None) -> None:
        if self._rules is not None:
            session.take_rules(self._rules)
            session.take_parameters(self._parameters)
        elif self._changes:
            self._restore(session)
        if self.tiers:
            session.take_tiers(self.tiers)
        self.banner, self.live_available, self._give_up_at = banner, False, 0
        self._on_begin(session)
        watched = sum(bool(venue.symbols) for venue in session.engine.venues.values())
        session.picture.tell(self.clock.now(), "system", f"watching {watched} venues ({session.source})")
        self._feed = asyncio.create_task(session.feed.run(), name="feed")
        self.session = session

    def _restore(self, session: Session) -> None:
        try:
            rules, parameters = parted(self._changes)
            session.changed_parameters(parameters)
            session.take_rules(session.changed_rules(rules))
            session.take_parameters(parameters)
        except ValueError as error:  # kept by another version, or by hand
            logger.warning("rules that were changed before are not used: {}", error)
            return
        told = [f"{leg} at {venue} as {role}" for venue, legs in (rules.pop(ROLES, None) or {}).items() for leg, role in legs.items()]
        figures = [*rules.items(), *((f"{own}.{name}", value) for own, named in parameters.items() for name, value in named.items())]
        words = ", ".join([*(f"{name} {value:g}" for name, value in figures), *told])
        session.picture.tell(self.clock.now(), "system", f"rules as they were changed before: {words}")

    def watch(self, watching: Watching) -> None:
        """Watch this from now on, also after a change of the source. Raises DopeError while a tape is played back."""
        if self.session is None or self.session.source == "tape":
            raise DopeError("what is watched cannot be changed while a tape is played back")
        before, self.watching = self.watching, watching
        self.session.watch(watching)
        for venue_id, venue in self.session.engine.venues.items():
            new, old = watching.of(venue_id), before.of(venue_id)
            if new and old:
                told = [f"{symbol} is watched" for symbol in new if symbol not in old]
                told += [f"{symbol} is no longer watched" for symbol in old if symbol not in new]
            else:
                told = ["is watched"] if new else ["is no longer watched"] if old else []
            for words in told:
                self.session.picture.tell(self.clock.now(), "system", f"{venue.LABEL}{': ' if new and old else ' '}{words}")

    def charge(self, venue: str, tier: str) -> None:
        """Reckon with this tier of a venue's fees from now on."""
        if self.session is not None:
            self.session.take_tiers(self.tiers | {venue: tier})
            self.tiers[venue] = tier
            self.session.picture.tell(self.clock.now(), "system", f"{self.session.picture.label(venue)}: fee tier {tier}")

    def mute(self, venue: str, seconds: float | None, *, on: bool) -> None:
        """Do not raise that venue's warnings for so long (None = until told otherwise), or raise them again."""
        if self.session is None:
            return
        now, label = self.clock.now(), self.session.picture.label(venue)
        if on:
            self.muting.mute(venue, now, seconds)
            told = "until it is unmuted" if seconds is None else f"for {seconds / 60:g} min"
            self.session.picture.tell(now, "system", f"{label} is muted {told}: it goes on as before, its warnings are not raised")
        else:
            self.muting.unmute(venue)
            self.session.picture.tell(now, "system", f"{label} is no longer muted")

    async def play(self, scenario: str) -> None:
        """Let the simulated market play this from now on. Raises DopeError where none runs."""
        if self.session is None or self._world is None:
            raise DopeError(ONLY_SIMULATED)
        self.scenario = (scenario, await self._world.play(scenario))
        self._chosen, played = scenario, SCENARIOS[scenario]
        self.session.picture.tell(self.clock.now(), "system", f"the simulated market plays {played.name}: {played.see}")

    async def close(self) -> None:
        """Close the sockets, the tape, the process."""
        session, self.session, self.scenario = self.session, None, None
        if session is not None:
            self._rules, self._parameters = session.arbitrage.rules, in_force(session.engine.detectors)
            await session.stop()
        if self._feed is not None:
            await asyncio.wait([self._feed], timeout=2.0)
        if self._world is not None:
            await self._world.stop()
            self._world = None

    # -- watching ------------------------------------------------------------------------------------------------------
    async def look_after(self) -> None:
        """Call often. Falls back when no venue was reached; starts a process anew that ended by itself, once a minute.

        Raises DopeError for what cannot be mended: better dead and seen than silently wrong.
        """
        if self.session is None or self._feed is None:
            return
        if self._feed.done():
            raise DopeError("the feed has ended") from (None if self._feed.cancelled() else self._feed.exception())
        if self.session.broken:
            raise DopeError(self.session.broken)
        if self._give_up_at:
            await self._wait_for_live(self.session)
        elif self._world is not None and not self._world.alive:
            await self._mend(self.session.source, self.banner or "")
        elif self._world is not None and self._world.over:
            self.banner = OVER_BANNER

    async def _wait_for_live(self, session: Session) -> None:
        if any(venue.state in ("live", "rest") for venue in session.feed.health().values()):
            self._give_up_at = 0
        elif self.clock.now() > self._give_up_at:
            logger.warning("no exchange reached within {:g} s: starting the simulated market", self.settings.live_timeout_s)
            await self._open_world("sim", SIM_BANNER)

    async def _mend(self, source: str, banner: str) -> None:
        now = self.clock.now()
        if self._mended_at and now - self._mended_at < MENDED_ONCE_NS:
            raise DopeError(f"the process of the {source} market ended twice within a minute")
        self._mended_at = now
        self._watch.note("market process", "ended by itself, it is started anew")
        logger.warning("the process of the {} market ended by itself: starting it anew", source)
        await self._open_world(source, banner)
        if self.session is not None:
            text = f"the process of the {source} market had ended by itself and was started anew"
            self.session.picture.tell(self.clock.now(), "system", text, "", "warn")

    async def probe(self) -> None:
        """For ever: while the simulated market runs for want of a live one, does a venue answer now?"""
        while True:
            await self.clock.sleep(self.settings.probe_s)
            if self.session is not None and self.session.source == "sim" and self.settings.source != "sim":
                wanted = chosen(self.settings.venues)
                venues = {v: make(v, self.settings.symbols, self.settings.places().get(v)) for v in wanted}
                found = await reachable(venues, self.clock, KNOCK_S)
                self.live_available = found is not None and self.session is not None and self.session.source == "sim"
