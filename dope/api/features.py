"""The stream of features ``/ws/features``: what the sampler sees each 10 ms of the symbols that a client names.

Server → client: ``snapshot`` first, after each change of the subscription and whenever messages were lost for want of room:
{type, seq, t, symbols, period_ms, windows_bps, columns, source, trouble}; then ``features``: {type, seq (+1 each), t: ms UTC,
source, trouble, keys: [book…], at: [ms with fractions, one a sample…], columns: {name: [[one a book]… one a sample]}, missed:
samples that nobody was told}, some twenty times a second, and once a second where nothing is new. null = not known.
Client → server, besides what ``clients.py`` says: {"type": "subscribe", "symbols": ["BTC-USDT", …]}, in place of those before;
or ``?symbols=BTC-USDT,ETH-USDT``. Who names none gets none. A refusal is {"type": "error", "error"}: what was, goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, WebSocket

from dope.api.clients import KEEPALIVE_S, TRY_LATER, ConnectionManager, Ended, Outbox, Places, State, told_by
from dope.api.context import Web
from dope.api.tokens import Tokens
from dope.errors import NoEngine

GONE = 4404  #: WebSocket close code: no such symbol
EVERY_S = 0.05  #: s from one look to the next, at least
ANSWER_S = 1.0  #: s after which an engine that does not answer makes nothing current any more
MAX_SYMBOLS = 16  #: of one client
ALL_SYMBOLS = 64  #: of all clients together
EXACT = frozenset(("bid", "ask", "mid", "weighted_mid"))  #: columns told with all their digits; the others with seven
STARTING = "the engine is still starting"
OPTIONS = orjson.OPT_SERIALIZE_NUMPY

stream = APIRouter()


class View:
    """One set of symbols: the same numbers and the same bytes for all who asked for it."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols
        self.outboxes: set[Outbox] = set()
        self.seq = 0
        self.spoke = 0.0
        self.about: dict[str, Any] = {"source": None, "trouble": STARTING, "period_ms": None, "windows_bps": [], "columns": []}

    def snapshot(self, t_ms: int) -> str:
        """How it stands, for one who begins."""
        return orjson.dumps({"type": "snapshot", "seq": self.seq, "t": t_ms, "symbols": self.symbols, **self.about}).decode()

    def step(self, answer: Mapping[str, Any], trouble: str | None, t_ms: int, now: float) -> str | None:
        """The next message, None when there is nothing to say yet. ``now`` in s, never falling."""
        told = {name: answer.get(name, self.about[name]) for name in ("source", "period_ms", "windows_bps", "columns")}
        about = {**told, "trouble": trouble}
        parts = _columns(answer, self.symbols)
        if not parts["at"] and about == self.about and now - self.spoke < KEEPALIVE_S:
            return None
        self.about, self.spoke = about, now
        self.seq += 1
        head = {"type": "features", "seq": self.seq, "t": t_ms, "source": about["source"], "trouble": trouble}
        parts["missed"] = answer.get("missed", 0)
        return orjson.dumps(head | parts, option=OPTIONS).decode()


def _columns(answer: Mapping[str, Any], symbols: tuple[str, ...]) -> dict[str, Any]:
    """Of all samples those of these symbols, column by column; samples of one message are of the same books."""
    samples = answer.get("samples", ())
    keys = samples[-1]["keys"] if samples else ()
    same = [one for one in samples if one["keys"] == keys]
    mine = [k for k, key in enumerate(keys) if key.partition(":")[2] in symbols]
    if not mine:
        return {"keys": [], "at": [], "columns": {}}
    block = np.stack([one["values"] for one in same])[:, mine, :]
    columns = {
        name: np.ascontiguousarray(block[:, :, j] if name in EXACT else block[:, :, j].astype(np.float32))
        for j, name in enumerate(answer["columns"])
    }
    return {"keys": [keys[k] for k in mine], "at": [round(one["t"], 3) for one in same], "columns": columns}


class Features:
    """All clients of the stream. Lives on the web server's event loop; its broadcaster runs while clients are there."""

    def __init__(self, web: Web, tokens: Tokens, places: Places) -> None:
        self._web = web
        self.manager = ConnectionManager(tokens, places, clock_ns=web.clock_ns)
        self.manager.on_subscribe = self._subscribe
        self.counts = self.manager.counts  #: and reads, updates, bytes, overflows
        self._views: dict[tuple[str, ...], View] = {}
        self._of: dict[Outbox, View] = {}
        self._task: asyncio.Task[None] | None = None
        self._run, self._number = "", -1

    @property
    def clients(self) -> int:
        return len(self._of)

    async def serve(self, socket: WebSocket) -> None:
        """One client from accept to close."""
        asked = socket.query_params.get("symbols", "")

        @contextlib.asynccontextmanager
        async def enter(outbox: Outbox) -> AsyncIterator[State]:
            if problem := self._move(outbox, [symbol for symbol in asked.split(",") if symbol]):
                raise Ended(TRY_LATER if problem == STARTING else GONE, problem)
            if self._task is None or self._task.done():
                self._task = self._web.watch.kept("feature broadcaster", self._broadcast)
                self._task.add_done_callback(told_by("the stream of features"))
            try:
                yield lambda: self._of[outbox].snapshot(self._web.clock_ns() // 1_000_000)
            finally:
                self._leave(outbox)

        await self.manager.serve(socket, enter)

    def _subscribe(self, outbox: Outbox, symbols: list[str]) -> None:
        if problem := self._move(outbox, symbols):
            outbox.reply(orjson.dumps({"type": "error", "error": problem}).decode())
        else:
            outbox.restart()

    def _move(self, outbox: Outbox, wanted: list[str]) -> str:
        """Give a client these symbols in place of those before; why not, "" = done."""
        symbols = tuple(sorted(set(wanted)))
        known = {row["symbol"] for row in self._web.board.read().data.get("instruments") or ()}
        if symbols and not known:
            return STARTING
        if strange := [symbol for symbol in symbols if symbol not in known]:
            return f"there is no symbol {strange[0][:40]!r}"
        if len(symbols) > MAX_SYMBOLS:
            return f"at most {MAX_SYMBOLS} symbols"
        others = {symbol for box, view in self._of.items() if box is not outbox for symbol in view.symbols}
        if len(others | set(symbols)) > ALL_SYMBOLS:
            return f"all clients together follow {len(others)} symbols already, {ALL_SYMBOLS} at most"
        self._leave(outbox)
        view = self._of[outbox] = self._views.setdefault(symbols, View(symbols))
        view.outboxes.add(outbox)
        return ""

    def _leave(self, outbox: Outbox) -> None:
        view = self._of.pop(outbox, None)
        if view is not None:
            view.outboxes.discard(outbox)
            if not view.outboxes:
                self._views.pop(view.symbols, None)

    async def _broadcast(self) -> None:
        """Read what is new of all symbols that anybody follows, encode it once for each set of them; ends when the last has left."""
        loop, self._number = asyncio.get_running_loop(), -1  # what was sampled for those who have left is for nobody
        while self._of:
            began = loop.time()
            answer, trouble = await self._read()
            now, t_ms = loop.time(), self._web.clock_ns() // 1_000_000
            for view in list(self._views.values()):
                text = view.step(answer, trouble, t_ms, now)
                if text is not None:
                    self._hand_out(view, text)
            await asyncio.sleep(max(0.0, began + EVERY_S - loop.time()))

    def _hand_out(self, view: View, text: str) -> None:
        for outbox in tuple(view.outboxes):
            if not outbox.put(text):
                self.counts["overflows"] += 1
        self.counts["updates"] += 1
        self.counts["bytes"] += len(text) * len(view.outboxes)

    async def _read(self) -> tuple[dict[str, Any], str | None]:
        """(what is new, why nothing is current or None); nothing is asked while nobody has named a symbol."""
        symbols = sorted({symbol for view in self._views.values() for symbol in view.symbols})
        trouble = self._web.trouble()
        if trouble or not symbols:
            return {}, trouble
        args = {"symbols": symbols, "after": self._number}
        asking = asyncio.get_running_loop().run_in_executor(None, lambda: self._web.board.query("features", args=args))
        self.counts["reads"] += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                answer: dict[str, Any] = await asking or {}
        except (NoEngine, TimeoutError) as error:
            return {}, str(error) or "the engine does not answer"
        if not answer:
            return {}, STARTING
        if answer["run"] != self._run:
            self._run, first = answer["run"], self._number < 0
            self._number = answer["number"]
            return ({**answer, "samples": [], "missed": 0} if not first else answer), None
        self._number = answer["number"]
        return answer, None


@stream.websocket("/ws/features")
async def features(socket: WebSocket) -> None:
    """Features of the books of some symbols, sampled each 10 ms; ``?symbols=`` or a first message names them."""
    hub: Features = socket.app.state.features
    await hub.serve(socket)
