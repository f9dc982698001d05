"""The stream of features, over real sockets and a real engine: read by two client libraries, named by symbols, bounded."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from dope.api.features import MAX_SYMBOLS
from dope.feed.clock import Clock
from dope.readings import READINGS, Asked
from dope.session import Session
from dope.settings import Settings
from dope.types import TICK, Frame
from tests.api.house import House, serving
from tests.api.publisher import Publisher
from tests.frames import MS, T0, okx_book, okx_script, play, spot_script

SYMBOL = "BTC-USDT"
PATIENCE_S = 60.0


class Market(Publisher):
    """A publisher whose answers about features are those of a real session, stepped by a thread of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        two = ("binance_spot", "okx")
        settings = Settings(data_dir=folder, record=False, symbols=(SYMBOL,), venues=two, _env_file=None)
        self.session = Session(settings, "sim", {venue: {"ws": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"} for venue in two}, Clock())
        self.session.engine.step_many(play("binance_spot", spot_script()) + play("okx", okx_script(), conn=2, start=T0 + 100 * MS))
        self.asked_of_features = 0
        self._turn, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for k in itertools.count():
            if self._over.wait(0.005):
                return
            at = T0 + 1000 * MS + k * 10 * MS
            kind, text = okx_book("update", 121 + k, 120 + k, [("100", ("1.5", "2.5")[k % 2])], [])
            if k % 50 == 0:
                self.board.publish(time.time_ns(), {})  # a slow machine is no dead engine
            with self._turn:
                self.session.engine.step_many([Frame(at, "okx", 2, kind, text), Frame(at + MS, "", 0, TICK, b"0")])

    def _between(self, read: Any) -> Any:
        with self._turn:
            return read()

    def _answer(self, kind: str, symbol: str, start: int, end: int, **options: Any) -> Any:
        if kind != "features":
            return super()._answer(kind, symbol, start, end, **options)
        self.asked_of_features += 1
        asked = Asked(symbol, start, end, 0, options["args"], self.session.engine.market.now, self._between)
        return READINGS["features"](self.session, asked)

    def end(self) -> None:
        self._over.set()
        self._thread.join(10)


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    made = Market(tmp_path)
    yield made
    made.end()


@pytest.fixture
def house(market: Market) -> Iterator[House]:
    with serving(market) as running:
        market.publish()
        yield running


def listening(house: House, query: str = "") -> connect:
    return connect(f"ws://127.0.0.1:{house.port}/ws/features{query}", origin=house.url, compression=None, max_size=None)


async def told(line: ClientConnection, kind: str, *, full: bool = False) -> dict[str, Any]:
    """The next message of that type, with samples if ``full``."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message: dict[str, Any] = orjson.loads(await line.recv())
            if message["type"] == kind and (not full or message["at"]):
                return message


def test_a_client_is_told_what_the_books_are_like_each_ten_milliseconds(house: House, market: Market) -> None:
    async def scene() -> None:
        async with listening(house, f"?symbols={SYMBOL}") as line:
            first = await told(line, "snapshot")
            assert first["symbols"] == [SYMBOL]
            messages = [await told(line, "features", full=True) for _ in range(4)]
            assert [b["seq"] - a["seq"] for a, b in itertools.pairwise(messages)] == [1, 1, 1] and messages[0]["missed"] == 0
            times = [at for message in messages for at in message["at"]]
            assert {round(b - a) for a, b in itertools.pairwise(times)} == {10}, "no sample is missing and none comes twice"
            one = messages[1]
            assert one["keys"] == ["binance_spot:BTC-USDT", "okx:BTC-USDT"] and one["trouble"] is None and one["source"] == "sim"
            columns = one["columns"]
            assert {len(rows) for rows in columns.values()} == {len(one["at"])} and {len(row) for row in columns["mid"]} == {2}
            assert all(row == [100.25, 100.25] for row in columns["mid"]) and all(row[1] == 0.0 for row in columns["delta_bps"])
            sizes = {row[1] for message in messages for row in message["columns"]["flow"]}
            assert sizes <= {1.0, -1.0, 0.0} and len(sizes) >= 2, "its best bid grows and shrinks by one"
            assert set(columns) >= {"bid_depth_5", "ask_depth_50", "imbalance_25", "weighted_mid"}

    asyncio.run(scene())


def test_aiohttp_reads_it_too_and_names_its_symbols_in_a_message(house: House, market: Market) -> None:
    async def scene() -> None:
        async with aiohttp.ClientSession() as web, web.ws_connect(f"{house.url}/ws/features", origin=house.url) as line:
            assert (await line.receive_json())["symbols"] == []
            await line.send_json({"type": "subscribe", "symbols": [SYMBOL]})
            kinds: list[str] = []
            async with asyncio.timeout(PATIENCE_S):
                async for message in line:
                    found = message.json()
                    kinds.append(found["type"])
                    if found["type"] == "features" and found["at"]:
                        break
            assert "snapshot" in kinds and found["columns"]["ask"][0] == [100.5, 100.5]

    asyncio.run(scene())


def test_while_nobody_names_a_symbol_the_engine_is_not_even_asked(house: House, market: Market) -> None:
    async def scene() -> None:
        async with listening(house) as line:
            for _ in range(3):  # once a second it says that it lives
                assert (await told(line, "features"))["at"] == []

    asyncio.run(scene())
    assert market.asked_of_features == 0 and market.session.sampler.number == 0


def test_who_follows_the_same_gets_the_same_bytes_and_who_leaves_costs_nothing_more(house: House, market: Market) -> None:
    async def scene() -> None:
        async with listening(house, f"?symbols={SYMBOL}") as one, listening(house, f"?symbols={SYMBOL}") as other:
            texts: list[dict[int, str]] = [{}, {}]
            for line, found in zip((one, other), texts, strict=True):
                for _ in range(8):
                    async with asyncio.timeout(PATIENCE_S):
                        text = str(await line.recv())
                    found[orjson.loads(text)["seq"]] = text if '"features"' in text[:30] else ""
            both = [seq for seq in texts[0].keys() & texts[1].keys() if texts[0][seq] and texts[1][seq]]
            assert both and all(texts[0][seq] == texts[1][seq] for seq in both)

    asyncio.run(scene())
    end = time.monotonic() + PATIENCE_S
    hub = house.app.state.features
    while hub.clients and time.monotonic() < end:
        time.sleep(0.01)
    number = -1
    while number != market.session.sampler.number and time.monotonic() < end:  # two seconds of the market's time later it samples no more
        number = market.session.sampler.number
        time.sleep(0.3)
    assert hub.clients == 0 and number == market.session.sampler.number


def test_names_that_are_none_are_refused_and_what_was_goes_on(house: House, market: Market) -> None:
    async def scene() -> None:
        with pytest.raises(ConnectionClosed) as ended:
            async with listening(house, "?symbols=NO-SUCH") as line:
                await line.recv()
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 4404
        async with listening(house, f"?symbols={SYMBOL}") as line:
            for wrong in (["NO-SUCH"], [f"X{n}-USD" for n in range(MAX_SYMBOLS + 1)]):
                await line.send(orjson.dumps({"type": "subscribe", "symbols": wrong}).decode())
                assert "no symbol" in (await told(line, "error"))["error"]
            assert (await told(line, "features", full=True))["keys"]
            await line.send('{"type":"subscribe","symbols":7}')
            with pytest.raises(ConnectionClosed):
                while True:
                    await line.recv()

    asyncio.run(scene())


def test_an_engine_that_is_gone_is_told(house: House, market: Market) -> None:
    async def scene() -> None:
        async with listening(house, f"?symbols={SYMBOL}") as line:
            await told(line, "features", full=True)
            market.alive = False
            async with asyncio.timeout(PATIENCE_S):
                while (found := await told(line, "features"))["trouble"] is None:
                    pass
            assert found["trouble"] == "the engine is not running" and found["at"] == []

    asyncio.run(scene())
