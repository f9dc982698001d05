"""Everything that the venues' servers say to a client that watches all of their markets, without any socket between them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from dope.engine import Engine
from dope.sim.dialogue import Client, Reply
from dope.sim.world import World
from dope.types import DATA, OPEN, REPLY, Fetch, Frame, OpenInfo, ReplyInfo, Send
from dope.venues import make

PLACE = {"ws": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}
MS = 1_000_000
ROUNDS = 4  #: of questions and answers: some venues are told what is wanted in several messages


class Aloud:
    """The servers of a world and the product's own venues, face to face; ``said`` is told each message of a server."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.count = self.bytes = 0
        self.per_venue: dict[str, int] = dict.fromkeys(world.servers, 0)
        self.digests = {venue: hashlib.sha256() for venue in world.servers}
        symbols = {venue: [m.spec.symbol for m in world.sample.markets.values() if m.spec.venue == venue] for venue in world.servers}
        self._engine = Engine({venue: make(venue, symbols[venue], PLACE) for venue in world.servers})
        self._clients: dict[int, Client] = {}
        self._now = 1_000_000 * MS
        for venue, server in world.servers.items():
            server.port.send = self._hears(venue)  # type: ignore[method-assign]
        self._connect()

    def _hears(self, venue: str) -> Any:
        def send(clients: Iterable[Client], message: str | bytes, *, data: bool = True, binary: bool = False, topic: str = "") -> None:
            raw = message.encode() if isinstance(message, str) else message
            for client in clients:
                self.digests[venue].update(b"%d %d %s\n" % (client.number, binary, raw))
                self.count, self.bytes = self.count + 1, self.bytes + len(raw)
                self.per_venue[venue] += 1

        return send

    def _dialogue(self, venue: str) -> Any:
        return self.world.servers[venue].port._dialogue

    def _step(self, venue: str, conn: int, kind: int, data: bytes) -> None:
        self._now += MS
        self._engine.step(Frame(self._now, venue, conn, kind, data))

    def _connect(self) -> None:
        numbers = itertools.count(1)
        for name, venue in self._engine.venues.items():
            for plan in venue.plan():
                conn, url = next(numbers), plan.url
                if plan.fetch is not None:
                    url = venue.address(plan, self._asked(name, plan.fetch)[1])
                parts = urlsplit(url)
                path = parts.path + (f"?{parts.query}" if parts.query else "")
                client = Client(cast(Any, SimpleNamespace(request=SimpleNamespace(path=path))), conn, 0.0)
                self.world.servers[name].port.clients.add(client)
                self._clients[conn] = client
                answers = self._dialogue(name).opened(client)
                self._step(name, conn, OPEN, msgspec.json.encode(OpenInfo(plan.name, url, plan.symbols)))
                self._answer(name, conn, answers)
        for round_ in range(ROUNDS):
            self._now += 1000 * MS
            for venue_name, action in self._engine.drain():
                if isinstance(action, Send):
                    text = action.text if isinstance(action.text, str) else action.text.decode()
                    self._answer(venue_name, action.conn, self._dialogue(venue_name).heard(self._clients[action.conn], text, float(round_)))
                elif isinstance(action, Fetch):
                    status, body = self._asked(venue_name, action)
                    head = msgspec.json.encode(ReplyInfo(action.key, status, action.url))
                    self._step(venue_name, action.conn, REPLY, head + b"\n" + body)

    def _answer(self, venue: str, conn: int, answers: Any) -> None:
        for answer in answers:
            self.digests[venue].update(answer.encode() if isinstance(answer, str) else answer)
            self._step(venue, conn, DATA, answer.encode() if isinstance(answer, str) else answer)

    def _asked(self, venue: str, fetch: Fetch) -> tuple[int, bytes]:
        parts = urlsplit(fetch.url)
        dialogue = self._dialogue(venue)
        if fetch.method == "POST":
            reply = dialogue.posted(parts.path, fetch.body or b"", 0.0)
        else:
            reply = dialogue.rest(parts.path, dict(parse_qsl(parts.query)), 0.0)
        assert isinstance(reply, Reply)
        return reply.status, reply.body.encode() if isinstance(reply.body, str) else reply.body
