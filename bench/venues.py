"""What a message and a price level of each venue cost the engine: CPU beside those of one venue, over frames of the simulated servers.

The same three coins trade at every venue at the same pace; each venue's server says it in its own words, and those frames are stepped
in portions as a busy socket brings them. The best of several rounds counts, rounds of all venues in turns, so that a busy machine
harms all alike. No socket is in it and no clock frames. A venue may cost up to ``LIMIT`` times the one it is compared with; of one
that costs more its reason stands beside it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from bench.figures import Figure, Machine, publish
from dope.engine import Engine
from dope.engines import build_engine
from dope.feed.outbox import PORTION
from dope.market import kernel
from dope.settings import load
from dope.sim.dialogue import Client
from dope.sim.market import SampleMarket
from dope.sim.venue import listings, module
from dope.types import DATA, LIVE, OPEN, REPLY, Fetch, Frame, OpenInfo, ReplyInfo, Send
from dope.venues import VENUES

ASSETS = ("BTC", "ETH", "SOL")
BESIDE = "okx"
LIMIT = 3.0  #: times the cost at BESIDE
MESSAGES = 6_000
ROUNDS = 7
NOWHERE = {"ws": "ws://127.0.0.1:0", "rest": "http://127.0.0.1:0"}  #: addresses that are never dialled
PATIENCE_STEPS = 3_000  #: in which every book must be LIVE
#: why a venue costs more than LIMIT times as much: (venue, "message" | "level") → what of its wire form is the cause
REASONS = {
    ("bitfinex", "level"): "a message of its own for each level",
    ("bybit_linear", "level"): "few levels at a time, each 20 ms; a third of its messages are tickers, which carry none",
    ("coinbase", "message"): "each level is an object with its own side and time",
    ("htx", "message"): "each message is packed with gzip",
    ("htx_linear", "message"): "each message is packed with gzip",
    ("hyperliquid", "level"): "books come each 5 s only: nearly all messages are best prices, which carry none",
    ("mexc", "message"): "protobuf: fields and levels are cut out in Python, byte by byte",
    ("mexc", "level"): "protobuf: fields and levels are cut out in Python, byte by byte",
}

Costs = tuple[float, float]  #: µs per message, µs per level


class Conversation:
    """A venue's server and the engine, without sockets: ``frames`` is what the engine saw, the first ``head`` until all books were LIVE."""

    def __init__(self, venue: str) -> None:
        firsts = [next(spec for spec in listings((venue,)) if spec.asset == asset) for asset in ASSETS]
        specs = [msgspec.structs.replace(spec, pace=1) for spec in firsts]
        self.venue, self.symbols = venue, tuple(spec.symbol for spec in specs)
        self.sample, self.head = SampleMarket(1, specs), 0
        self.frames: list[Frame] = []
        self.server: Any = module(venue).Server(self.sample, clock=lambda: self.sample.steps / 100)
        self.server.port.send = self._said
        self.engine = engine(venue, self.symbols)
        self.clients: dict[int, Client] = {}

    def _said(self, clients: Iterable[Client], message: str | bytes, *, data: bool = True, binary: bool = False, topic: str = "") -> None:
        for client in clients:
            client.last = self.sample.steps / 100
            self.step(client.number, DATA, message if isinstance(message, bytes) else message.encode())

    def step(self, conn: int, kind: int, data: bytes) -> None:
        """One frame for the engine."""
        self.frames.append(Frame(self.sample.now_ms * 1_000_000 + len(self.frames), self.venue, conn, kind, data))
        self.engine.step(self.frames[-1])

    def connect(self) -> None:
        """All connections of the venue's plan."""
        there = self.engine.venues[self.venue]
        for conn, plan in enumerate(there.plan(), 1):
            url = plan.url if plan.fetch is None else there.address(plan, self._ask(plan.fetch)[1])
            parts = urlsplit(url)
            path = f"{parts.path or '/'}?{parts.query}"
            client = self.clients[conn] = Client(SimpleNamespace(request=SimpleNamespace(path=path)), conn, 0.0)  # type: ignore[arg-type]
            self.server.port.clients.add(client)
            said = self.server.opened(client)
            self.step(conn, OPEN, msgspec.json.encode(OpenInfo(plan.name, url, plan.symbols)))
            for text in said:
                self._said([client], text)

    def _ask(self, fetch: Fetch) -> tuple[int, bytes]:
        parts, now = urlsplit(fetch.url), self.sample.steps / 100
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        reply = self.server.posted(path, fetch.body.encode(), now) if fetch.method == "POST" else self.server.rest(path, query, now)
        return reply.status, reply.body.encode() if isinstance(reply.body, str) else reply.body

    def act(self) -> None:
        """What the venue wishes, at once."""
        for _, action in self.engine.drain():
            if isinstance(action, Send):
                self._answer(self.clients[action.conn], action.text)
            elif isinstance(action, Fetch):
                status, body = self._ask(action)
                self.step(action.conn, REPLY, msgspec.json.encode(ReplyInfo(action.key, status, action.url)) + b"\n" + body)

    def _ping(self) -> None:
        ping = self.engine.venues[self.venue].PING
        for client in self.clients.values() if ping is not None and self.sample.steps % int(ping[0] * 100) == 0 else ():
            self._answer(client, ping[1])

    def _answer(self, client: Client, text: str) -> None:
        for answer in self.server.heard(client, text, self.sample.steps / 100):
            self._said([client], answer)

    def run(self, messages: int) -> None:
        """Until all books are LIVE, then until so many messages have come."""
        self.connect()
        while not self.head or len(self.frames) < self.head + messages:
            self.act()
            self.sample.step()
            self._ping()
            self.server.publish()
            books = self.engine.market.books
            if not self.head and len(books) == len(self.symbols) and all(book.state == LIVE for book in books.values()):
                self.head = len(self.frames)
            assert self.head or self.sample.steps < PATIENCE_STEPS, f"{self.venue}: {[(b.state, b.reason) for b in books.values()]}"


def engine(venue: str, symbols: tuple[str, ...]) -> Engine:
    return build_engine(load({"symbols": symbols}, env_file=None), (venue,), {venue: NOWHERE})


def levels(of: Engine) -> int:
    """Price levels that the market has read so far."""
    return sum(int(book.a[4, kernel.LEVELS]) for book in of.market.books.values())


def cost(told: Conversation) -> tuple[float, int, int]:
    """CPU s of a fresh engine over the frames behind the head, messages and levels of them."""
    fresh = engine(told.venue, told.symbols)
    fresh.step_many(told.frames[: told.head])
    fresh.drain()
    before, rest = levels(fresh), told.frames[told.head :]
    begin = time.process_time()
    for at in range(0, len(rest), PORTION):
        fresh.step_many(rest[at : at + PORTION])
        fresh.drain()
    spent = time.process_time() - begin
    return spent, sum(frame.kind == DATA for frame in rest), levels(fresh) - before


def measure(venues: Iterable[str], messages: int = MESSAGES, rounds: int = ROUNDS) -> list[Figure]:
    """Per venue CPU per message and per level, and how many times those of BESIDE."""
    told = {}
    for venue in venues:
        told[venue] = Conversation(venue)
        told[venue].run(messages)
        cost(told[venue])  # loads the compiled code
    gc.freeze()
    found: dict[str, list[Costs]] = {}
    amount: dict[str, Costs] = {}
    for _ in range(rounds):
        for venue, talk in told.items():
            spent, count, changed = cost(talk)
            found.setdefault(venue, []).append((spent / count * 1e6, spent / changed * 1e6))
            amount[venue] = count, changed / count
    gc.unfreeze()
    figures: list[Figure] = []
    for venue, costs in found.items():
        for which, name in enumerate(("message", "level")):
            rows, other = [each[which] for each in costs], [each[which] for each in found[BESIDE]]
            count, each = int(amount[venue][0]), f"{amount[venue][1]:.1f} levels per message" if which == 0 else ""
            figures.append(_best(f"{venue}: CPU per {name}, best round", "µs", rows, count, note=each))
            if venue != BESIDE:
                times, reason = [min(rows) / min(other)], REASONS.get((venue, name), "")
                target = None if reason else LIMIT
                figures.append(_best(f"{venue} ÷ {BESIDE}, per {name}", "×", times, count, target=target, note=reason))
    return figures


def _best(name: str, unit: str, rounds: list[float], samples: int, *, target: float | None = None, note: str = "") -> Figure:
    return Figure(name=name, value=min(rounds), unit=unit, samples=samples, rounds=tuple(rounds), target=target, note=note)


if __name__ == "__main__":
    machine = Machine()
    publish("venues", machine, measure([BESIDE, *(venue.ID for venue in VENUES if venue.BOOKS and venue.ID != BESIDE)]))
