"""What other threads ask the runtime: rows for the API and the pages, made in the asker's thread.

What belongs to the market's loop is copied between two of its turns; files and records are read where they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from dope.board import Board
from dope.errors import NoEngine, UnknownName
from dope.feed.clock import Clock
from dope.history import Histories
from dope.promises import Promises
from dope.readings import READINGS, Asked
from dope.recordings import bundles, calendar, missing, tapes_by_name
from dope.relay import BetweenTurns, VenueReader
from dope.replays import Replays
from dope.sealing import Sealing
from dope.session import Session
from dope.settings import Settings
from dope.shown import book_row, finite, opportunity_row
from dope.sim.scenarios import SCENARIOS
from dope.storage import storage
from dope.store.records import Records
from dope.tables import KINDS

#: beside the tables of history and ``READINGS``
QUERIES = (
    "opportunities", "events", "book", "spreads", "tapes", "recordings", "bundles", "replays", "replay_board", "views", "log", "past_jobs",
    "gaps", "storage", "relay", "promises", "scenarios", "moment",
)  # fmt: skip


class House(Protocol):
    """What answers need of the runtime."""

    settings: Settings
    board: Board
    clock: Clock
    promises: Promises
    records: Records

    @property
    def session(self) -> Session | None: ...

    @property
    def between_turns(self) -> BetweenTurns: ...

    def alive(self) -> bool: ...


class Queries:
    """Answers of ``Board.query``, for any thread."""

    def __init__(self, house: House, histories: Histories, replays: Replays, sealing: Sealing) -> None:
        """``sealing`` = of the source that runs."""
        self._house, self._histories, self._replays, self._sealing = house, histories, replays, sealing

    def query(
        self, kind: str, symbol: str, start: int, end: int, *, limit: int = 0, source: str = "", args: Mapping[str, Any] | None = None
    ) -> Any:
        """See ``Board.query``. Raises UnknownName, NoEngine, and what the room that answers raises."""
        folder = self._house.settings.data_dir
        if kind in KINDS:
            return self._histories.query(kind, symbol, start, end, limit=limit, source=source, venues=(args or {}).get("venues", ()))
        if kind == "moment":
            return self._histories.moment((args or {})["symbols"], end, source=source)
        if kind == "gaps":
            found = self._histories.query("gap", symbol, start, end, limit=1, source=source)
            return missing(found, folder / found.source)
        if kind not in QUERIES and kind not in READINGS:
            raise UnknownName("query", kind, (*QUERIES, *READINGS, *KINDS))
        if kind == "tapes":
            return [msgspec.to_builtins(info) for info, _ in tapes_by_name(folder)]
        if kind == "recordings":
            return calendar(folder)
        if kind == "storage":
            return self._storage(source)
        if kind == "scenarios":
            return [scenario_row(name) for name in SCENARIOS]
        if kind == "bundles":
            return bundles(folder)
        if kind == "replays":
            return self._replays.statuses(symbol)
        if kind == "replay_board":
            return self._replays.board(symbol)
        if kind in ("views", "log", "past_jobs"):
            return self._from_records(kind, start, limit or 100)
        session, turn = self._house.session, self._house.between_turns
        if not self._house.alive():
            raise NoEngine("the engine is not running")
        if kind == "promises":
            return self._house.promises.rows(session)
        if kind == "relay":
            return VenueReader(symbol, lambda: self._house.session, turn)
        if session is None:
            return []
        asked = Asked(symbol, start, end, limit, args or {}, session.engine.market.now, turn, self._histories.query)
        return self._of_market(session, kind, asked)

    def _of_market(self, session: Session, kind: str, asked: Asked) -> Any:
        """What only the market that runs can tell."""
        symbol, start, end = asked.symbol, asked.start, asked.end
        if kind == "opportunities":
            lives = asked.between_turns(lambda: [*session.picture.open(), *session.picture.closed])
            rows = (opportunity_row(life, session.picture.stepped) for life in lives)
            return [finite(r) for r in rows if symbol in ("", r["symbol"]) and start <= r["opened"] * 1_000_000 <= (end or 2**63)]
        if kind in READINGS:
            return READINGS[kind](session, asked)
        if kind == "events":
            return asked.between_turns(lambda: list(session.picture.events))
        if kind == "spreads":
            return [finite(row) for row in self._house.board.read().data.get("pairs", ()) if row["symbol"] == symbol]
        market = session.engine.market
        wanted = [book for book in list(market.books.values()) if book.instrument.symbol == symbol]
        return asked.between_turns(lambda: [finite(book_row(market, book, self._house.clock.now())) for book in wanted])

    def _storage(self, source: str) -> dict[str, Any]:
        session = self._house.session
        own = session if session is not None and source in ("", session.source) else None
        recording, sealing = (own.recording(), self._sealing.status()) if own is not None else ({}, {})
        source = source or (session.source if session is not None else "live")
        notice = "; ".join(self._house.records.troubles())
        return storage(self._house.settings, source, recording=recording, sealing=sealing, notice=notice)

    def _from_records(self, kind: str, start: int, limit: int) -> list[dict[str, Any]]:
        records = self._house.records
        if kind == "views":
            return [view._asdict() for view in records.views()]
        if kind == "log":
            return [row._asdict() for row in records.audit(limit, before=start)]
        return [job._asdict() for job in records.jobs(limit, leave_out=start)]


def scenario_row(name: str, since: int | None = None) -> dict[str, Any]:
    """A scenario of the simulated market as pages list it; ``since`` = ms UTC since when it is played, None = not now."""
    scenario = SCENARIOS[name]
    return {"id": name, "name": scenario.name, "see": scenario.see, "since": since}
