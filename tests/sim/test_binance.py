"""Binance on loopback: the shapes of real messages, the snapshot recipe over real sockets, answers and limits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.sim.market import Truth
from tests.sim.recipes import LISTED, BinanceBook, ask, assert_true, get, hear, hear_until, open_ws, world

#: one real message of each kind (recorded 2021 to 2024; markPriceUpdate from the venue's documentation)
REAL = {
    "binance_spot": [
        '{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],'
        '"a":[["61838.04000000","0.32332000"]]}',
        '{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}',
        '{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,'
        '"m":true,"M":true}',
        '{"e":"aggTrade","E":1618677373913,"s":"SWRVBUSD","a":749094,"p":"2.27600000","q":"21.96300000","f":1135632,"l":1135632,'
        '"T":1618677373912,"m":false,"M":true}',
        '{"e":"kline","E":1618677373907,"s":"SWRVBUSD","k":{"t":1618677360000,"T":1618677419999,"s":"SWRVBUSD","i":"1m","f":1135631,'
        '"L":1135631,"o":"2.27700000","c":"2.27700000","h":"2.27700000","l":"2.27700000","v":"9.82600000","n":1,"x":false,'
        '"q":"22.37380200","V":"0.00000000","Q":"0.00000000","B":"0"}}',
    ],
    "binance_usdm": [
        '{"e":"depthUpdate","E":1723161256299,"T":1723161256298,"s":"BTCUSDT","U":5123107832006,"u":5123107837557,"pu":5123107831937,'
        '"b":[["58710.20","0.014"]],"a":[["61800.30","2.510"]]}',
        '{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,'
        '"E":1723161256313}',
        '{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}',
        '{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT","p":"1.01100","q":"10","f":23961322,"l":23961322,'
        '"T":1626992741421,"m":false}',
        '{"e":"kline","E":1626992741424,"s":"CTKUSDT","k":{"t":1626992700000,"T":1626992759999,"s":"CTKUSDT","i":"1m","f":23961275,'
        '"L":23961322,"o":"1.01000","c":"1.01100","h":"1.01100","l":"1.01000","v":"3917","n":48,"x":false,"q":"3957.89900","V":"1729",'
        '"Q":"1748.01900","B":"0"}}',
        '{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091","P":"11784.25641265",'
        '"r":"0.00038167","T":1562306400000}',
    ],
}
DEPTH = {"binance_spot": "/api/v3/depth", "binance_usdm": "/fapi/v1/depth"}
BOOKS = {"binance_spot": "/stream", "binance_usdm": "/public/stream"}
STREAMS = {"binance_spot": ["depth@100ms"], "binance_usdm": ["depth@100ms", "depth@0ms"]}


def shape(value: Any) -> Any:
    """Keys in their order with the types of their values; a list of levels by its first one, digits by their count."""
    if isinstance(value, dict):
        return [(key, shape(entry)) for key, entry in value.items()]
    if isinstance(value, list):
        return ["level", *map(shape, value[0])] if value and isinstance(value[0], list) else "list"
    return type(value).__name__


def kind(message: dict[str, Any]) -> str:
    return str(message.get("e", "bookTicker"))


@pytest.mark.parametrize("venue", ["binance_spot", "binance_usdm"])
def test_every_kind_of_message_has_the_keys_their_order_and_the_value_types_of_a_real_one(venue: str) -> None:
    async def collect() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        names = "btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade/btcusdt@aggTrade/btcusdt@kline_1m/btcusdt@markPrice@1s"
        paths = ["/stream"] if venue == "binance_spot" else ["/public/stream", "/market/stream"]
        async with world() as (made, endpoints):
            for path in paths:
                async with open_ws(f"{endpoints[venue]['ws']}{path}?streams={names}") as ws:
                    await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": 1})
                    made.advance(1500)
                    await ask_end(ws, found)
        return found

    async def ask_end(ws: Any, found: dict[str, dict[str, Any]]) -> None:
        await ws.send('{"method":"LIST_SUBSCRIPTIONS","id":2}')
        while "stream" in (message := await hear(ws)):
            assert list(message) == ["stream", "data"]
            data = message["data"]
            if kind(data) != "depthUpdate" or (data["b"] and data["a"]):
                found[kind(data)] = data

    found = asyncio.run(collect())
    real = {kind(json.loads(text)): json.loads(text) for text in REAL[venue]}
    assert set(found) == set(real)
    for name, message in real.items():
        assert shape(found[name]) == shape(message), name
    if venue == "binance_spot":
        assert all(len(level[0].partition(".")[2]) == len(level[1].partition(".")[2]) == 8 for level in found["depthUpdate"]["b"])


@pytest.mark.parametrize(("venue", "stream"), [(venue, stream) for venue, streams in STREAMS.items() for stream in streams])
def test_the_documented_recipe_keeps_every_book_equal_to_the_truth(venue: str, stream: str) -> None:
    """Subscribe, buffer, fetch the snapshot in the middle of the stream, drop what it holds, then follow the chain."""

    async def run() -> None:
        truth, natives = Truth(7, LISTED), {"BTCUSDT": "BTC", "ETHUSDT": "ETH", "SOLUSDT": "SOL"}
        async with world() as (made, endpoints), open_ws(endpoints[venue]["ws"] + BOOKS[venue]) as ws:
            assert await ask(ws, {"method": "SUBSCRIBE", "params": [f"{n.lower()}@{stream}" for n in natives], "id": 3}) == {
                "result": None, "id": 3,
            }  # fmt: skip
            made.advance(33)
            bodies: dict[str, Any] = {}
            for native in natives:
                bodies[native] = (await get(f"{endpoints[venue]['rest']}{DEPTH[venue]}?symbol={native}&limit=1000")).json()
                made.advance(7)  # the next symbol's snapshot is of another moment
            made.advance(400)
            await ws.send('{"method":"LIST_SUBSCRIPTIONS","id":4}')
            books = {native: BinanceBook(body, chained=venue == "binance_usdm") for native, body in bodies.items()}
            seen = 0
            while "stream" in (message := await hear(ws)):
                diff = message["data"]
                assert books[diff["s"]].take(diff), diff
                seen += 1
                if seen % 10 == 0:
                    check(truth, books[diff["s"]], natives[diff["s"]])
            for native, base in natives.items():
                check(truth, books[native], base)
            assert seen > 60

    def check(truth: Truth, book: BinanceBook, base: str) -> None:
        if not book.first:
            symbol = f"{base}-USDT" if venue == "binance_spot" else f"{base}-USDT-PERP"
            assert_true(book.book, truth, f"{venue}:{symbol}", book.last)

    asyncio.run(run())


def test_a_plain_path_gives_bare_messages_and_an_unsubscribed_stream_ends() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["binance_spot"]["ws"] + "/ws/btcusdt@bookTicker") as ws:
            assert await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": "a"}) == {"result": ["btcusdt@bookTicker"], "id": "a"}
            made.advance(100)
            assert set(await hear(ws)) == {"u", "s", "b", "B", "a", "A"}
            await ws.send('{"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker"],"id":9}')
            assert await hear_until(ws, lambda message: "id" in message) == {"result": None, "id": 9}
            made.advance(300)
            assert await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": 10}) == {"result": [], "id": 10}

    asyncio.run(run())


def test_bad_requests_are_named_and_unknown_streams_stay_silent() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["binance_spot"]["ws"] + "/ws") as ws:
            assert (await ask(ws, '{"method":'))["code"] == 3
            wrong = await ask(ws, {"method": "SUBSCRIB", "params": [], "id": 5})
            assert (wrong["code"], wrong["id"]) == (2, 5) and wrong["msg"].startswith("Invalid request: ")
            assert (await ask(ws, {"method": "SUBSCRIBE", "params": "btcusdt@trade", "id": 6}))["code"] == 2
            assert await ask(ws, {"method": "SUBSCRIBE", "params": ["nosuch@depth@100ms"], "id": 7}) == {"result": None, "id": 7}
            made.advance(200)
            assert (await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": 8}))["id"] == 8

    asyncio.run(run())


def test_usdm_keeps_books_and_the_rest_apart_and_has_no_undivided_path() -> None:
    async def run() -> None:
        async with world() as (_, endpoints):
            ws_url = endpoints["binance_usdm"]["ws"]
            for path, foreign in (("/market/ws", "btcusdt@depth@100ms"), ("/public/stream", "btcusdt@markPrice@1s")):
                async with open_ws(ws_url + path) as ws:
                    refused = await ask(ws, {"method": "SUBSCRIBE", "params": [foreign], "id": 1})
                    assert refused["code"] == 2 and foreign in refused["msg"]
                    assert await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": 2}) == {"result": [], "id": 2}
            for path in ("/stream", "/ws/btcusdt@depth", "/nothing"):
                with pytest.raises(InvalidStatus) as refusal:
                    async with open_ws(ws_url + path):
                        pass
                assert refusal.value.response.status_code == 404

    asyncio.run(run())


@pytest.mark.parametrize(("venue", "most"), [("binance_spot", 5), ("binance_usdm", 10)])
def test_more_client_messages_in_a_second_than_allowed_end_the_connection(venue: str, most: int) -> None:
    async def run() -> None:
        async with world(clock=lambda: 100.0) as (_, endpoints), open_ws(endpoints[venue]["ws"] + BOOKS[venue]) as ws:
            for number in range(most):
                assert (await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": number}))["id"] == number
            with pytest.raises(ConnectionClosed) as closed:
                await ask(ws, {"method": "LIST_SUBSCRIPTIONS", "id": most})
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008

    asyncio.run(run())


def test_one_connection_carries_at_most_1024_streams() -> None:
    async def run() -> None:
        async with world() as (_, endpoints), open_ws(endpoints["binance_spot"]["ws"] + "/ws") as ws:
            assert (await ask(ws, {"method": "SUBSCRIBE", "params": [f"s{n}@trade" for n in range(1024)], "id": 1}))["result"] is None
            assert (await ask(ws, {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 2}))["code"] == 2

    asyncio.run(run())


def test_snapshots_obey_limit_and_weight_and_name_what_is_wrong() -> None:
    async def run() -> None:
        async with world(clock=lambda: 100.0) as (_, endpoints):
            spot, usdm = endpoints["binance_spot"]["rest"] + "/api/v3/depth", endpoints["binance_usdm"]["rest"] + "/fapi/v1/depth"
            short = await get(f"{spot}?symbol=BTCUSDT&limit=5")
            assert len(short.json()["bids"]) == len(short.json()["asks"]) == 5
            assert list(short.json()) == ["lastUpdateId", "bids", "asks"]
            assert list((await get(f"{usdm}?symbol=BTCUSDT&limit=5")).json()) == ["lastUpdateId", "E", "T", "bids", "asks"]
            assert (await get(f"{spot}?symbol=NOSUCH")).json()["code"] == -1121
            assert (await get(spot)).json()["code"] == -1102
            assert (await get(f"{usdm}?symbol=BTCUSDT&limit=7")).status_code == 400
            used = [int((await get(f"{spot}?symbol=BTCUSDT&limit=5000")).headers["x-mbx-used-weight-1m"]) for _ in range(3)]
            assert used == [255, 505, 755]
            for _ in range(20):
                await get(f"{spot}?symbol=BTCUSDT&limit=5000")
            refused = await get(f"{spot}?symbol=BTCUSDT&limit=5000")
            assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1

    asyncio.run(run())
