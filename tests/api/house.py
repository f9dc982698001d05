"""The real web server on a free port, over a publisher's board; and a browser that understands the live stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import uvicorn
from dash import Dash, Input, Output, html
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import ClientConnection, connect

from dope.api import mount, server_options
from dope.api.delta import KEYED, LOGS, PARTS
from dope.settings import Settings
from tests.api.publisher import Publisher

UNHURRIED = {"reads_per_s": 1e6, "writes_per_s": 1e6, "costly_per_min": 1e6}  #: tests ask faster than people; limits have their own


class House:
    """A running server; ``url`` and ``ws`` are its addresses."""

    def __init__(self, publisher: Publisher, app: FastAPI, server: uvicorn.Server, thread: threading.Thread) -> None:
        self.publisher, self.app, self._server, self.thread = publisher, app, server, thread
        self.port = port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}/ws/v1/live"
        self.client = httpx.Client(base_url=self.url, timeout=60.0, event_hooks={"request": [self._still_fresh]})

    def _still_fresh(self, _request: httpx.Request) -> None:
        """On a slow machine the engine of a test would count as silent, because nobody published meanwhile."""
        age_s = (time.time_ns() - self.publisher.board.read().t_ns) / 1e9
        if 1.0 < age_s < 50.0:
            self.publisher.board.publish(time.time_ns(), {})

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.client.get(path, params=parameters or None)

    def connections(self) -> int:
        """Sockets that the server still holds; those of ``client`` are not counted."""
        return sum(isinstance(connection, WebSocketsSansIOProtocol) for connection in list(self._server.server_state.connections))

    def connect(self, **options: Any) -> connect:
        return connect(self.ws, **{"origin": self.url, "compression": None, "max_size": None, **options})


def dash_app() -> FastAPI:
    """A dashboard with one page and one callback: what the API is mounted on in the product."""
    dash = Dash("house", backend="fastapi", assets_folder="no-such-folder")
    dash.layout = html.Div([html.Button(id="b"), html.Div(id="out")])

    @dash.callback(Output("out", "children"), Input("b", "n_clicks"))
    async def out(n: int | None) -> str:
        return str(n)

    server: FastAPI = dash.server
    return server


@contextmanager
def serving(
    publisher: Publisher | None = None, *, app: FastAPI | None = None, clock_ns: Callable[[], int] = time.time_ns, **changes: Any
) -> Iterator[House]:
    """The app under uvicorn with our own options, in a thread; where ``clock_ns`` stands still, no limit fills up again."""
    publisher = publisher or Publisher()
    settings = Settings(_env_file=None, **{"port": 0, "push_hz": 50, **UNHURRIED, **changes})
    app = app or FastAPI()
    mount(app, publisher.board, settings, alive=lambda: publisher.alive, clock_ns=clock_ns, pages=("/", "/spreads"))
    server = uvicorn.Server(uvicorn.Config(app, **server_options(settings), log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        house = House(publisher, app, server, thread)
        with house.client:
            yield house
    finally:
        server.should_exit = True
        thread.join(10.0)
        assert not thread.is_alive(), "the server did not end"


class Browser:
    """Applies the messages of the live stream as the page does; ``state`` is what it believes."""

    EVENTS_KEPT = 500

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.seq = -1
        self.holes = 0
        self.snapshots = 0

    def receive(self, text: str | bytes) -> dict[str, Any]:
        message: dict[str, Any] = orjson.loads(text)
        if message["type"] == "pong":
            return message
        if message["type"] == "snapshot":
            self.snapshots += 1
            self.state = {}
        elif message["seq"] != self.seq + 1:
            self.holes += 1
        self.seq = message["seq"]
        for name, value in message["data"].items():
            self._apply(name, value)
        return message

    def _apply(self, name: str, value: Any) -> None:
        if name in KEYED:
            rows = {} if value["all"] else self.state[name]
            for gone in value["del"]:
                del rows[gone]
            at = value["cols"].index(KEYED[name]) if value["set"] else 0
            for values in value["set"]:
                rows[values[at]] = rows.get(values[at], {}) | dict(zip(value["cols"], values, strict=True))
            self.state[name] = rows
        elif name in LOGS:
            self.state[name] = (self.state.get(name, []) + value)[-self.EVENTS_KEPT :]
        elif name == "series":
            self._points(value)
        elif name in PARTS:
            self.state[name] = self.state.get(name, {}) | value
        else:
            self.state[name] = value

    def _points(self, value: dict[str, Any]) -> None:
        old = {"t": [], "mid": {}} if value["all"] else self.state["series"]
        keep = value["keep"]
        join = lambda a, b: (a + b)[len(a) + len(b) - keep :]  # noqa: E731
        mid = {key: join(old["mid"].get(key, []), points) for key, points in value["mid"].items()}
        self.state["series"] = {"t": join(old["t"], value["t"]), "mid": mid}


def believed(data: dict[str, Any]) -> dict[str, Any]:
    """What a browser must believe after ``data`` was published."""
    plain = orjson.loads(orjson.dumps(data))
    return {name: {row[KEYED[name]]: row for row in value} if name in KEYED else value for name, value in plain.items()}


async def follow(socket: ClientConnection, browser: Browser, *, until_tick: int) -> None:
    """Read until the browser has seen publication ``until_tick``."""
    while browser.state.get("sys", {}).get("tick", -1) < until_tick:
        browser.receive(await socket.recv())
