"""Bybit on loopback: the shapes of real messages, the window of fifty levels, answers and limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.sim.bybit import MAX_ARGS
from dope.sim.bybit_text import DEPTH
from dope.sim.market import Truth
from dope.sim.venue import listings
from dope.sim.world import World
from tests.sim.recipes import Book, ask, hear, open_ws, world
from tests.sim.test_binance import shape

#: one message of each kind with the keys, their order and the types of recorded ones
REAL = {
    "bybit": [
        '{"topic":"publicTrade.BTCUSDT","ts":1680652847526,"type":"snapshot","data":[{"i":"2290000000050703001","T":1680652847524,'
        '"p":"28165.40","v":"0.0417","S":"Sell","s":"BTCUSDT","BT":false}]}',
        '{"topic":"orderbook.1.BTCUSDT","ts":1680652806504,"type":"snapshot","data":{"s":"BTCUSDT","b":[["28165.07","0.17"]],'
        '"a":[["28165.08","0.99"]],"u":20404754,"seq":4281281856},"cts":1680652806500}',
        '{"topic":"orderbook.50.BTCUSDT","ts":1680652808085,"type":"delta","data":{"s":"BTCUSDT","b":[["28161.04","0.17"]],'
        '"a":[["28184.33","0"]],"u":59438061,"seq":4281282232},"cts":1680652808083}',
    ],
    "bybit_linear": [
        '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1680688979985,"data":[{"T":1680688979983,"s":"BTCUSDT","S":"Buy","v":"0.400",'
        '"p":"28550.10","L":"ZeroMinusTick","i":"4c7b6bdc-b4a3-5716-9c7b-bbe01dc70001","BT":false}]}',
        '{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":1680673820717,"data":{"s":"BTCUSDT","b":[["28552.00","0.047"]],'
        '"a":[["28552.10","25.4"]],"u":7003305,"seq":50193540681},"cts":1680673820715}',
        '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1786540345149,"data":{"s":"BTCUSDT","b":[["63982.50","0.003"]],'
        '"a":[["63990.50","0.008"]],"u":53935310,"seq":760578520655},"cts":1786540345147}',
        '{"topic":"kline.1.BTCUSDT","data":[{"start":1672324800000,"end":1672324859999,"interval":"1","open":"16649.5","close":"16677",'
        '"high":"16677","low":"16608","volume":"2.081","turnover":"34666.4","confirm":false,"timestamp":1672324828882}],"ts":1672324828882,'
        '"type":"snapshot"}',
        '{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","markPrice":"28560.01"},"cs":20856433603,"ts":1680673822776}',
    ],
}
PATHS = {"bybit": "/v5/public/spot", "bybit_linear": "/v5/public/linear"}


def request(*topics: str, op: str = "subscribe", number: str = "1") -> str:
    return json.dumps({"req_id": number, "op": op, "args": topics})


@asynccontextmanager
async def linear() -> AsyncIterator[tuple[World, ClientConnection]]:
    """A world of linear perpetuals and a connection to it."""
    async with world(venues=("bybit_linear",)) as (made, endpoints), open_ws(endpoints["bybit_linear"]["ws"] + PATHS["bybit_linear"]) as ws:
        yield made, ws


def kind(message: dict[str, Any]) -> str:
    return str(message["topic"]).rpartition(".")[0]


@pytest.mark.parametrize("venue", list(REAL))
def test_every_kind_of_message_has_the_keys_their_order_and_the_value_types_of_a_real_one(venue: str) -> None:
    real = {kind(json.loads(text)): json.loads(text) for text in REAL[venue]}

    async def collect() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        async with world(venues=(venue,)) as (made, endpoints), open_ws(endpoints[venue]["ws"] + PATHS[venue]) as ws:
            assert (await ask(ws, request(*(f"{channel}.BTCUSDT" for channel in real))))["success"]
            made.advance(1500)
            await ws.send('{"op":"ping"}')
            while "topic" in (message := await hear(ws)):
                if message["type"] == "delta" and kind(message) == "tickers":
                    message["data"] = {name: message["data"].get(name, "") for name in ("symbol", "markPrice")}
                if kind(message) != "orderbook.50" or (message["data"]["a"] and message["data"]["b"] and message["type"] == "delta"):
                    found[kind(message)] = message
            assert list(message) == ["success", "ret_msg", "conn_id", "req_id", "op"] and message["ret_msg"] == "pong"
        return found

    found = asyncio.run(collect())
    assert set(found) == set(real)
    for name, message in real.items():
        assert shape(found[name]) == shape(message), name


def assert_best_levels(book: Book, made: World) -> None:
    """The book is the fifty best levels of BTC in a world of the same seed, now."""
    spec = made.sample.markets["bybit_linear:BTC-USDT-PERP"].spec
    truth = Truth(7, listings(("bybit_linear",))).at_step(made.sample.steps).markets[spec.key].book
    for number, side in enumerate(book.sides):
        got = {(round(float(price) * 1e6), round(float(size) * 1e8)) for price, size in side.items()}
        assert got == {(tick * spec.tick_e6, lots * spec.lot_e8) for tick, lots in truth.side(number, DEPTH)}


def test_deltas_keep_the_fifty_best_levels_and_each_counts_on() -> None:
    async def run() -> None:
        async with linear() as (made, ws):
            await ask(ws, request("orderbook.50.BTCUSDT"))
            made.advance(3000)
            await ws.send('{"op":"ping"}')
            book, last, largest = Book(), 0, 0
            while "topic" in (message := await hear(ws)):
                data = message["data"]
                assert (message["type"] == "snapshot") == (last == 0) and (last == 0 or data["u"] == last + 1)
                book.apply(data["b"], data["a"])
                last, largest = data["u"], max(largest, *(len(side) for side in book.sides))
            assert largest == DEPTH and last > 50_000_100
            assert_best_levels(book, made)
            await ask(ws, request("orderbook.50.BTCUSDT", op="unsubscribe"))
            made.advance(500)
            await ask(ws, request("orderbook.50.BTCUSDT"))
            made.advance(1)
            whole, anew = (await hear(ws))["data"], Book()
            anew.apply(whole["b"], whole["a"])
            assert whole["u"] > last
            assert_best_levels(anew, made)

    asyncio.run(run())


def test_a_quiet_touch_is_said_again_after_three_seconds_and_a_lost_message_leaves_a_hole() -> None:
    async def run() -> None:
        async with world(venues=("bybit",)) as (made, endpoints), open_ws(endpoints["bybit"]["ws"] + PATHS["bybit"]) as ws:
            await ask(ws, request("orderbook.1.BTCUSDT"))
            made.advance(1)
            made.faults.halt("bybit", "BTC-USDT")
            made.advance(650)
            touches = [(await hear(ws))["data"] for _ in range(3)]
            assert touches[0] == touches[1] == touches[2]
            made.faults.halt("bybit", "BTC-USDT", False)
            await ask(ws, request("orderbook.1.BTCUSDT", op="unsubscribe"))
            await ask(ws, request("orderbook.50.BTCUSDT"))
            made.advance(1)
            first = (await hear(ws))["data"]["u"]
            made.faults.drop("bybit", "BTC-USDT")
            made.advance(300)
            assert (await hear(ws))["data"]["u"] == first + 2

    asyncio.run(run())


def test_answers_to_good_and_bad_requests() -> None:
    async def run() -> None:
        async with world(venues=("bybit", "bybit_linear")) as (_, endpoints):
            async with open_ws(endpoints["bybit"]["ws"] + PATHS["bybit"]) as ws:
                good = await ask(ws, request("publicTrade.BTCUSDT", number="a"))
                assert (good["success"], good["ret_msg"], good["req_id"], good["op"]) == (True, "subscribe", "a", "subscribe")
                names = ("BTC", "ETH", "SOL", "USDC")
                many = [f"{channel}.{name}USDT" for channel in ("orderbook.1", "orderbook.50", "kline.1") for name in names]
                for bad, said in (
                    ("{nonsense", "Invalid JSON"), ('{"op":"dance"}', "handler not found"),
                    (request(*many[: MAX_ARGS + 1]), "args size >10"),
                    (request("kline.1.BTCUSDT", "publicTrade.BTCUSDT"), "already subscribed,topic:publicTrade.BTCUSDT"),
                    (request("kline.1.BTCUSDT", "orderbook.50.NOSUCH"), "Invalid topic: orderbook.50.NOSUCH"),
                    (request("tickers.BTCUSDT"), "Invalid topic"), (request("orderbook.25.BTCUSDT"), "Invalid topic"),
                ):  # fmt: skip
                    answer = await ask(ws, bad)
                    assert answer["success"] is False and said in answer["ret_msg"]
                assert (await ask(ws, request("kline.1.BTCUSDT")))["success"], "nothing of a refused request was taken"
            async with open_ws(endpoints["bybit_linear"]["ws"] + PATHS["bybit_linear"]) as ws:
                assert (await ask(ws, request("tickers.BTCUSDT")))["ret_msg"] == ""
                assert "21000" in (await ask(ws, request(*["orderbook.50.BTCUSDT"] * 1100)))["ret_msg"]
            with pytest.raises(InvalidStatus):
                async with open_ws(endpoints["bybit_linear"]["ws"] + PATHS["bybit"]):
                    pass

    asyncio.run(run())


def test_a_client_that_is_silent_for_ten_minutes_is_cut_and_one_that_pings_is_not() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("bybit",), clock=lambda: clock[0]) as (made, endpoints):
            url = endpoints["bybit"]["ws"] + PATHS["bybit"]
            async with open_ws(url) as quiet, open_ws(url) as lively:
                for ws in (quiet, lively):
                    await ask(ws, '{"op":"ping"}')
                clock[0] += 400.0
                await ask(lively, '{"op":"ping"}')
                clock[0] += 300.0
                made.advance(100)
                with pytest.raises(ConnectionClosed):
                    await hear(quiet)
                assert (await ask(lively, '{"op":"ping"}'))["ret_msg"] == "pong"

    asyncio.run(run())
