"""What users ask for: checked in the thread of whoever asks, carried out in the loop, in order."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from dope.board import Board, Command
from dope.detectors.parameters import PARAMETERS, parted
from dope.engines import ROLES, costs, joined_roles
from dope.errors import DopeError, StoreError, UnknownName
from dope.feed.clock import Clock
from dope.jobs import Jobs, JobState
from dope.muting import LONGEST_S
from dope.recordings import tapes_by_name
from dope.replays import Replays
from dope.session import Session
from dope.settings import Settings
from dope.sim.scenarios import SCENARIOS
from dope.sources import Sources
from dope.store.records import Records
from dope.training import Training
from dope.venues.base import TRADING
from dope.watching import Watching
from dope.workers import backtest_worker
from dope.worlds import ONLY_SIMULATED

WATCHING = "watching"  #: name under which what a user watches is kept
TIERS = "fee_tiers"  #: likewise the fee tiers that a user has chosen
MUTED = "muted"  #: likewise whom a user has muted until when


def _where(session: Session, symbol: str, wanted: str | None) -> list[str]:
    """The venues that trade this symbol, or the one that is wanted. Raises DopeError when it is known not to."""
    venues = session.engine.venues
    if wanted is not None:
        venue = venues[wanted]
        native = venue.name_of(symbol)
        instrument = None if native is None else venue.market_of(native)
        if instrument is None or (venue.offers() and native not in venue.offers()):
            raise DopeError(f"{venue.LABEL} does not list {symbol}")
        if instrument.status != TRADING:
            raise DopeError(f"{symbol} does not trade at {venue.LABEL} now: {instrument.status}")
        return [wanted]
    found = []
    for venue_id, venue in venues.items():
        native = venue.name_of(symbol) if venue.symbols else None
        instrument = None if native is None else venue.market_of(native)
        if instrument is not None and instrument.tick > 0.0 and instrument.status == TRADING:
            found.append(venue_id)
    if not found:
        raise DopeError(f"none of the venues watched is known to list {symbol}: name the venue")
    return found


class Commands:
    """``ask`` belongs to any thread, the rest to the loop."""

    def __init__(
        self, settings: Settings, clock: Clock, board: Board, *, sources: Sources, training: Training, jobs: Jobs, replays: Replays,
        records: Records,
    ) -> None:  # fmt: skip
        self._settings, self._clock, self._board = settings, clock, board
        self._sources, self._training, self._jobs, self._replays = sources, training, jobs, replays
        self._records = records
        self._open_jobs: set[int] = set()  # on record as asked for, not yet as ended
        self._waiting: queue.SimpleQueue[tuple[int, Command]] = queue.SimpleQueue()

    def ask(self, job: int, command: Command) -> None:
        """Queue a wish. Raises DopeError or ValueError at once for what cannot be meant or is not possible now."""
        session, args = self._sources.session, command.args
        if command.name == "replay":  # beside the loop: whoever asks is answered at once
            self._replays.wish(job, args)
            return
        if command.name in ("save_view", "delete_view"):
            self._change_view(command.name, args, command.who)
            return
        if session is None and command.name != "cancel":
            raise DopeError("the engine is still starting")
        if command.name == "set" and session is not None:
            rules, parameters = parted(args)
            session.changed_rules(rules)
            session.changed_parameters(parameters)
        elif command.name == "source" and args.get("to") not in ("live", "sim"):
            raise ValueError("source needs to: live or sim")
        elif command.name == "scenario" and session is not None:
            self._check_scenario(session, args.get("name"))
        elif command.name == "cancel" and not isinstance(args.get("job"), int):
            raise ValueError("cancel needs job: a number")
        elif command.name == "reconnect" and session is not None and args.get("venue") not in session.engine.venues:
            raise UnknownName("venue", str(args.get("venue", "")), session.engine.venues)
        elif command.name in ("watch", "unwatch") and session is not None:
            self._watched(session, command)
        elif command.name in ("mute", "unmute") and session is not None:
            self._check_muting(session, command)
        elif command.name == "tier":
            costs(self._settings, self._sources.tiers | self._tier(session, args))
        elif command.name == "train":
            self._training.check(session)
        elif command.name == "backtest" and session is not None:
            self._tapes(session, args.get("tape"))
        self._waiting.put((job, command))

    async def carry_out(self) -> None:
        """All that wait, and a training that is due."""
        session = self._sources.session
        if session is not None and self._training.due(session):
            self._board.ask(Command("train"))
        while not self._waiting.empty():
            job, command = self._waiting.get()
            session = self._sources.session
            try:
                await self._do(job, command, session)
                await self._on_record(job, command)
            except (DopeError, ValueError) as error:
                logger.warning("{} refused: {}", command.name, error)
                if self._sources.session is not None:
                    self._sources.session.picture.tell(self._clock.now(), "system", f"{command.name} refused: {error}", "", "warn")

    def _keep(self, args: dict[str, Any]) -> None:
        """What holds after a restart; parameters and roles join those that were changed before."""
        changes, parameters = parted(args)
        if ROLES in changes:
            changes[ROLES] = joined_roles(self._records.kept().get(ROLES, {}), changes[ROLES])
        if parameters:
            before = self._records.kept().get(PARAMETERS, {})
            changes[PARAMETERS] = before | {name: before.get(name, {}) | own for name, own in parameters.items()}
        self._records.keep(changes)

    def _change_view(self, name: str, args: Mapping[str, Any], who: str) -> None:
        page, title = args.get("page"), args.get("name")
        if not isinstance(page, str) or not isinstance(title, str):
            raise ValueError(f"{name} needs page and name")
        if name == "save_view":
            self._records.save_view(page, title, dict(args.get("state") or {}))
        else:
            self._records.delete_view(page, title)
        self._records.note(who, name, {"page": page, "name": title})

    async def _on_record(self, job: int, command: Command) -> None:
        """Who asked for what, and what has to hold after a restart; a full disk does not undo what was done."""
        args = dict(command.args)
        try:
            if command.name == "set":
                await asyncio.to_thread(self._keep, args)
            elif command.name in ("watch", "unwatch"):
                await asyncio.to_thread(self._records.keep, {WATCHING: self._sources.watching.changes})
            elif command.name == "tier":
                await asyncio.to_thread(self._records.keep, {TIERS: dict(self._sources.tiers)})
            elif command.name in ("mute", "unmute"):
                await asyncio.to_thread(self._records.keep, {MUTED: dict(self._sources.muting.until)})
            elif command.name in ("train", "backtest"):
                await asyncio.to_thread(self._records.job_asked, job, command.name, args)
                self._open_jobs.add(job)
            await asyncio.to_thread(self._records.note, command.who or "the program", command.name, args)
        except StoreError as error:
            logger.error("{} is not on record: {}", command.name, error)

    async def note_ended(self, states: Sequence[JobState]) -> None:
        """Put on record what became of jobs."""
        for state in states:
            if state.ended is None or state.id not in self._open_jobs:
                continue
            self._open_jobs.discard(state.id)
            result = getattr(state.result, "card", state.result)  # of a training, what its model says of itself
            end = partial(self._records.job_ended, started=state.started, ended=state.ended, error=state.error, result=result)
            try:
                await asyncio.to_thread(end, state.id, state.state)
            except StoreError as error:
                logger.error("the end of job {} is not on record: {}", state.id, error)

    async def _do(self, job: int, command: Command, session: Session | None) -> None:
        args = command.args
        if command.name == "cancel":
            self._jobs.cancel(int(args["job"]))
        elif session is None:
            raise DopeError("the engine is still starting")
        elif command.name == "set":
            rules, parameters = parted(args)
            if rules:
                session.take_rules(session.changed_rules(rules))
            if parameters:
                session.changed_parameters(parameters)
                session.take_parameters(parameters)
        elif command.name in ("watch", "unwatch"):
            self._sources.watch(self._watched(session, command))
        elif command.name == "source":
            await self._sources.switch(str(args["to"]))
        elif command.name == "scenario":
            await self._sources.play(str(args["name"]))
        elif command.name == "reconnect":
            session.feed.retry(str(args["venue"]))
        elif command.name == "tier":
            self._sources.charge(str(args["venue"]), str(args["tier"]))
        elif command.name in ("mute", "unmute"):
            self._sources.mute(str(args["venue"]), args.get("seconds"), on=command.name == "mute")
        elif command.name == "train":
            self._training.start(session, job)
        elif command.name == "backtest":
            paths = await asyncio.to_thread(self._tapes, session, args.get("tape"))
            options = {"order_size": session.arbitrage.rules.order_size} | {k: v for k, v in args.items() if k != "tape"}
            self._jobs.start("backtest", backtest_worker, ([str(p) for p in paths], options, self._as_charged(session)), job)

    def _as_charged(self, session: Session) -> dict[str, Any]:
        """The settings, with the fee tiers and the roles of legs that hold now."""
        tiers = {**self._settings.fee_tiers, **self._sources.tiers}
        return {**self._settings.model_dump(mode="json"), "fee_tiers": tiers, ROLES: session.arbitrage.rules.roles}

    @staticmethod
    def _watched(session: Session, command: Command) -> Watching:
        """What is watched once this is done. Raises DopeError or ValueError for what cannot be."""
        symbol, wanted, new = command.args.get("symbol"), command.args.get("venue"), session.watching.copy()
        venues = session.engine.venues
        if symbol is None and wanted is None:
            raise ValueError(f"{command.name} needs a symbol, a venue, or both")
        if wanted is not None and wanted not in venues:
            raise UnknownName("venue", str(wanted), venues)
        if command.name == "unwatch":
            there = [v for v in ([wanted] if wanted is not None else venues) if (symbol in new.of(v) if symbol is not None else new.of(v))]
            if not there:
                raise DopeError(f"{symbol or wanted} is not watched" + (f" at {venues[wanted].LABEL}" if symbol and wanted else ""))
            for venue_id in there:
                new.drop(venue_id, symbol)
            return new
        if symbol is None:
            new.add(str(wanted), None)
            return new
        for venue_id in _where(session, str(symbol), wanted):
            new.add(venue_id, str(symbol))
        return new

    @staticmethod
    def _tier(session: Session | None, args: Mapping[str, Any]) -> dict[str, str]:
        """The wish as venue → tier. Raises UnknownName."""
        venue = str(args.get("venue", ""))
        if session is not None and venue not in session.engine.venues:
            raise UnknownName("venue", venue, session.engine.venues)
        return {venue: str(args.get("tier", ""))}

    @staticmethod
    def _check_scenario(session: Session, name: Any) -> None:
        """Raises DopeError for what cannot be played now."""
        if session.source != "sim":
            raise DopeError(ONLY_SIMULATED)
        if name not in SCENARIOS:
            raise UnknownName("scenario", str(name or ""), SCENARIOS)

    def _check_muting(self, session: Session, command: Command) -> None:
        """Raises DopeError or ValueError for what cannot be muted or is not."""
        venue, seconds, venues = str(command.args.get("venue", "")), command.args.get("seconds"), session.engine.venues
        if venue not in venues:
            raise UnknownName("venue", venue, venues)
        if seconds is not None and not (isinstance(seconds, (int, float)) and 0 < seconds <= LONGEST_S):
            raise ValueError(f"{command.name} takes seconds: up to {LONGEST_S}, or none for until it is unmuted")
        if command.name == "unmute" and self._sources.muting.of(venue, self._clock.now()) is None:
            raise DopeError(f"{venues[venue].LABEL} is not muted")

    def _tapes(self, session: Session, name: Any) -> list[Path]:
        """The tapes meant by ``name``; None = what this session has recorded so far."""
        if not name:
            if session.journal is None:
                raise DopeError("nothing is being recorded: choose a tape")
            return session.tape_paths()
        known = {info.name: path for info, path in tapes_by_name(self._settings.data_dir)}
        if name not in known:
            raise UnknownName("tape", str(name), known)
        return [known[name]]
