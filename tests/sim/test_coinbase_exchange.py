"""The simulated Coinbase Exchange speaks as the recorded one does: shapes, whole states, refusals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dope.sim.coinbase_exchange import BEAT_STEPS
from dope.types import TICK, Fault, Gap
from tests.sim.recipes import PATIENCE_S, ask, get, hear, open_ws, world
from tests.sim.test_hyperliquid import shape
from tests.sim.test_understood import Wiring

VENUE = "coinbase_exchange"
#: recorded shapes (2021), values of our own
REAL: dict[str, Any] = {
    "snapshot": {"type": "snapshot", "product_id": "BTC-USD", "asks": [["14.80", "12.77"]], "bids": [["14.79", "1.5"]]},
    "l2update": {"type": "l2update", "product_id": "BTC-USD", "changes": [["buy", "0.78", "0.0"]], "time": "2021-04-17T16:43:41.99Z"},
    "match": {
        "type": "match", "trade_id": 5, "maker_order_id": "a", "taker_order_id": "b", "side": "sell", "size": "450", "price": "0.791",
        "product_id": "BTC-USD", "sequence": 201390075, "time": "2021-04-17T16:43:37.121358Z",
    },
    "heartbeat": {"type": "heartbeat", "last_trade_id": 1, "product_id": "BTC-USD", "sequence": 9, "time": "2021-04-17T16:43:37.12Z"},
}  # fmt: skip


def wish(*channels: str, product: str = "BTC-USD", kind: str = "subscribe") -> str:
    return json.dumps({"type": kind, "product_ids": [product], "channels": channels})


def test_every_kind_of_message_has_the_keys_and_value_types_of_a_real_one() -> None:
    async def run() -> None:
        async with world(venues=(VENUE,)) as (made, endpoints), open_ws(endpoints[VENUE]["ws"]) as ws:
            state = await ask(ws, wish("level2_batch", "matches", "heartbeat"))
            assert [entry["name"] for entry in state["channels"]] == ["level2_batch", "matches", "heartbeat"]
            made.advance(4 * BEAT_STEPS)
            await ws.send(wish("matches", kind="unsubscribe"))
            found: dict[str, list[Any]] = {}
            while (message := await hear(ws))["type"] != "subscriptions":
                found.setdefault(message["type"], []).append(message)
            assert {kind: shape(found[kind][-1]) for kind in REAL} == {kind: shape(message) for kind, message in REAL.items()}
            assert len(found["snapshot"]) == 1 and len(found["snapshot"][0]["bids"]) >= 40 and len(found["heartbeat"]) == 4
            assert [entry["name"] for entry in message["channels"]] == ["level2_batch", "heartbeat"]
            again = await ask(ws, wish("matches"))
            assert again["type"] == "subscriptions"
            made.advance(1)
            assert (await hear(ws))["type"] == "last_match"

    asyncio.run(run())


def test_rest_tells_the_touch_and_a_right_book_is_never_doubted() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=(VENUE,), clock=lambda: clock[0]) as (made, endpoints):
            answer = (await get(f"{endpoints[VENUE]['rest']}/products/BTC-USD/book?level=1")).json()
            assert [len(row) for side in ("bids", "asks") for row in answer[side]] == [3, 3]
            assert (await get(f"{endpoints[VENUE]['rest']}/products/NO-USD/book?level=1")).status_code == 404
            wiring = Wiring(endpoints)
            await wiring.connect()
            for _ in range(70):
                await wiring.act()
                made.advance(10)
                await wiring.listen()
                wiring.now += 10**9
                wiring.step("", 0, TICK, b"0")
                clock[0] += 1.0
            assert [event for event in wiring.heard if isinstance(event, Gap | Fault)] == []
            busy = [wiring.engine.market.books[f"{VENUE}:{base}-USD"] for base in ("BTC", "ETH", "SOL")]
            assert [(book.state, book.gaps) for book in busy] == [("LIVE", 0)] * 3
            assert set(wiring.engine.market._doubts) == set(), "both comparisons of the first minute are over"
            await wiring.close()

    asyncio.run(run())


def test_refusals_say_why_and_subscribe_to_nothing() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=(VENUE,), clock=lambda: clock[0]) as (made, endpoints), open_ws(endpoints[VENUE]["ws"]) as ws:
            for request, reason in (
                (wish("level2_batch", "full"), "full requires authentication"),
                (wish("level2_batch", product="NO-USD"), "NO-USD is not a valid product"),
                ("{", ""), (wish("dance"), "dance is no channel"), (wish(), "channels and product_ids are needed"),
            ):  # fmt: skip
                answer = await ask(ws, request)
                assert (answer["type"], answer.get("reason", "")) == ("error", reason)
            clock[0] += 6.0
            made.advance(BEAT_STEPS)
            await asyncio.wait_for(ws.wait_closed(), PATIENCE_S)

    asyncio.run(run())
