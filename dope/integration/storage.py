"""What other programs hand in to be kept: on a tape of its own, confirmed by the disk, and read again like all history."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dope import __version__, tables
from dope.errors import StoreError
from dope.feed.clock import Clock
from dope.history import Histories
from dope.integration.levels import pairs
from dope.integration.processor import DataProcessor
from dope.integration.snapshots import Data, OrderBookSnapshot, TradeEvent, moment, nanoseconds
from dope.settings import load
from dope.tables import batch
from dope.tape.format import Meta
from dope.tape.journal import Journal

PLACED_S = 5.0  #: s in which the disk has to confirm what is stored
SOURCE = "import"  #: folder of what is stored here: never mixed with what this program saw itself
KIND = "OrderBookSnapshot"  #: name of the rows that hold whole books


class StorageManager:
    """Stores what is handed in below ``folder`` as the program stores what it sees: on a tape, confirmed by the disk, then readable.

    One process at a time writes there. ``close`` ends it; the rest is crash-safe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._clock = folder, Clock()
        self._journal: Journal | None = None
        self._histories = Histories(load({"data_dir": folder}, env_file=None), self._clock, lambda: None)
        self._processor, self._placed = DataProcessor(), set[int]()

    def setup_database_schema(self) -> None:
        """Make ready for writing, in the schema of this version; may be called again. Raises TapeError when somebody else writes there."""
        if self._journal is None:
            self._journal = Journal(self._folder / SOURCE, Meta(SOURCE, self._clock.now(), __version__))

    async def store_orderbook(self, data: OrderBookSnapshot) -> bool:
        """Whether the disk has confirmed it within 5 s. Raises ValueError for data that cannot be, StoreError before the schema stands."""
        self._check(data)
        ts, name = nanoseconds(data.timestamp), data.exchange
        (bid, bid_size), (ask, ask_size) = (pairs(side)[0] if side else (None, None) for side in (data.bids, data.asks))
        best = {"ts": ts, "symbol": data.symbol, "venue": name, "bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size}
        whole = {"exchange": name, "sequence_id": data.sequence_id, "bids": pairs(data.bids), "asks": pairs(data.asks)}
        row = {"ts": ts, "symbol": data.symbol, "kind": KIND, "session": SOURCE, "detail": json.dumps(whole)}
        return await self._store((("bbo", best), ("signal", row)))

    async def store_trade(self, data: TradeEvent) -> bool:
        """Likewise."""
        self._check(data)
        row = {
            "ts": nanoseconds(data.timestamp), "symbol": data.symbol, "venue": data.exchange, "trade_id": data.trade_id,
            "price": data.price, "size": data.size, "side": data.side,
        }  # fmt: skip
        return await self._store((("trade", row),))

    async def get_historical_data(self, symbol: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Books and trades of [start, end), oldest first; ``type`` says which. Raises StoreError for what cannot be meant or read."""
        return await asyncio.to_thread(self._read, symbol, nanoseconds(start), nanoseconds(end))

    async def get_latest_data(self, symbol: str) -> dict[str, Any]:
        """The newest book and the newest trade of a symbol, each None where there is none; of the last day."""
        now = self._clock.now() + 10**9
        rows = await asyncio.to_thread(self._read, symbol, now - 86_400 * 10**9, now)
        newest = {row["type"]: row for row in rows}
        return {"symbol": symbol, "orderbook": newest.get("orderbook"), "trade": newest.get("trade")}

    def close(self) -> None:
        """Everything to disk."""
        if self._journal is not None:
            self._journal.close()
        self._histories.close()

    def _check(self, data: Data) -> None:
        if self._journal is None:
            raise StoreError("nothing can be stored before setup_database_schema()")
        if not self._processor.validate_data(data) or tables.SYMBOL.fullmatch(data.symbol) is None:
            raise ValueError("this cannot be: a symbol, time, side, price or size is none, or the book is crossed or out of order")

    async def _store(self, rows: Sequence[tuple[str, dict[str, Any]]]) -> bool:
        journal = self._journal
        assert journal is not None
        tickets = {journal.append_rows(name, batch(name, [row])) for name, row in rows}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PLACED_S):
                while 0 not in tickets and not tickets <= self._placed:
                    await asyncio.sleep(0.005)
                    self._placed |= {ticket for ticket, _ in journal.placed()}
        found = tickets <= self._placed
        self._placed -= tickets
        return found

    def _read(self, symbol: str, start: int, end: int) -> list[dict[str, Any]]:
        found: list[tuple[int, dict[str, Any]]] = []
        for row in self._histories.query("signal", symbol, start, end, source=SOURCE).table.to_pylist():
            if row["kind"] == KIND:
                about = {"type": "orderbook", "symbol": row["symbol"], "timestamp": moment(row["ts"])}
                found.append((row["ts"], about | json.loads(row["detail"])))
        for row in self._histories.query("trade", symbol, start, end, source=SOURCE).table.to_pylist():
            about = {"type": "trade", "symbol": row["symbol"], "timestamp": moment(row["ts"]), "exchange": row["venue"]}
            found.append((row["ts"], about | {name: row[name] for name in ("price", "size", "side", "trade_id")}))
        return [row for _, row in sorted(found, key=lambda each: each[0])]
