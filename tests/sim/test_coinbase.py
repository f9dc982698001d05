"""The simulated Coinbase speaks as the documented one does: shapes, one count per connection, refusals, losses that are seen."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from dope.sim.coinbase import BEAT_STEPS
from dope.sim.market import Truth
from dope.sim.venue import listings
from dope.types import Gap
from tests.sim.recipes import PATIENCE_S, ask, hear, open_ws, world
from tests.sim.test_hyperliquid import shape
from tests.sim.test_understood import Wiring, differing

#: documented shapes (2026), values of our own
STAMP = "2026-04-07T14:30:00.123456789Z"
LEVEL = {"side": "bid", "event_time": STAMP, "price_level": "68900.00", "new_quantity": "1.5"}
DEAL = {"trade_id": "9", "product_id": "BTC-USD", "price": "68900.50", "size": "0.0015", "side": "BUY", "time": STAMP}
EVENTS: dict[str, Any] = {
    "l2_data": {"type": "update", "product_id": "BTC-USD", "updates": [LEVEL]},
    "market_trades": {"type": "update", "trades": [DEAL]},
    "heartbeats": {"current_time": "2026-04-07 14:30:10.000000000 +0000 UTC m=+1.5", "heartbeat_counter": 42},
    "subscriptions": {"subscriptions": {"level2": ["BTC-USD"]}},
}


def wish(channel: str, *products: str, kind: str = "subscribe") -> str:
    return json.dumps({"type": kind, "channel": channel, **({"product_ids": products} if products else {})})


def test_every_kind_of_message_has_the_documented_shape_and_the_connection_counts_them_all() -> None:
    async def run() -> None:
        async with world(venues=("coinbase",)) as (made, endpoints), open_ws(endpoints["coinbase"]["ws"]) as ws:
            async with open_ws(endpoints["coinbase"]["ws"]) as other:
                assert (await ask(other, wish("heartbeats")))["sequence_num"] == 0
                answers = [await ask(ws, wish(*asked)) for asked in (("level2", "BTC-USD"), ("market_trades", "BTC-USD"), ("heartbeats",))]
                assert answers[-1]["events"][0]["subscriptions"].keys() == {"level2", "market_trades", "heartbeats"}
                made.advance(4 * BEAT_STEPS)
                await ws.send("{}")
                found = [*answers]
                while (message := await hear(ws)) != {"type": "error", "message": "malformed request"}:
                    found.append(message)
                assert (await hear(other))["sequence_num"] == 1, "a count of its own"
            assert [message["sequence_num"] for message in found] == list(range(len(found)))
            newest = {message["channel"]: message["events"][0] for message in [*found[::-1], answers[0]]}
            assert {channel: shape(newest[channel]) for channel in EVENTS} == {channel: shape(event) for channel, event in EVENTS.items()}
            snapshot = next(message for message in found if message["channel"] == "l2_data")["events"][0]
            assert snapshot["type"] == "snapshot" and len(snapshot["updates"]) >= 80
            assert [message["channel"] for message in found].count("heartbeats") == 4

    asyncio.run(run())


def test_usdc_products_give_the_data_of_usd_and_refusals_are_texts() -> None:
    async def run() -> None:
        async with world(venues=("coinbase",)) as (made, endpoints), open_ws(endpoints["coinbase"]["ws"]) as ws:
            state = await ask(ws, wish("level2", "BTC-USDC"))
            assert state["events"] == [{"subscriptions": {"level2": ["BTC-USD"]}}]
            made.advance(1)
            assert (await hear(ws))["events"][0]["product_id"] == "BTC-USD"
            for request in ("{", "[]", wish("level2", "NO-USD"), wish("level2"), wish("candles2", "BTC-USD"), wish("level2", kind="dance")):
                assert (await ask(ws, request))["type"] == "error"
            assert (await ask(ws, wish("level2", "BTC-USD", kind="unsubscribe")))["events"] == [{"subscriptions": {}}]
            assert (await ask(ws, wish("level2", "BTC-USD")))["message"] == "rate limit exceeded"

    asyncio.run(run())


def test_who_asks_for_nothing_is_closed() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("coinbase",), clock=lambda: clock[0]) as (made, endpoints):
            url = endpoints["coinbase"]["ws"]
            async with open_ws(url) as mute, open_ws(url) as ws:
                await ask(ws, wish("heartbeats"))
                clock[0] += 6.0
                made.advance(100)
                await asyncio.wait_for(mute.wait_closed(), PATIENCE_S)
                assert (await hear(ws))["channel"] == "heartbeats"

    asyncio.run(run())


def test_one_lost_message_is_a_gap_of_every_book_and_all_become_right_again() -> None:
    async def run() -> None:
        clock = [100.0]
        async with world(venues=("coinbase",), clock=lambda: clock[0]) as (made, endpoints):
            wiring = Wiring(endpoints)
            await wiring.connect()
            for round_ in range(6):
                await wiring.act()
                made.advance(100)
                await wiring.listen()
                clock[0] += 3.0
                if round_ == 1:
                    assert not [event for event in wiring.heard if isinstance(event, Gap)]
                    made.faults.drop("coinbase", "BTC-USD")
            gaps = {event.key for event in wiring.heard if isinstance(event, Gap)}
            assert gaps == {f"coinbase:{spec.symbol}" for spec in listings(("coinbase",))}
            twin = Truth(7, listings(("coinbase",))).at_step(made.sample.steps)
            for market in made.sample.markets.values():
                market.halted = True
            made.advance(20)
            await wiring.listen()
            assert differing(wiring, twin) == []
            await wiring.close()

    asyncio.run(run())
