"""Simulated venues of one market talking to one engine, without sockets: the frames that their servers really say, made for benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from dope.engine import Engine
from dope.engines import build_engine
from dope.settings import load
from dope.sim.character import USUAL, Character
from dope.sim.dialogue import Client
from dope.sim.listings import ListingSpec
from dope.sim.market import SampleMarket
from dope.sim.venue import module
from dope.types import DATA, LIVE, OPEN, REPLY, Fetch, Frame, OpenInfo, ReplyInfo, Send

NOWHERE = {"ws": "ws://127.0.0.1:0", "rest": "http://127.0.0.1:0"}  #: addresses that are never dialled
PATIENCE_STEPS = 3_000  #: in which every book must be LIVE


class Conversation:
    """The venues of these listings and an engine: ``frames`` is what it saw, the first ``head`` of them until all books were LIVE."""

    def __init__(self, specs: Sequence[ListingSpec], seed: int = 1, character: Character = USUAL) -> None:
        self.venues = tuple(dict.fromkeys(spec.venue for spec in specs))
        self.symbols = tuple(dict.fromkeys(spec.symbol for spec in specs))
        self.keys = {spec.key for spec in specs}
        self.sample, self.head = SampleMarket(seed, specs, character=character), 0
        self.frames: list[Frame] = []
        self.servers: dict[str, Any] = {
            venue: module(venue).Server(self.sample, clock=lambda: self.sample.steps / 100) for venue in self.venues
        }
        for venue, server in self.servers.items():
            server.port.send = self._sayer(venue)
        self.engine = self.fresh()
        self.clients: dict[int, tuple[str, Client]] = {}

    def fresh(self) -> Engine:
        """An engine of these venues that has seen nothing."""
        return build_engine(load({"symbols": self.symbols}, env_file=None), self.venues, dict.fromkeys(self.venues, NOWHERE))

    def _sayer(self, venue: str) -> Any:
        def said(clients: Iterable[Client], message: str | bytes, *, data: bool = True, binary: bool = False, topic: str = "") -> None:
            for client in clients:
                client.last = self.sample.steps / 100
                self.step(venue, client.number, DATA, message if isinstance(message, bytes) else message.encode())

        return said

    def step(self, venue: str, conn: int, kind: int, data: bytes) -> None:
        """One frame for the engine."""
        self.frames.append(Frame(self.sample.now_ms * 1_000_000 + len(self.frames), venue, conn, kind, data))
        self.engine.step(self.frames[-1])

    def connect(self) -> None:
        """All connections of the venues' plans."""
        for venue, server in self.servers.items():
            there = self.engine.venues[venue]
            for plan in there.plan():
                url = plan.url if plan.fetch is None else there.address(plan, self._ask(venue, plan.fetch)[1])
                parts = urlsplit(url)
                asked = SimpleNamespace(request=SimpleNamespace(path=f"{parts.path or '/'}?{parts.query}"))
                client = Client(asked, len(self.clients) + 1, 0.0)  # type: ignore[arg-type]
                self.clients[client.number] = venue, client
                server.port.clients.add(client)
                said = server.opened(client)
                self.step(venue, client.number, OPEN, msgspec.json.encode(OpenInfo(plan.name, url, plan.symbols)))
                for text in said:
                    server.port.send([client], text)

    def _ask(self, venue: str, fetch: Fetch) -> tuple[int, bytes]:
        server, parts, now = self.servers[venue], urlsplit(fetch.url), self.sample.steps / 100
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        reply = server.posted(path, fetch.body.encode(), now) if fetch.method == "POST" else server.rest(path, query, now)
        return reply.status, reply.body.encode() if isinstance(reply.body, str) else reply.body

    def act(self) -> None:
        """What the venues wish, at once."""
        for venue, action in self.engine.drain():
            if isinstance(action, Send):
                self._answer(action.conn, action.text)
            elif isinstance(action, Fetch):
                status, body = self._ask(venue, action)
                self.step(venue, action.conn, REPLY, msgspec.json.encode(ReplyInfo(action.key, status, action.url)) + b"\n" + body)

    def _ping(self) -> None:
        for number, (venue, _) in self.clients.items():
            ping = self.engine.venues[venue].PING
            if ping is not None and self.sample.steps % int(ping[0] * 100) == 0:
                self._answer(number, ping[1])

    def _answer(self, number: int, text: str) -> None:
        venue, client = self.clients[number]
        for answer in self.servers[venue].heard(client, text, self.sample.steps / 100):
            self.servers[venue].port.send([client], answer)

    def run(self, messages: int) -> None:
        """Until all books are LIVE, then until so many messages have come."""
        self.connect()
        while not self.head or len(self.frames) < self.head + messages:
            self.act()
            self.sample.step()
            self._ping()
            for server in self.servers.values():
                server.publish()
            books = self.engine.market.books
            if not self.head and books.keys() >= self.keys and all(books[key].state == LIVE for key in self.keys):
                self.head = len(self.frames)
            waiting = [(key, book.state, book.reason) for key, book in books.items() if book.state != LIVE]
            assert self.head or self.sample.steps < PATIENCE_STEPS, f"not live: {waiting}, of {self.keys}"
