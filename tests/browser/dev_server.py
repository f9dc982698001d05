"""A small server for the page alone: the dashboard, the pinned live stream, polling and commands over a fake board.

``python -m tests.browser.dev_server [port] [scenario]`` serves it by hand; tests use ``Server``. Scenarios: ``live``, ``sim``,
``quiet`` (nothing pays), ``starting`` (nothing published yet).
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from typing import Any

import uvicorn
from fastapi import Request, Response, WebSocket, WebSocketDisconnect

from dope.api import (
    basis,
    clocks,
    conversions,
    curves,
    depth,
    instruments,
    leadlag,
    pairs,
    parameters,
    scenarios,
    survival,
    triangles,
    views,
)
from dope.api.answers import answer_errors
from dope.api.context import Web
from dope.board import Board, Command
from dope.dashboard.app import build
from dope.settings import Settings
from tests.browser.fake_board import FakeMarket

USED: list[int] = []  #: ports of earlier servers of this process
KEYED = {"venues": "id", "instruments": "key", "opps": "id", "jobs": "id"}


def columnar(now: list[dict[str, Any]], old: list[dict[str, Any]] | None, key: str) -> dict[str, Any] | None:
    """The keyed-list encoding; ``old`` None = replace everything; None = nothing changed."""
    cols = list(now[0]) if now else []
    known = {row[key]: row for row in old or []}
    changed = now if old is None else [row for row in now if known.get(row[key]) != row]
    gone = [name for name in known if name not in {row[key] for row in now}]
    if old is not None and not changed and not gone:
        return None
    return {"cols": cols, "all": old is None, "set": [[row[col] for col in cols] for row in changed], "del": gone}


def encode(data: Any, old: Any, seq: int) -> dict[str, Any]:
    """One message of the stream: a snapshot when ``old`` is None, else what changed since."""
    out: dict[str, Any] = {}
    for name, value in data.items():
        before = None if old is None else old.get(name)
        if before is value or before == value:
            continue
        if name in KEYED:
            coded = columnar(value, before, KEYED[name])
            if coded is not None:
                out[name] = coded
        elif name == "events":
            last = before[-1]["id"] if before else 0
            out[name] = [row for row in value if row["id"] > last]
        elif name == "series":
            last = before["t"][-1] if before and before["t"] else 0
            n = sum(t > last for t in value["t"])
            out[name] = {"all": before is None, "t": value["t"][-n:], "mid": {key: mids[-n:] for key, mids in value["mid"].items()}}
        else:
            out[name] = value
    event_ns = data.get("sys", {}).get("event_ns")
    return {"type": "snapshot" if old is None else "delta", "seq": seq, "t": time.time() * 1000, "event_ns": event_ns, "data": out}


def listen(port: int = 0) -> socket.socket:
    """A listening socket: on ``port``, else on one that was used before and is free again, else on any.

    A browser keeps compiled scripts by address: at a new one it would compile all of them anew.
    """
    for wanted in (port,) if port else (*USED, 0):
        try:
            found = socket.create_server(("127.0.0.1", wanted))
        except OSError:
            if wanted == port != 0:
                raise
        else:
            USED.extend({found.getsockname()[1]} - set(USED))
            return found
    raise OSError("no port is free")


class Server:
    """Runs in threads of its own on a free port. ``cut`` refuses and closes live streams; ``no_ws`` refuses sockets only."""

    def __init__(self, scenario: str = "live", port: int = 0, hz: float = 5.0, past: int = 900) -> None:
        """``hz``: publications a second; ``past``: steps of the market before it is served."""
        self._scenario, self._past, self._turn = scenario, past, threading.Lock()
        self.board, self.cut, self.no_ws, self.skip = Board(), False, False, 0
        self.market = self._new_market()
        self.app = build(self.board, Settings(_env_file=None))
        server = self.app.server
        server.add_api_websocket_route("/ws/v1/live", self._stream)
        server.add_api_route("/api/v1/live", self._live)
        server.add_api_route("/api/v1/commands", self._commands, methods=["POST"])
        server.state.web = Web(self.board, Settings(_env_file=None), lambda: True, time.time_ns)
        server.include_router(views.router)
        server.include_router(instruments.router)
        for part in (scenarios, leadlag, clocks, parameters, depth, curves, survival, pairs, basis, triangles, conversions):
            server.include_router(part.router)
        answer_errors(server)
        self._socket = listen(port)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._uvicorn = uvicorn.Server(uvicorn.Config(server, log_level="warning", ws="websockets-sansio", lifespan="off"))
        self._stop, self.hold = threading.Event(), threading.Event()
        self._hz, self._publishes = hz, scenario != "starting"
        self._threads = [threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, daemon=True),
                         threading.Thread(target=self._publish, daemon=True)]

    def _new_market(self) -> FakeMarket:
        market = FakeMarket(self.board, hot=0.0 if self._scenario == "quiet" else 0.04)
        if self._scenario == "sim":
            market.mode.update(source="sim", banner="no exchange can be reached", live_available=True)
            market.play("usual")
        return market

    def renew(self) -> None:
        """Another market from its beginning, and nothing cut, held or left out."""
        with self._turn:
            self.cut, self.no_ws, self.skip = False, False, 0
            self.market = self._new_market()
            self.market.live_through(self._past)
        self.hold.clear()

    def __enter__(self) -> Server:
        if self._publishes:
            self.market.live_through(self._past)
        for thread in self._threads:
            thread.start()
        while not self._uvicorn.started:
            assert self._threads[0].is_alive(), "the server has ended before it served anything"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._uvicorn.should_exit = True
        for thread in self._threads:
            thread.join(10)
        self._socket.close()

    def _publish(self) -> None:
        while self._publishes and not self._stop.wait(1 / self._hz):
            with self._turn:
                if not self.hold.is_set():
                    self.market.step()

    async def _live(self) -> Response:
        snapshot = self.board.read()
        return Response(json.dumps(encode(snapshot.data, None, 0)), media_type="application/json", status_code=503 if self.cut else 200)

    async def _commands(self, request: Request) -> dict[str, int]:
        body = await request.json()
        return {"job": self.board.ask(Command(body["name"], body.get("args", {})))}

    async def _stream(self, ws: WebSocket) -> None:
        if self.cut or self.no_ws:
            await ws.close()
            return
        await ws.accept()
        ask = asyncio.create_task(self._answer(ws))
        old, seq = None, 0
        try:
            while not self._stop.is_set() and not self.cut:
                if getattr(ws, "resync", False):
                    old, ws.resync = None, False
                data = self.board.read().data
                if data is not old and data:
                    seq += 1 + self.skip
                    self.skip = 0
                    await ws.send_text(json.dumps(encode(data, old, seq)))
                    old = data
                await asyncio.sleep(1 / self._hz)
            await ws.close(1001)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            ask.cancel()

    async def _answer(self, ws: WebSocket) -> None:
        try:
            while True:
                message = json.loads(await ws.receive_text())
                if message["type"] == "resync":
                    ws.resync = True
                elif message["type"] == "ping":
                    await ws.send_text(json.dumps({"type": "pong", "c": message["c"], "t": time.time() * 1000}))
        except (WebSocketDisconnect, RuntimeError):
            pass


if __name__ == "__main__":
    with Server(*(sys.argv[2:3] or ["live"]), port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as running:
        print(running.url, flush=True)
        while True:
            time.sleep(1)
