"""A session of this venue: a numbered connection with acknowledgement, snapshot, updates and heartbeats between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

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

    def message(self, channel: str, *events: object) -> tuple[int, bytes]:
        return data({"channel": channel, "timestamp": STAMP, "sequence_num": next(self.numbers), "events": list(events)})

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
