"""A session of this venue: a numbered connection with acknowledgement, snapshot, updates and heartbeats between them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from dope.types import Instrument
from tests.frames import data, opened

KEY = "coinbase:BTC-USD"
SYMBOLS = ("BTC-USD",)
FOREIGN = ("ETH-USD",)
STAMP = "2023-11-14T22:13:20.123456789Z"

Levels = Sequence[tuple[str, str]]


class Told:
    """One connection: numbers what is told on it."""

    def __init__(self) -> None:
        self.numbers = itertools.count()
        self.stamp = STAMP

    def message(self, channel: str, *events: object) -> tuple[int, bytes]:
        return data({"channel": channel, "timestamp": self.stamp, "sequence_num": next(self.numbers), "events": list(events)})

    def book(self, kind: str, bids: Levels, asks: Levels, product: str = "BTC-USD") -> tuple[int, bytes]:
        rows = [
            {"side": side, "event_time": STAMP, "price_level": price, "new_quantity": size}
            for side, levels in (("bid", bids), ("offer", asks)) for price, size in levels
        ]  # fmt: skip
        return self.message("l2_data", {"type": kind, "product_id": product, "updates": rows})

    def trades(self, kind: str, *deals: dict[str, str]) -> tuple[int, bytes]:
        return self.message("market_trades", {"type": kind, "trades": list(deals)})

    def beat(self) -> tuple[int, bytes]:
        return self.message("heartbeats", {"current_time": "2023-11-14 22:13:20.1 +0000 UTC m=+7.5", "heartbeat_counter": 42})

    def state(self, **channels: list[str]) -> tuple[int, bytes]:
        return self.message("subscriptions", {"subscriptions": channels})


def deal(number: int, side: str, product: str = "BTC-USD") -> dict[str, str]:
    return {"trade_id": str(number), "product_id": product, "price": "100.25", "size": "0.5", "side": side, "time": STAMP}


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    told = Told()
    return [
        opened("market"),
        told.state(level2=["BTC-USD"]),
        told.book("snapshot", [(low, "1.00000000"), ("99.50", "3")], [(high, "2.00000000")]),
        told.book("update", [("99.90", "2.00000000")], [("100.60", "1.00000000")]),
        told.beat(),
        told.book("update", [("100.00", "1.50000000")], []),
        told.book("update", [], [("100.50", "0.75000000")]),
        told.book("update", [("99.50", "0")], [("100.90", "5.00000000")]),
        told.trades("update", deal(7, "BUY")),
        told.book("update", [("99.70", "1.00000000"), ("99.65", "0.00000000")], []),
    ]


def product(name: str, **more: object) -> dict[str, object]:
    """A row of the list, cut to the fields that are read and a few that are not."""
    numbers = {"price": "67060", "base_increment": "0.00000001", "quote_increment": "0.01", "price_increment": "0.01"}
    sizes = {"base_min_size": "0.00000002", "base_max_size": "3400", "quote_min_size": "2", "product_type": "SPOT", "alias": ""}
    flags = dict.fromkeys(("is_disabled", "cancel_only", "limit_only", "post_only", "trading_disabled", "auction_mode"), False)
    return {"product_id": name, **numbers, **sizes, "status": "online", **flags, **more}


LISTS = {
    "list": json.dumps(
        {
            "products": [
                product("BTC-USD", alias_to=["BTC-USDC"]),
                product("BTC-USDC", alias="BTC-USD", limit_only=True),
                product("TONE-USD", base_increment="1", quote_increment="0.00001", price_increment=None, base_min_size="26.5"),
                product("TONE-EUR", base_increment="1", quote_increment="0.0001", price_increment="0.00002", trading_disabled=True),
                product("OLD-USD", status="delisted"),
                product("BIT-26APR24-CDE", product_type="FUTURE", status="", base_increment="1"),
            ],
            "num_products": 6,
        }
    ).encode()
}
LISTED = (
    Instrument("coinbase", "BTC-USD", "BTC-USD", "BTC", "USD", "spot", 1.0, False, 0.01, 1e-8, 2e-8, 2.0),
    Instrument("coinbase", "BTC-USDC", "BTC-USDC", "BTC", "USDC", "spot", 1.0, False, 0.01, 1e-8, 2e-8, 2.0),
    Instrument("coinbase", "TONE-USD", "TONE-USD", "TONE", "USD", "spot", 1.0, False, 0.00001, 1.0, 26.5, 2.0),
    Instrument("coinbase", "TONE-EUR", "TONE-EUR", "TONE", "EUR", "spot", 1.0, False, 0.00002, 1.0, 2e-8, 2.0, "trading_disabled"),
    Instrument("coinbase", "OLD-USD", "OLD-USD", "OLD", "USD", "spot", 1.0, False, 0.01, 1e-8, 2e-8, 2.0, "delisted"),
)
