"""The relays: ``/ws/{venue}`` sends books and trades of one venue, ``/ws/ticker/{symbol}`` the best prices of one symbol everywhere.

One hub serves all their clients. While somebody listens to a channel it is looked at ten times a second at most, however
many listen: a venue's books and trades are read between two turns of the engine, best prices come from the board.
The messages are described in ``relayed.py``, what clients may say in ``clients.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from fastapi import APIRouter, Request, WebSocket
from starlette.datastructures import QueryParams

from dope.api.clients import KEEPALIVE_S, TRY_LATER, ConnectionManager, Ended, Outbox, Places, State, told_by
from dope.api.context import Current, Web
from dope.api.relayed import LIVE, NO_PRICES, NO_TOUCH, Form, News, Row, View, touches, without_prices
from dope.api.routes import problems
from dope.api.shapes import RelayOut
from dope.api.tokens import Tokens
from dope.errors import NoEngine, UnknownName

GONE, NOT_MEANT = 4404, 4400  #: WebSocket close codes: no such venue or symbol; a parameter cannot be meant
SYMBOL, VENUE = re.compile(r"[A-Za-z0-9\-]+"), re.compile(r"[a-z0-9_]{1,32}")
DEPTH, MAX_DEPTH = 20, 50  #: levels per side
READ_S = 0.1  #: s from one look at a channel to the next, at least
ANSWER_S = 1.0  #: s after which an engine that does not answer makes nothing current any more
REMEMBERED = 1000  #: channels without clients whose messages are still counted
STARTING = "the engine is still starting"

router = APIRouter(prefix="/api/v1", responses=problems, tags=["market"])
stream = APIRouter()


class Channel(Protocol):
    """Where the news of one channel come from."""

    of_venue: bool

    async def news(self, depth: int) -> News:
        """What is known now."""


class VenueChannel:
    """The books and trades of one venue, read from the engine."""

    of_venue = True

    def __init__(self, venue: str, web: Web) -> None:
        self._venue, self._web = venue, web
        self._reader: Any = None
        self._asking: asyncio.Future[dict[str, Any]] | None = None
        self._run = self._source = ""
        self._rows: dict[str, Row] = {}

    async def news(self, depth: int) -> News:
        """All books at least ``depth`` levels deep, and the trades since the last time."""
        trouble = self._web.trouble()
        try:
            answer = {} if trouble else await self._read(depth)
        except NoEngine as error:
            answer, trouble = {}, str(error)
        if not answer:
            trouble = trouble or STARTING
            return News(without_prices(self._rows, NO_PRICES, trouble), self._source or None, trouble)
        if answer["run"] != self._run:
            self._run, self._source, self._rows = answer["run"], answer["source"], {}
        self._rows |= {row["key"]: row if row["state"] == LIVE else row | NO_PRICES for row in answer["books"]}
        self._rows = {key: self._rows[key] for key in answer["keys"]}
        trouble = None if self._rows else f"there is no order book of {self._venue} at present"
        return News(self._rows, self._source, trouble, answer["trades"], answer["missed"])

    async def _read(self, depth: int) -> dict[str, Any]:
        """Ask in a thread, because an engine may let one wait; never twice at once. Raises NoEngine."""
        if self._reader is None:
            self._reader = self._web.board.query("relay", self._venue)
        if self._asking is None:
            self._asking = asyncio.get_running_loop().run_in_executor(None, self._reader.read, depth)
            self._asking.add_done_callback(_heard)
        done, _ = await asyncio.wait({self._asking}, timeout=ANSWER_S)
        if not done:
            raise NoEngine("the engine does not answer")
        asked, self._asking = self._asking, None
        return asked.result()


def _heard(asked: asyncio.Future[Any]) -> None:
    """Nobody may be left to hear of an error."""
    if not asked.cancelled():
        asked.exception()


class TickerChannel:
    """The best prices of one symbol at all venues, from the newest publication."""

    of_venue = False

    def __init__(self, symbol: str, web: Web) -> None:
        self._symbol, self._web = symbol, web

    async def news(self, depth: int) -> News:
        """All venues' prices."""
        data, trouble = self._web.board.read().data, self._web.trouble()
        rows = touches(data.get("instruments") or (), self._symbol)
        if not rows:
            trouble = trouble or f"there is no order book of {self._symbol} at present"
        return News(without_prices(rows, NO_TOUCH, trouble) if trouble else rows, (data.get("mode") or {}).get("source"), trouble)


class _Open:
    """A channel that somebody listens to."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.views: dict[Form, View] = {}


class Relays:
    """All clients of all relays. Lives on the web server's event loop; its broadcaster runs while clients are there."""

    def __init__(self, web: Web, tokens: Tokens, places: Places) -> None:
        self._web = web
        self.manager = ConnectionManager(tokens, places, clock_ns=web.clock_ns)
        self.counts = self.manager.counts  #: and reads, updates, bytes, overflows
        self._open: dict[str, _Open] = {}
        self._told: dict[str, int] = {}  #: messages per channel to clients that have left
        self._task: asyncio.Task[None] | None = None
        self._look = asyncio.Event()

    # -- what is counted -------------------------------------------------------------------------------------------------
    def clients(self) -> dict[str, int]:
        """How many listen to each channel that has listeners."""
        return {name: sum(len(view.outboxes) for view in list(channel.views.values())) for name, channel in list(self._open.items())}

    def messages(self) -> dict[str, int]:
        """How many messages were sent on each channel."""
        sent = {
            name: sum(box.sent for view in list(opened.views.values()) for box in list(view.outboxes))
            for name, opened in list(self._open.items())
        }
        return {name: self._told.get(name, 0) + sent.get(name, 0) for name in [*dict.fromkeys([*self._told, *sent])]}

    # -- the life of a client --------------------------------------------------------------------------------------------
    async def serve(self, socket: WebSocket, find: Callable[[], tuple[str, Channel, Form]]) -> None:
        """One client from accept to close; ``find`` says what it listens to, or raises Ended."""

        @contextlib.asynccontextmanager
        async def enter(outbox: Outbox) -> AsyncIterator[State]:
            name, channel, form = find()
            opened = self._open.setdefault(name, _Open(channel))
            view = opened.views.setdefault(form, View(name, form, of_venue=channel.of_venue))
            view.outboxes.add(outbox)
            self._start()
            try:
                await view.begun()
                yield view.snapshot
            finally:
                view.outboxes.discard(outbox)
                self._left(name, opened, view, outbox.sent)

        await self.manager.serve(socket, enter)

    def _left(self, name: str, opened: _Open, view: View, sent: int) -> None:
        self._told[name] = self._told.pop(name, 0) + sent
        for old in [each for each in self._told if each not in self._open][: max(0, len(self._told) - REMEMBERED)]:
            del self._told[old]
        if not view.outboxes:
            opened.views.pop(view.form, None)
        if not opened.views:
            self._open.pop(name, None)

    def _start(self) -> None:
        self._look.set()
        if self._task is None or self._task.done():
            self._task = self._web.watch.kept("relay broadcaster", self._broadcast)
            self._task.add_done_callback(told_by("the relays"))

    # -- what they are told ----------------------------------------------------------------------------------------------
    async def _broadcast(self) -> None:
        """With each publication, look at every channel that is listened to and hand out what is new; ends when the last client has left."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # our loop is closing: nobody is left to hear of it
                loop.call_soon_threadsafe(self._look.set)

        leave = self._web.board.follow(told)
        try:
            while self._open:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(KEEPALIVE_S):
                        await self._look.wait()
                self._look.clear()
                began = loop.time()
                for opened in list(self._open.values()):
                    await self._step(opened)
                await asyncio.sleep(max(0.0, began + READ_S - loop.time()))
        except BaseException:
            for opened in self._open.values():
                for view in opened.views.values():
                    view.hole()
            raise
        finally:
            leave()

    async def _step(self, opened: _Open) -> None:
        views = list(opened.views.values())  # who comes while we read is told the next time
        if not views:
            return
        self.counts["reads"] += 1
        news = await opened.channel.news(max(view.form.depth for view in views))
        now, t_ms = asyncio.get_running_loop().time(), self._web.clock_ns() // 1_000_000
        for view in views:
            text = view.step(news, t_ms, now)
            if text is not None:
                self._hand_out(view, text)

    def _hand_out(self, view: View, text: str) -> None:
        for outbox in tuple(view.outboxes):
            if not outbox.put(text):
                self.counts["overflows"] += 1
        self.counts["updates"] += 1
        self.counts["bytes"] += len(text) * len(view.outboxes)


def _known(data: Mapping[str, Any], what: str) -> list[str]:
    if what == "venue":
        return [row["id"] for row in data.get("venues") or ()]
    return list(dict.fromkeys(row["symbol"] for row in data.get("instruments") or ()))


def _check(data: Mapping[str, Any], what: str, name: str, spelling: re.Pattern[str]) -> None:
    """Raises Ended for a name that is none or that nobody knows."""
    known = _known(data, what)
    if not known:
        raise Ended(TRY_LATER, STARTING)
    if spelling.fullmatch(name) is None or name not in known:
        raise Ended(GONE, str(UnknownName(what, name, known)))


def _form(data: Mapping[str, Any], venue: str, wanted: QueryParams) -> Form:
    depth = wanted.get("depth", str(DEPTH))
    if re.fullmatch(r"[0-9]{1,3}", depth) is None or not 1 <= int(depth) <= MAX_DEPTH:
        raise Ended(NOT_MEANT, f"depth must be a whole number from 1 to {MAX_DEPTH}")
    symbol = wanted.get("symbol", "")
    if symbol or "symbol" in wanted:
        _check({**data, "instruments": [row for row in data["instruments"] if row["venue"] == venue]}, "symbol", symbol, SYMBOL)
    return Form(symbol, int(depth))


@stream.websocket("/ws/{venue}")
async def venue_relay(socket: WebSocket, venue: str) -> None:
    """Order books and trades of one venue; ``?depth=1…50`` levels per side (20), ``?symbol=`` only one."""
    relays: Relays = socket.app.state.relays
    web: Web = socket.app.state.web

    def find() -> tuple[str, Channel, Form]:
        data = web.board.read().data
        _check(data, "venue", venue, VENUE)
        return venue, VenueChannel(venue, web), _form(data, venue, socket.query_params)

    await relays.serve(socket, find)


@stream.websocket("/ws/ticker/{symbol}")
async def ticker_relay(socket: WebSocket, symbol: str) -> None:
    """The best bid and ask of one symbol at every venue, and the best of all."""
    relays: Relays = socket.app.state.relays
    web: Web = socket.app.state.web

    def find() -> tuple[str, Channel, Form]:
        _check(web.board.read().data, "symbol", symbol, SYMBOL)
        return f"ticker/{symbol}", TickerChannel(symbol, web), Form()

    await relays.serve(socket, find)


@router.get("/relays")
def relays(request: Request, snapshot: Current) -> list[RelayOut]:
    """Every relay there is, and the features: how many listen to it, and what it has sent."""
    hub: Relays = request.app.state.relays
    sampled = request.app.state.features
    clients, messages = hub.clients(), hub.messages()
    names = [*_known(snapshot.data, "venue"), *(f"ticker/{symbol}" for symbol in _known(snapshot.data, "symbol"))]
    found = [RelayOut(channel=f"/ws/{name}", subscribers=clients.get(name, 0), messages=messages.get(name, 0)) for name in names]
    return [*found, RelayOut(channel="/ws/features", subscribers=sampled.clients, messages=sampled.counts["messages"])]
