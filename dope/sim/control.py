"""HTTP on loopback to do things to a running sample world: plant and heal faults, read the journal, play scenarios, set the proxies.

    GET /faults            what can be planted, each kind with its sentence, and what is planted now
    POST /faults           a ``Fault`` as JSON → 201 and its ``Planted``
    DELETE /faults/{id}    heal it
    GET /journal           all that was planted, a line of JSON each
    GET, POST /scenario    what is played; {"name": …} plays another
    GET /proxies           what stands before the venues
    PUT /proxies/{venue}   a list of faults on the way to a venue, in place of those that are on; [] = it is transparent again

What cannot be done is 422 with the reason. No page of a browser may ask: a foreign Host is 421, any Origin is 403.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import msgspec
import uvicorn
from loguru import logger
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dope.errors import BadFault, UnknownName
from dope.sim import events
from dope.sim.faults import checked
from dope.sim.journal import Fault
from dope.sim.kinds import KINDS, LINKS, Kind
from dope.sim.modes import Mode
from dope.sim.port import Port
from dope.sim.proxy import Proxy
from dope.sim.scenarios import SCENARIOS
from dope.sim.world import World

MAX_BODY = 64 * 1024  #: bytes
MAX_BUSY = 16  #: requests at once
NO_PROXY = "no proxies stand before the venues: start the market with --proxy"


class Chosen(msgspec.Struct, forbid_unknown_fields=True):
    """A wish for a scenario."""

    name: str


class Refused(Exception):
    """An answer other than the one hoped for."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class _Server(uvicorn.Server):
    """A web server inside a process that hears signals by itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them alone."""
        yield


class Control:
    """The door to one world; it lives in the world's loop."""

    def __init__(self, world: World) -> None:
        self.url = ""
        self._world = world
        routes = [
            Route("/faults", self._kinds), Route("/faults", self._plant, methods=["POST"]),
            Route("/faults/{id:int}", self._heal, methods=["DELETE"]), Route("/journal", self._journal),
            Route("/scenario", self._played), Route("/scenario", self._play, methods=["POST"]),
            Route("/proxies", self._proxies), Route("/proxies/{venue}", self._set_proxy, methods=["PUT"]),
        ]  # fmt: skip
        why = {Refused: _refused, HTTPException: _nothing, **dict.fromkeys((BadFault, UnknownName, msgspec.DecodeError), _impossible)}
        self._app = Starlette(routes=routes, exception_handlers=why)  # type: ignore[arg-type]
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> str:
        """Listen on this port of 127.0.0.1, 0 = any that is free; gives the address. Raises OSError."""
        listener = socket.create_server(("127.0.0.1", port))
        number = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{number}"
        config = uvicorn.Config(
            _Door(self._app, number), log_config=None, access_log=False, ws="none", lifespan="off", limit_concurrency=MAX_BUSY,
            timeout_graceful_shutdown=1, server_header=False,
        )  # fmt: skip
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.005)
        if self._serving.done():
            self._serving.result()
        logger.info("the market is controlled at {}", self.url)
        return self.url

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving

    # -- faults --------------------------------------------------------------------------------------------------------
    async def _kinds(self, request: Request) -> Response:
        venues = self._world.servers
        rows = [_kind(kind, [venue for venue in venues if kind.at(venue)]) for kind in KINDS.values()]
        rows += [_kind(kind, [venue for venue in venues if self._proxy(venue)]) for kind in LINKS.values()]
        rows += [{"name": name, "group": "market", "sentence": words, "venues": []} for name, words in events.SENTENCES.items()]
        return _json({"kinds": rows, "planted": [active.entry for active in self._world.faults.active.values()]})

    async def _plant(self, request: Request) -> Response:
        return _json(self._world.faults.inject(msgspec.json.decode(await _body(request), type=Fault)), 201)

    async def _heal(self, request: Request) -> Response:
        number = int(request.path_params["id"])
        healed = self._world.faults.heal(number)
        if healed is None:
            raise Refused(404, f"no fault {number} is planted, or it is over")
        await self._world.faults.settle()
        return _json(healed)

    async def _journal(self, request: Request) -> Response:
        lines = [msgspec.json.encode(entry) + b"\n" for entry in self._world.journal.entries]
        return Response(b"".join(lines), media_type="application/x-ndjson")

    # -- scenarios -----------------------------------------------------------------------------------------------------
    async def _played(self, request: Request) -> Response:
        rows = [{"id": each.id, "name": each.name, "see": each.see} for each in SCENARIOS.values()]
        return _json({"playing": self._world.scenario.id, "now_ms": self._world.sample.now_ms, "rows": rows})

    async def _play(self, request: Request) -> Response:
        self._world.play(msgspec.json.decode(await _body(request), type=Chosen).name)
        return _json({"playing": self._world.scenario.id, "since_ms": self._world.sample.now_ms})

    # -- proxies -------------------------------------------------------------------------------------------------------
    async def _proxies(self, request: Request) -> Response:
        venues = {venue: proxy for venue in self._world.servers if (proxy := self._proxy(venue)) is not None}
        return _json({venue: self._state(venue, proxy) for venue, proxy in venues.items()})

    async def _set_proxy(self, request: Request) -> Response:
        venue, faults = request.path_params["venue"], self._world.faults
        if venue not in self._world.servers:
            raise Refused(404, str(UnknownName("venue", venue, self._world.servers)))
        proxy = self._proxy(venue)
        if proxy is None:
            raise Refused(409, NO_PROXY)
        wanted = [_on_link(fault, venue) for fault in msgspec.json.decode(await _body(request), type=list[Fault])]
        for planted in self._on(venue):
            faults.heal(planted)
        for fault in wanted:
            faults.inject(fault)
        await faults.settle()
        return _json(self._state(venue, proxy))

    def _proxy(self, venue: str) -> Proxy | None:
        port: Port = self._world.servers[venue].port
        return port.proxy

    def _on(self, venue: str) -> list[int]:
        """Numbers of what is planted on the way to a venue."""
        active = self._world.faults.active.items()
        return [number for number, each in active if each.fault.venue == venue and each.fault.kind in LINKS]

    def _state(self, venue: str, proxy: Proxy) -> dict[str, Any]:
        planted = [self._world.faults.active[number].entry for number in self._on(venue)]
        return {"endpoints": proxy.endpoints, "connections": len(proxy.connections), "bytes": proxy.carried, "planted": planted}


class _Door:
    """Lets in who calls us by a name of loopback and is no page of a browser."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._names = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if headers.get(b"host", b"").lower() not in self._names:
            await _refuse(421, "this Host name is not ours: use 127.0.0.1 or localhost with our port")(scope, receive, send)
        elif b"origin" in headers or headers.get(b"sec-fetch-site", b"none") != b"none":
            await _refuse(403, "pages of a browser may not ask here")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _on_link(fault: Fault, venue: str) -> Fault:
    """A fault on the way to this venue, of which nothing can be refused any more."""
    if fault.kind not in LINKS:
        raise UnknownName("fault of a proxy", fault.kind, LINKS)
    if fault.venue not in ("", venue) or fault.symbol:
        raise BadFault(f"{fault.kind} happens to all of {venue} here")
    Mode(fault.kind, checked(LINKS[fault.kind], fault))
    return msgspec.structs.replace(fault, venue=venue)


def _kind(kind: Kind, venues: list[str]) -> dict[str, Any]:
    return {"name": kind.name, "group": kind.group, "sentence": kind.sentence, "params": kind.params, "venues": venues}


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise Refused(413, f"a body has at most {MAX_BODY} bytes")
    return bytes(body)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refuse(status: int, words: str) -> Response:
    return _json({"error": words}, status)


async def _refused(request: Request, error: Refused) -> Response:
    return _refuse(error.status, error.words)


async def _nothing(request: Request, error: HTTPException) -> Response:
    return _refuse(error.status_code, error.detail)


async def _impossible(request: Request, error: Exception) -> Response:
    return _refuse(422, str(error))
