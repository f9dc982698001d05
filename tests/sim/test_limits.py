"""The servers of the simulated venues keep the limits that the venues publish: one more than allowed is refused, in the venue's way."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from dope.sim.dialogue import Reply
from dope.sim.market import SampleMarket
from dope.sim.venue import VenueServer, listings, module
from tests.sim.many import EVERY, many
from tests.sim.recipes import PATIENCE_S, open_ws, world

#: venue → path, connections that one address may open within so many s, HTTP status of one more
CONNECTIONS = {
    "binance_spot": ("/stream", 300, 300.0, 429), "binance_usdm": ("/public/stream", 300, 300.0, 429),
    "binance_coinm": ("/stream", 300, 300.0, 429), "bitfinex": ("/ws/2", 20, 60.0, 429), "bybit": ("/v5/public/spot", 500, 300.0, 403),
    "bybit_linear": ("/v5/public/linear", 500, 300.0, 403), "coinbase": ("/", 8, 1.0, 429), "coinbase_exchange": ("/", 20, 2.5, 429),
    "gemini": ("/", 300, 300.0, 429), "hyperliquid": ("/ws", 30, 60.0, 429), "kraken": ("/v2", 150, 600.0, 429),
    "kucoin": ("/endpoint", 30, 60.0, 429), "okx": ("/ws/v5/public", 3, 1.0, 429),
}  # fmt: skip
UNLIMITED = {"gate", "gate_futures", "htx", "htx_linear", "mexc"}  #: Gate says that it has no such limit; of the others none is known

LIST = '{"method":"LIST_SUBSCRIPTIONS","id":1}'
#: venue → path, a request, how many of it are allowed within the window, what one more brings: a close code or a piece of the answer
REQUESTS = {
    "binance_spot": ("/stream", LIST, 5, 1008), "binance_usdm": ("/public/stream", LIST, 10, 1008),
    "binance_coinm": ("/stream", LIST, 10, 1008),
    "coinbase": ("/", '{"type":"subscribe","channel":"heartbeats"}', 8, "rate limit exceeded"),
    "coinbase_exchange": ("/", '{"type":"subscribe","channels":["matches"],"product_ids":["BTC-USD"]}', 100, "Too many requests"),
    "hyperliquid": ("/ws", '{"method":"ping"}', 2000, 1008), "mexc": ("/ws", '{"method":"PING"}', 100, 1008),
    "okx": ("/ws/v5/public", '{"op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"}]}', 480, "60014"),
}  # fmt: skip
OVER_ALL = {"coinbase", "coinbase_exchange", "hyperliquid"}  #: these count all connections of an address together


def binance(names: list[str]) -> list[str]:
    return [json.dumps({"method": "SUBSCRIBE", "params": [f"{name.lower()}@trade" for name in names], "id": 1})]


#: venue → path, words for these markets, markets that are allowed, what one more brings
TOPICS = {
    "binance_spot": ("/stream", binance, 1024, "too many streams"),
    "bitfinex": ("/ws/2", lambda names: [json.dumps({"event": "subscribe", "channel": "trades", "symbol": n}) for n in names], 25, "10305"),
    "bybit": (
        "/v5/public/spot", lambda names: [json.dumps({"op": "subscribe", "args": [f"publicTrade.{n}" for n in names]})], 10, "args size"
    ),
    "kucoin": (
        "/endpoint?token=sample-1",
        lambda names: [json.dumps({"id": "1", "type": "subscribe", "topic": f"/market/match:{','.join(names)}"})], 400, '"code":509',
    ),
    "mexc": (
        "/ws", lambda names: [json.dumps({"method": "SUBSCRIPTION", "params": [f"spot@public.kline.v3.api.pb@{n}@Min1" for n in names]})],
        30, "Not Subscribed successfully",
    ),
}  # fmt: skip

#: venue, a request by REST, how many of it are allowed within the window, the window in s, HTTP status of one more
ASKED = (
    ("binance_spot", "/api/v3/depth?symbol=BTCUSDT&limit=1000", 120, 60.0, 429), ("binance_spot", "/api/v3/time", 6000, 60.0, 429),
    ("bybit", "/v5/market/orderbook?category=spot&symbol=BTCUSDT&limit=50", 600, 5.0, 403),
    ("coinbase_exchange", "/products/BTC-USD/book?level=1", 15, 1.0, 429),
    ("kucoin", "/api/v1/market/orderbook/level2_100?symbol=BTC-USDT", 500, 30.0, 429), ("kucoin", "/api/v2/symbols", 500, 30.0, 429),
    ("mexc", "/api/v3/depth?symbol=BTCUSDT", 500, 10.0, 429), ("mexc", "/api/v3/exchangeInfo", 50, 10.0, 429),
    ("mexc", "/api/v3/time", 500, 10.0, 429),
    ("okx", "/api/v5/market/books?instId=BTC-USDT&sz=400", 40, 2.0, 429), ("okx", "/api/v5/public/time", 10, 2.0, 429),
    ("okx", "/api/v5/public/instruments?instType=SPOT", 20, 2.0, 429),
)  # fmt: skip


def server(venue: str, clock: list[float]) -> VenueServer:
    made: VenueServer = module(venue).Server(SampleMarket(1, listings((venue,))), clock=lambda: clock[0])
    return made


def test_every_venue_with_a_limit_of_connections_is_tried() -> None:
    assert set(CONNECTIONS) | UNLIMITED == set(EVERY)


@pytest.mark.parametrize("venue", CONNECTIONS)
def test_one_connection_more_than_allowed_is_refused_until_the_window_has_passed(venue: str) -> None:
    path, allowed, window_s, status = CONNECTIONS[venue]
    there = server(venue, [100.0])
    assert {there.admit(path, 100.0) for _ in range(allowed)} == {None}
    refused = there.admit(path, 100.0 + window_s - 0.01)
    assert isinstance(refused, Reply) and refused.status == status
    assert there.admit(path, 100.0 + window_s + 0.01) is None


async def answers(ws: ClientConnection, texts: list[str]) -> str:
    """All that comes before the answer to a protocol ping behind these texts, as one text."""
    for text in texts:
        await ws.send(text)
    pong, heard = await ws.ping(), []
    while True:
        try:
            heard.append(await asyncio.wait_for(ws.recv(), 0.02))
        except TimeoutError:
            if pong.done():
                break
    return "\n".join(text if isinstance(text, str) else "" for text in heard)


@pytest.mark.parametrize("venue", REQUESTS)
def test_one_request_more_than_allowed_is_answered_with_a_refusal_or_the_end(venue: str) -> None:
    path, request, allowed, brings = REQUESTS[venue]

    async def run() -> None:
        async with world(venues=(venue,), clock=lambda: 100.0) as (_, endpoints):
            url, half = endpoints[venue]["ws"] + path, allowed // 2
            async with open_ws(url) as first, open_ws(url) as second:
                sockets = (first, second) if venue in OVER_ALL else (first, first)
                heard = await answers(sockets[0], [request] * half) + await answers(sockets[1], [request] * (allowed - half))
                assert str(brings) not in heard
                if isinstance(brings, str):
                    assert brings in await answers(sockets[1], [request])
                    return
                await sockets[1].send(request)
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        await asyncio.wait_for(sockets[1].recv(), PATIENCE_S)
                assert closed.value.rcvd is not None and closed.value.rcvd.code == brings

    asyncio.run(run())


@pytest.mark.parametrize("venue", TOPICS)
def test_one_topic_more_than_allowed_is_refused(venue: str) -> None:
    path, words, allowed, brings = TOPICS[venue]

    async def run() -> None:
        specs = many(venue, min(allowed + 1, 401)) if venue != "kucoin" else many(venue, 200)
        names = [f"market{n}" for n in range(allowed + 1)] if venue == "binance_spot" else [spec.native for spec in specs]
        async with world(venues=(venue,), listings=specs, clock=lambda: 100.0) as (made, endpoints):
            if venue == "kucoin":
                made.servers[venue].posted("/api/v1/bullet-public", b"", 100.0)  # type: ignore[attr-defined]
            async with open_ws(endpoints[venue]["ws"] + path) as ws:
                if venue == "kucoin":  # two channels of two hundred markets, and one more
                    texts = [*words(names), words(names)[0].replace("match", "level2")]
                    one_more = [words(names[:1])[0].replace("match", "ticker")]
                else:
                    texts, one_more = (words(names[:allowed]), words(names[-1:])) if venue != "bybit" else (words(names[:10]), words(names))
                assert brings not in await answers(ws, texts)
                assert brings in await answers(ws, one_more)

    asyncio.run(run())


@pytest.mark.parametrize(("venue", "address", "allowed", "window_s", "status"), ASKED)
def test_one_request_by_rest_more_than_allowed_is_refused_until_the_window_has_passed(
    venue: str, address: str, allowed: int, window_s: float, status: int
) -> None:
    parts, there = urlsplit(address), server(venue, [100.0])
    query = dict(parse_qsl(parts.query))
    assert {there.rest(parts.path, query, 100.0).status for _ in range(allowed)} == {200}
    assert there.rest(parts.path, query, 100.0 + window_s - 0.01).status == status
    assert there.rest(parts.path, query, 100.0 + 2 * window_s + 0.01).status == 200


def test_okx_counts_each_list_of_instruments_apart_and_says_why_it_refuses() -> None:
    there, path = server("okx", [100.0]), "/api/v5/public/instruments"
    assert {there.rest(path, {"instType": kind}, 100.0).status for kind in ("SPOT", "SWAP") for _ in range(20)} == {200}
    assert json.loads(there.rest(path, {"instType": "SWAP"}, 100.0).body)["code"] == "50011"


def test_an_eleventh_open_connection_to_hyperliquid_is_refused() -> None:
    async def run() -> None:
        async with world(venues=("hyperliquid",), clock=lambda: 100.0) as (made, endpoints):
            sockets = [await open_ws(endpoints["hyperliquid"]["ws"] + "/ws") for _ in range(10)]
            assert made.servers["hyperliquid"].admit("/ws", 100.0) is not None  # type: ignore[attr-defined]
            for ws in sockets:
                await ws.close()

    asyncio.run(run())
