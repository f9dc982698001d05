"""OKX on loopback: the shapes of real messages, the chain of books over real sockets, answers and limits."""

from __future__ import annotations

import asyncio
import json
import zlib
from itertools import zip_longest
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from dope.sim.market import SampleMarket, Truth
from dope.sim.okx_text import Instrument
from tests.sim.recipes import LISTED, Book, OkxBook, ask, assert_true, get, hear, hear_until, open_ws, world
from tests.sim.test_binance import shape

#: one real message of each kind (recorded 2021 to 2022, books and bbo-tbt as documented since)
REAL = [
    '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["8476.98","415","0","13"]],'
    '"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","checksum":-855196043,"prevSeqId":123456,"seqId":123457}]}',
    '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],'
    '"ts":"1597026383085","seqId":123456}]}',
    '{"arg":{"channel":"trades","instId":"BTC-USD"},"data":[{"instId":"BTC-USD","tradeId":"130639474","px":"42219.9","sz":"0.12060306",'
    '"side":"buy","ts":"1630048897897","count":"3"}]}',
    '{"arg":{"channel":"funding-rate","instId":"WNCG-USDT-SWAP"},"data":[{"fundingRate":"0.00048105","fundingTime":"1640131200000",'
    '"instId":"WNCG-USDT-SWAP","instType":"SWAP","nextFundingRate":"0.00114"}]}',
    '{"arg":{"channel":"mark-price","instId":"WNCG-USDT-SWAP"},"data":[{"instId":"WNCG-USDT-SWAP","instType":"SWAP","markPx":"2.1729",'
    '"ts":"1640131259180"}]}',
    '{"arg":{"channel":"candle1D","instId":"BTC-USDT"},"data":[["1597026383085","8533.02","8553.74","8527.17","8548.26","45247",'
    '"529.5858061","5529.5858061","1"]]}',
]
INSTRUMENTS = {f"{base}-USDT": f"okx:{base}-USDT" for base in ("BTC", "ETH", "SOL")}
INSTRUMENTS |= {f"{base}-USDT-SWAP": f"okx:{base}-USDT-PERP" for base in ("BTC", "ETH", "SOL")}


def subscribe(*args: tuple[str, str], op: str = "subscribe") -> str:
    return json.dumps({"op": op, "args": [{"channel": channel, "instId": native} for channel, native in args]})


def kind(message: dict[str, Any]) -> str:
    name = str(message["arg"]["channel"])
    return "candle" if name.startswith("candle") else name


def full_shape(message: dict[str, Any]) -> Any:
    row = message["data"][0]
    return [(key, shape(value)) for key, value in message.items() if key != "data"], shape(row) if isinstance(row, dict) else len(row)


def test_every_kind_of_message_has_the_keys_their_order_and_the_value_types_of_a_real_one() -> None:
    async def collect() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        async with world() as (made, endpoints):
            for path, channels in (("public", ("books", "bbo-tbt", "trades", "funding-rate", "mark-price")), ("business", ("candle1m",))):
                async with open_ws(f"{endpoints['okx']['ws']}/ws/v5/{path}") as ws:
                    await ws.send(subscribe(*((channel, "BTC-USDT-SWAP") for channel in channels)))
                    for _ in channels:
                        assert (await hear(ws))["event"] == "subscribe"
                    made.advance(400)
                    await ws.send("ping")
                    while (message := await hear(ws)) != "pong":
                        row = message["data"][0]
                        if kind(message) != "books" or (row["asks"] and row["bids"]):
                            found[kind(message)] = message
        return found

    found = asyncio.run(collect())
    real = {kind(json.loads(text)): json.loads(text) for text in REAL}
    assert set(found) == set(real)
    for name, message in real.items():
        assert full_shape(found[name]) == full_shape(message), name
    assert not found["books"]["data"][0]["bids"][0][0].endswith((".", "00"))


def test_the_chain_keeps_every_book_equal_to_the_truth() -> None:
    async def run() -> None:
        truth, books = Truth(7, LISTED), {native: OkxBook() for native in INSTRUMENTS}
        async with world() as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ws.send(subscribe(*(("books", native) for native in INSTRUMENTS)))
            for _ in INSTRUMENTS:
                assert (await hear(ws))["event"] == "subscribe"
            made.advance(500)
            await ws.send("ping")
            seen = 0
            while (message := await hear(ws)) != "pong":
                native = message["arg"]["instId"]
                assert (books[native].last == -1) == (message["action"] == "snapshot")
                assert books[native].take(message), message
                assert message["data"][0]["checksum"] == 0
                seen += 1
                if seen % 20 == 0:
                    assert_true(books[native].book, truth, INSTRUMENTS[native], books[native].last)
            for native, book in books.items():
                assert_true(book.book, truth, INSTRUMENTS[native], book.last)
            assert seen > 150

    asyncio.run(run())


def test_a_new_subscription_of_the_same_book_begins_with_a_snapshot() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ask(ws, subscribe(("books", "BTC-USDT")))
            made.advance(50)
            await ws.send(subscribe(("books", "BTC-USDT"), op="unsubscribe"))
            await hear_until(ws, lambda message: message.get("event") == "unsubscribe")
            assert (await ask(ws, subscribe(("books", "BTC-USDT"))))["event"] == "subscribe"
            made.advance(20)
            first = await hear(ws)
            assert (first["action"], first["data"][0]["prevSeqId"]) == ("snapshot", -1)

    asyncio.run(run())


def test_a_quiet_book_is_confirmed_by_equal_numbers() -> None:
    async def run() -> None:
        async with world() as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ask(ws, subscribe(("books", "BTC-USDT")))
            made.advance(50)
            made.faults.halt("okx", "BTC-USDT")
            made.advance(2 * 6100)
            await ws.send("ping")
            book = OkxBook()
            while (message := await hear(ws)) != "pong":
                assert book.take(message)
            assert book.confirmed == 2

    asyncio.run(run())


def test_the_old_checksum_can_be_had_and_is_that_of_the_documentation() -> None:
    async def run() -> None:
        async with world(options={"okx": {"checksum": True}}) as (made, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            await ask(ws, subscribe(("books", "ETH-USDT")))
            made.advance(200)
            await ws.send("ping")
            book, checked = OkxBook(), 0
            while (message := await hear(ws)) != "pong":
                assert book.take(message)
                assert message["data"][0]["checksum"] == checksum(book.book) != 0
                checked += 1
            assert checked > 5

    def checksum(book: Book) -> int:
        best = [sorted(side.items(), key=lambda level: float(level[0]), reverse=not number) for number, side in enumerate(book.sides)]
        parts = [f"{p}:{s}" for pair in zip_longest(best[0][:25], best[1][:25]) for p, s in filter(None, pair)]
        crc = zlib.crc32(":".join(parts).encode())
        return crc - 2**32 if crc >= 2**31 else crc

    asyncio.run(run())


def test_answers_to_good_and_bad_requests() -> None:
    async def run() -> None:
        async with world() as (_, endpoints), open_ws(endpoints["okx"]["ws"] + "/ws/v5/public") as ws:
            ack = await ask(ws, subscribe(("trades", "BTC-USDT")))
            assert list(ack) == ["event", "arg", "connId"] and ack["arg"] == {"channel": "trades", "instId": "BTC-USDT"}
            assert await ask(ws, "ping") == "pong"
            for request, code in (
                ("{nonsense", "60012"), ('{"op":"dance"}', "60012"), (subscribe(("books", "NO-SUCH")), "60018"),
                (subscribe(("nosuch", "BTC-USDT")), "60018"), (subscribe(("candle1m", "BTC-USDT")), "60018"),
                (subscribe(("funding-rate", "BTC-USDT")), "60018"),
            ):  # fmt: skip
                answer = await ask(ws, request)
                assert (answer["event"], answer["code"]) == ("error", code)
            mixed = subscribe(("books", "NO-SUCH"), ("bbo-tbt", "ETH-USDT"))
            assert (await ask(ws, mixed))["event"] == "error"
            assert (await hear(ws))["event"] == "subscribe"

    asyncio.run(run())


def test_the_481st_request_of_an_hour_and_the_fourth_connection_of_a_second_are_refused() -> None:
    async def run() -> None:
        async with world(clock=lambda: 100.0) as (_, endpoints):
            url = endpoints["okx"]["ws"] + "/ws/v5/public"
            async with open_ws(url) as ws, open_ws(url), open_ws(url):
                for _ in range(240):
                    assert (await ask(ws, subscribe(("trades", "BTC-USDT"))))["event"] == "subscribe"
                    assert (await ask(ws, subscribe(("trades", "BTC-USDT"), op="unsubscribe")))["event"] == "unsubscribe"
                assert (await ask(ws, subscribe(("trades", "BTC-USDT"))))["code"] == "60014"
                with pytest.raises(InvalidStatus) as refusal:
                    async with open_ws(url):
                        pass
                assert refusal.value.response.status_code == 429

    asyncio.run(run())


def test_the_rest_book_is_the_book() -> None:
    async def run() -> None:
        async with world() as (made, endpoints):
            made.advance(40)
            body = (await get(endpoints["okx"]["rest"] + "/api/v5/market/books?instId=BTC-USDT-SWAP&sz=400")).json()
            book, data = Book(), body["data"][0]
            book.apply(data["bids"], data["asks"])
            assert_true(book, Truth(7, LISTED), "okx:BTC-USDT-PERP", data["seqId"])
            assert (await get(endpoints["okx"]["rest"] + "/api/v5/market/books?instId=NO")).json()["code"] == "51001"

    asyncio.run(run())


def test_sizes_of_swaps_are_contracts() -> None:
    sample = SampleMarket(7, LISTED)
    for base, value in (("BTC", 0.01), ("ETH", 0.1), ("SOL", 1.0)):
        market = sample.markets[f"okx:{base}-USDT-PERP"]
        instrument = Instrument(market, 0, real_checksum=False)
        contracts = float(instrument.size.text(12_345))
        assert contracts == 123.45
        assert float(instrument.base.text(12_345)) == pytest.approx(contracts * value)
