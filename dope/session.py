"""One source, wired: venues, feed, engine, tape, picture and predictor; live and simulated ones never share anything."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from dope import __version__
from dope.detectors import Rules
from dope.detectors.arbitrage import Arbitrage
from dope.detectors.clocks import Clocks
from dope.detectors.parameters import Values, checked, in_force
from dope.detectors.sampler import Sampler
from dope.detectors.spreads import Spreads
from dope.engine import Detector
from dope.engines import build_engine, changed_rules, costs, detector_of
from dope.errors import TapeError
from dope.feed.clock import Clock
from dope.feed.connection import Timing
from dope.feed.feed import Feed, Network
from dope.model.live import PredictorState
from dope.muting import Muting
from dope.picture import Picture
from dope.quantiles import Quantiles
from dope.rows import Collector
from dope.settings import Settings
from dope.tail import Tail
from dope.tape.catalogue import list_tapes
from dope.tape.format import Meta, parse_name
from dope.tape.journal import Journal
from dope.tape.writer import Bounds
from dope.types import SET, Event, Frame, Instruments, of_sentinel
from dope.venues import chosen
from dope.venues.base import Venue
from dope.venues.sentinel import KEYS as SENTINEL_KEYS
from dope.watch import Watch
from dope.watching import Watching

MS = 1_000_000
NS = 1_000_000_000
CLOSE_S = 3.0  #: s that the tape may take to close
COLLECT_NS = 100 * MS  #: rows are taken this often
HURRY_FRAMES = 1024  #: frames after which it is looked whether they must be taken sooner


class Session:
    """Everything that belongs to one run of one source: "live", "sim" or "tape"."""

    def __init__(
        self, settings: Settings, source: str, endpoints: dict[str, dict[str, str]], clock: Clock, watch: Watch | None = None,
        watching: Watching | None = None, network: Network | None = None, muting: Muting | None = None, also: Sequence[Detector] = (),
    ) -> None:  # fmt: skip
        """``watching`` None = what the settings say, ``network`` None = that of the machine, ``muting`` None = nobody is;
        ``also`` = whoever listens behind all detectors."""
        self.settings, self.source, self.clock, self._watch = settings, source, clock, watch or Watch()
        wanted = chosen(settings.venues)
        self.watching = watching or Watching(settings.symbols, wanted)
        # those that are not watched have no symbols: a user may add some at any time
        venue_ids = tuple(v for v in dict.fromkeys([*wanted, *chosen(["all"])]) if source == "live" or v in endpoints)
        self._run = f"{source}-{clock.now()}"
        self.rows, self.tail = Collector(self._run), Tail()
        places = {**endpoints, **(settings.places() if source == "live" else {})}
        self.sampler = Sampler(period_ms=settings.sampler_ms, windows_bps=settings.depth_bps)
        self.engine = build_engine(settings, venue_ids, places, (self.rows, self.sampler, *also))
        for venue_id, venue in self.engine.venues.items():
            venue.symbols = self.watching.of(venue_id)
        self.arbitrage: Arbitrage = detector_of(self.engine, Arbitrage)
        self.spreads: Spreads = detector_of(self.engine, Spreads)
        self.clocks: Clocks = detector_of(self.engine, Clocks)
        self.picture = Picture(
            self.engine, self.arbitrage, self.spreads, started_ns=clock.now(), alert_pct=settings.min_profit_threshold
        )
        self.picture.muting = muting or self.picture.muting
        self.predictor = PredictorState(buffer_rows=settings.buffer_per_symbol, min_samples=settings.min_samples)
        self.folder = settings.data_dir / source  #: of its tapes
        self.journal: Journal | None = None
        self.recording_trouble = ""
        self.broken = ""  #: why this session cannot go on, "" while it can
        if settings.record and source != "tape":  # a tape that is played back is on a tape already
            self._record(settings)
        patience = settings.connection_timeout_s
        timing = Timing(open_s=patience, answer_s=2 * patience, poll_s=settings.poll_s)
        network = network or Network(random.Random())
        self.feed = Feed(
            self.engine.venues, self.on_frames, clock=clock, rng=network.rng, timing=network.timing or timing, watch=self._watch,
            lists=source != "tape",  # what a tape has not recorded nobody can tell
            connect=network.connect, client=network.client,
        )  # fmt: skip
        self.on_probe: Callable[[Event], None] = lambda event: None  #: hears what the engine tells of the markets of the self-test
        self.took = Quantiles()  #: ns from the stamp of the oldest message of a batch to the end of all detectors
        self._volumes: dict[str, float] = {}
        self._collected = self._collected_frames = 0
        self._collecting: Iterator[None] | None = None  # rows are being taken, a piece a turn
        self.feed.tell(SET, self._in_force())  # what is recorded begins with the rules, fees and parameters in force
        self._tell_of_idle_venues()

    def _tell_of_idle_venues(self) -> None:
        """A venue that nothing is asked of would seem to be connecting for ever, and nobody would miss what has no room."""
        self._hide()
        for venue_id, venue in self.engine.venues.items():
            if venue.symbols and not venue.plan():
                text = f"{venue.LABEL}: nothing to connect to, none of the symbols watched is found there"
                logger.warning("{}: {}", venue_id, text)
                self.picture.tell(self.clock.now(), "system", text, "", "warn", venue=venue_id)
            self._tell_of_no_room(venue)

    def _tell_of_no_room(self, venue: Venue) -> None:
        if beyond := venue.beyond():
            text = f"{venue.LABEL}: its connections have no room for {', '.join(beyond)}: not asked for"
            logger.warning("{}: {}", venue.ID, text)
            self.picture.tell(self.clock.now(), "system", text[:200], "", "warn", venue=venue.ID)

    def _record(self, settings: Settings) -> None:
        digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]
        meta = Meta(self.source, self.clock.now(), __version__, self._watched(), digest, self._run)
        bounds = Bounds(total_bytes=settings.tape_max_mb << 20, close_s=CLOSE_S)
        try:
            self.journal = Journal(self.folder, meta, bounds=bounds, watch=self._watch, on_failure=self._recorder_failed)
        except (TapeError, OSError) as error:  # a market that is watched and not recorded is better than none, if it is said
            self.recording_trouble = str(error)
            logger.error("not recording: {}", error)

    def _recorder_failed(self) -> None:
        """From the recorder's thread, when it has ended again and again."""
        self.broken = "the recorder has failed again and again"

    def on_frames(self, frames: list[Frame]) -> None:
        """The hot path: record, step, note what is worth telling, carry out what the venues ask for."""
        if self.journal is not None:
            self.journal.append(frames)
        engine = self.engine
        for event in engine.step_many(frames):
            if of_sentinel(event):
                self.on_probe(event)
                continue
            self.picture.note(event)
            self.rows.note(event)
            if type(event) is Instruments:  # names that were not known are now, and other markets trade
                self.feed.replan(event.venue)
        if (
            self._collecting is not None
            or engine.market.now - self._collected >= COLLECT_NS
            or engine.frames - self._collected_frames >= HURRY_FRAMES
        ):
            self._collect_some()
        actions = engine.drain()
        if actions:
            self.feed.actions(actions)
        if frames:
            self.took.add(self.clock.now() - frames[0].ts)

    def _collect_some(self) -> None:
        """Another piece of the rows that are being taken, or the first one of the next, where they are due: a market waits meanwhile."""
        market, due = self.engine.market, False
        if self._collecting is None or self.engine.frames - self._collected_frames >= HURRY_FRAMES:
            self._collected_frames = self.engine.frames
            due = market.now - self._collected >= COLLECT_NS or self.rows.hurry(market)
        if due:
            self._finish_collecting()
            self._collecting = self._pieces()
        if self._collecting is not None and next(self._collecting, self) is self:
            self._collecting = None

    def _finish_collecting(self) -> None:
        for _ in self._collecting or ():
            pass
        self._collecting = None

    def collect(self) -> None:
        """Rows since the last time, all of them now: to the tape, and into the tail."""
        self._finish_collecting()
        for _ in self._pieces():
            pass

    def _pieces(self) -> Iterator[None]:
        self._collected = self.engine.market.now
        for found in self.rows.taking(self.engine.market):
            yield
            if found is None:
                continue
            name, batch = found
            ticket = 0 if self.journal is None else self.journal.append_rows(name, batch)
            if ticket or self.journal is None:  # what the journal refuses is lost, and it says so in a row of its own
                self.tail.add(name, batch, ticket)
            yield
        if self.journal is not None:
            for ticket, batch in self.journal.losses():
                self.tail.add("gap", batch, ticket)
            self.tail.placed(self.journal.placed())

    def second(self) -> None:
        """Once per second: series, features, predictions."""
        now = self.engine.market.now
        if not now:
            return
        self.picture.second(now)
        legs: dict[str, tuple[float, float, float, float] | None] = {}
        for key, book in self.engine.market.books.items():
            if key in SENTINEL_KEYS:
                continue
            bid, _, ask, _ = book.touch()
            volume = book.volume - self._volumes.get(key, 0.0)
            self._volumes[key] = book.volume
            legs[key] = ((bid + ask) / 2, bid, ask, volume) if book.state == "LIVE" and bid > 0.0 and ask > 0.0 else None
        self.predictor.on_second(now, legs)

    def changed_rules(self, changes: Mapping[str, Any]) -> Rules:
        """The rules with these values changed. Raises ValueError for an unknown or impossible one."""
        return changed_rules(self.arbitrage.rules, changes, self.engine.venues)

    def take_rules(self, rules: Rules) -> None:
        """Judge by these levels and sizes from now on; on the tape it is a frame like all others, so that a replay does the same."""
        self.feed.tell(SET, self.arbitrage.terms(rules))

    def take_tiers(self, tiers: Mapping[str, str]) -> None:
        """Reckon with the fees of these tiers from now on, venue → tier; a frame like the rules. Raises UnknownName."""
        self.feed.tell(SET, self.arbitrage.charges(costs(self.settings, tiers)))

    def changed_parameters(self, changes: Mapping[str, Any]) -> Values:
        """All parameters of detectors with these changed, detector → name → value. Raises ValueError for what cannot be."""
        return checked(self.engine.detectors, changes)

    def take_parameters(self, values: Values) -> None:
        """Detectors judge by these from now on, which is a frame, too; those that are not named stay as they are."""
        self.feed.tell(SET, msgspec.json.encode({"parameters": values}))

    def _in_force(self) -> bytes:
        """The payload of a SET frame that changes nothing and says everything."""
        terms = msgspec.json.decode(self.arbitrage.terms(self.arbitrage.rules))
        return msgspec.json.encode({**terms, "parameters": in_force(self.engine.detectors)})

    # -- what is watched -------------------------------------------------------------------------------------------------
    def watch(self, watching: Watching) -> None:
        """Watch this from now on: connections whose symbols are others are replaced, the new one first."""
        before, self.watching = self._watched(), watching
        if self.journal is not None and (new := [venue_id for venue_id in self._watched() if venue_id not in before]):
            self.journal.describe((*before, *new))  # its header says whom a replay needs
        for venue_id, venue in self.engine.venues.items():
            symbols = watching.of(venue_id)
            if symbols != venue.symbols:
                venue.symbols = symbols
                self.feed.replan(venue_id)
                self._tell_of_no_room(venue)
        self._hide()

    def _watched(self) -> tuple[str, ...]:
        return tuple(venue_id for venue_id in self.engine.venues if self.watching.of(venue_id))

    def _hide(self) -> None:
        """Books of what is no longer watched stay where they are, and are not shown."""
        venues = self.engine.venues
        self.picture.hide(
            {venue_id for venue_id, venue in venues.items() if not venue.symbols},
            {key for key, book in self.engine.market.books.items() if book.instrument.symbol not in venues[book.instrument.venue].symbols},
        )

    async def stop(self) -> None:
        """Close all sockets, then the tape."""
        await self.feed.stop()
        self.rows.finish(self.engine.market.now)
        self.collect()
        if self.journal is not None:
            await asyncio.to_thread(self.journal.close)
            self.tail.placed(self.journal.placed())

    def recording(self) -> dict[str, Any]:
        """The ``recording`` part of the mode section."""
        if self.journal is None:
            return {"on": False, "path": None, "bytes": 0, "reason": self._not_recording()}
        status = self.journal.status()
        path = status["path"]
        return {"on": status["on"], "path": Path(path).name if path else None, "bytes": status["bytes"], "reason": status["reason"]}

    def _not_recording(self) -> str:
        return self.recording_trouble or ("a tape is played back" if self.source == "tape" else "switched off")

    def closed_tapes(self) -> list[Path]:
        """All tapes in this session's folder that nobody writes any more, oldest first; reads the folder.

        None without a journal: somebody else may be recording there.
        """
        if self.journal is None:
            return []
        infos = list_tapes(self.folder)
        current = parse_name(Path(self.journal.status()["path"]).name)  # after the list: what came since is not in it
        own = current[1] if current else 0
        named = [(info, parse_name(info.name)) for info in infos]
        return [
            self.folder / info.name
            for info, name in named
            if name is not None and (info.complete or info.session != self._run or name[1] < own)
        ]

    def tape_paths(self) -> list[Path]:
        """The tapes of this run so far, oldest first; reads the folder."""
        return [self.folder / info.name for info in list_tapes(self.folder) if info.session == self._run]
