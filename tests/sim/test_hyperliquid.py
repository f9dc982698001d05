"""The simulated Hyperliquid speaks as the recorded one does: shapes, refusals, limits, silence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dope.sim.hyperliquid import CHANNELS, DEPTH
from tests.sim.recipes import PATIENCE_S, ask, hear, open_ws, world

#: recorded shapes (2024 to 2025), values of our own
REAL: dict[str, Any] = {
    "l2Book": {"coin": "BTC", "time": 1700000000000, "levels": [[{"px": "91000.0", "sz": "11.41902", "n": 24}], []]},
    "bbo": {"coin": "BTC", "time": 1700000000000, "bbo": [{"px": "9.1", "sz": "4.5", "n": 1}, {"px": "9.2", "sz": "1.0", "n": 1}]},
    "trades": [
        {"coin": "BTC", "side": "B", "px": "9.1", "sz": "5.7", "time": 1, "hash": "0x0", "tid": 716000000000000, "users": ["a", "b"]},
    ],
    "candle": {"t": 1, "T": 2, "s": "BTC", "i": "1m", "o": "1.0", "c": "1.0", "h": "1.0", "l": "1.0", "v": "3.5", "n": 10},
    "activeAssetCtx": {
        "coin": "BTC",
        "ctx": {
            "funding": "0.00004", "openInterest": "1.0", "prevDayPx": "2.0", "dayNtlVlm": "3.0", "premium": "0.1", "oraclePx": "2.0",
            "markPx": "2.0", "midPx": "2.0", "impactPxs": ["2.0", "2.0"],
        },
    },
}  # fmt: skip


def shape(value: Any) -> Any:
    """Keys in their order with the types of their values, all the way down; a list by its first entry."""
    if isinstance(value, dict):
        return [(key, shape(entry)) for key, entry in value.items()]
    if isinstance(value, list):
        return ["list", *map(shape, value[:1])]
    return type(value).__name__


def wish(kind: str, coin: str = "BTC", method: str = "subscribe") -> str:
    return json.dumps({"method": method, "subscription": {"type": kind, "coin": coin, **({"interval": "1m"} if kind == "candle" else {})}})


def test_every_kind_of_message_has_the_keys_and_value_types_of_a_real_one() -> None:
    async def run() -> None:
        async with world(venues=("hyperliquid",)) as (made, endpoints), open_ws(endpoints["hyperliquid"]["ws"] + "/ws") as ws:
            for kind in CHANNELS:
                answer = await ask(ws, wish(kind))
                assert answer["channel"] == "subscriptionResponse" and answer["data"]["subscription"]["type"] == kind
            made.advance(1100)
            await ws.send('{"method":"ping"}')
            found: dict[str, list[Any]] = {}
            while (message := await hear(ws)) != {"channel": "pong"}:
                found.setdefault(message["channel"], []).append(message["data"])
            assert set(found) == set(REAL)
            for kind, real in REAL.items():
                assert shape(found[kind][-1]) == shape(real), kind
            assert [len(side) for side in found["l2Book"][-1]["levels"]] == [DEPTH, DEPTH]
            assert len(found["l2Book"]) == 3, "at once, then each 5 s"
            assert len(found["bbo"]) > 20

    asyncio.run(run())


def test_refusals_are_texts_that_quote_the_request() -> None:
    async def run() -> None:
        async with world(venues=("hyperliquid",)) as (_, endpoints), open_ws(endpoints["hyperliquid"]["ws"] + "/ws") as ws:
            await ask(ws, wish("bbo"))
            for request, start in (
                (wish("bbo"), "Already subscribed: {"), (wish("bbo", "NOSUCH"), "Invalid subscription {"), ("{", "Error parsing JSON"),
                (wish("trades", method="unsubscribe"), "Already unsubscribed"), ('{"method":"dance"}', "Error parsing JSON"),
            ):  # fmt: skip
                answer = await ask(ws, request)
                assert answer["channel"] == "error" and answer["data"].startswith(start)

    asyncio.run(run())


def test_a_client_that_says_nothing_is_closed_whatever_it_is_sent() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("hyperliquid",), clock=lambda: clock[0]) as (made, endpoints):
            url = endpoints["hyperliquid"]["ws"] + "/ws"
            async with open_ws(url) as mute, open_ws(url) as ws:
                await ask(mute, wish("bbo"))
                clock[0] += 50.0
                assert await ask(ws, '{"method":"ping"}') == {"channel": "pong"}
                clock[0] += 20.0
                made.advance(200)
                await asyncio.wait_for(mute.wait_closed(), PATIENCE_S)
                assert mute.close_code == 1000
                assert await ask(ws, '{"method":"ping"}') == {"channel": "pong"}

    asyncio.run(run())
