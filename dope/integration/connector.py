"""One venue's live feed without the rest of the program: an engine with nothing but that venue, and whoever is called back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence

from dope.engine import Engine
from dope.errors import UnknownName
from dope.feed.clock import Clock
from dope.feed.feed import Feed
from dope.feed.probe import reachable
from dope.integration.copies import snapshot_of, trade_of
from dope.integration.snapshots import ConnectionStatus, Data
from dope.market.market import Market
from dope.settings import Settings
from dope.types import LIVE, BookState, DepthChange, Event, Frame, Touch, Trade
from dope.venues import VENUES, make

KNOCK_S = 10.0  #: s in which a venue has to answer


class ExchangeConnector:
    """One venue's public feed. All methods belong to one asyncio loop; books are handed over only while they are LIVE.

    After ``connect`` it never gives up: lost connections are made anew, books begin again with a snapshot.
    """

    def __init__(self, exchange: str, *, endpoints: Mapping[str, str] | None = None, clock: Clock | None = None) -> None:
        """Raises UnknownName for a venue that has no books here."""
        known = [venue.ID for venue in VENUES if venue.BOOKS]
        if exchange not in known:
            raise UnknownName("venue", exchange, known)
        self.exchange, self._clock, self._endpoints = exchange, clock or Clock(), dict(endpoints or {})
        self.venue = make(exchange, (), self._endpoints)
        self._callbacks: list[Callable[[Data], None]] = []
        self._books: set[str] = set()  # symbols whose books are wanted
        self._trades: set[str] = set()
        self._changed: dict[str, None] = {}  # keys of books that changed in this turn of the loop
        self._engine = Engine({exchange: self.venue}, (self,))
        self._feed: Feed | None = None
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> bool:
        """Whether the venue answers; if so the feed runs from now on. What is subscribed before and after is the same."""
        if self._task is not None:
            return True
        knocked = make(self.exchange, Settings.model_fields["symbols"].default, self._endpoints)
        if await reachable({self.exchange: knocked}, self._clock, KNOCK_S) is None:
            return False
        self._feed = Feed({self.exchange: self.venue}, self._on_frames, self._clock, random.Random())
        self._task = asyncio.create_task(self._feed.run(), name=f"connector {self.exchange}")
        return True

    async def disconnect(self) -> None:
        """Close all sockets; returns when they are closed."""
        if self._feed is not None and self._task is not None:
            feed, task, self._feed, self._task = self._feed, self._task, None, None
            await feed.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def subscribe_orderbook(self, symbol: str) -> None:
        """Hand over this book whenever it changed (once per turn of the loop). Raises UnknownName for what the venue does not list."""
        self._subscribe(symbol, self._books)

    async def subscribe_trades(self, symbol: str) -> None:
        """Hand over each trade, once. Raises UnknownName."""
        self._subscribe(symbol, self._trades)

    def get_connection_status(self) -> ConnectionStatus:
        """As it is now."""
        health = None if self._feed is None else self._feed.health().get(self.exchange)
        if self._task is None:
            return ConnectionStatus.DISCONNECTED
        if self._task.done() or (health is not None and health.state in ("down", "blocked", "refused", "maintenance")):
            return ConnectionStatus.DOWN
        states = [book.state == LIVE for book in self._engine.market.books.values() if book.instrument.symbol in self._books | self._trades]
        if not states or not any(states):
            return ConnectionStatus.CONNECTING
        return ConnectionStatus.LIVE if all(states) else ConnectionStatus.DEGRADED

    def add_data_callback(self, callback: Callable[[Data], None]) -> None:
        """``callback`` is called with every snapshot and trade, in the loop's thread: it must return soon."""
        self._callbacks.append(callback)

    # what the engine needs of a detector
    KINDS = (Touch, DepthChange, BookState, Trade)
    TRADES_APART = True

    def on(self, event: Event, market: Market) -> Sequence[Event]:
        """Called by the engine."""
        if isinstance(event, Trade):
            book = market.books[event.key]
            if book.instrument.symbol in self._trades:
                self._hand_over(trade_of(event, book))
        elif isinstance(event, (Touch, DepthChange, BookState)):
            if event.key not in market.watched and market.books[event.key].instrument.symbol in self._books:
                market.watch(event.key, True)
            self._changed[event.key] = None
        return ()

    def _subscribe(self, symbol: str, wanted: set[str]) -> None:
        if self.venue.name_of(symbol) is None:
            raise UnknownName("symbol", symbol, self.venue.offers() or Settings.model_fields["symbols"].default)
        wanted.add(symbol)
        symbols = tuple(sorted(self._books | self._trades))
        if symbols != self.venue.symbols:
            self.venue.symbols = symbols
            if self._feed is not None:
                self._feed.replan(self.exchange)

    def _on_frames(self, frames: list[Frame]) -> None:
        self._engine.step_many(frames)
        if self._feed is not None and (actions := self._engine.drain()):
            self._feed.actions(actions)
        changed, self._changed = self._changed, {}
        for key in changed:
            book = self._engine.market.books[key]
            if book.state == LIVE and book.instrument.symbol in self._books:
                self._hand_over(snapshot_of(book))

    def _hand_over(self, data: Data) -> None:
        for callback in self._callbacks:
            callback(data)
