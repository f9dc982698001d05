"""A session of this venue: an acknowledgement, the whole book, changes that name their side."""

from __future__ import annotations

import json

from dope.types import Instrument
from tests.frames import data, opened

KEY = "coinbase_exchange:BTC-USD"
SYMBOLS = ("BTC-USD",)
FOREIGN = ("ETH-USD",)
STAMP = "2023-11-14T22:13:20.500000Z"

Levels = list[tuple[str, str]]


def snapshot(bids: Levels, asks: Levels, product: str = "BTC-USD") -> tuple[int, bytes]:
    return data({"type": "snapshot", "product_id": product, "asks": asks, "bids": bids})


def changes(*rows: tuple[str, str, str], product: str = "BTC-USD", time: str = STAMP) -> tuple[int, bytes]:
    return data({"type": "l2update", "product_id": product, "changes": rows, "time": time})


def match(number: int, side: str, kind: str = "match") -> tuple[int, bytes]:
    what = {"type": kind, "trade_id": number, "maker_order_id": "a", "taker_order_id": "b", "side": side, "size": "0.5"}
    return data({**what, "price": "100.25", "product_id": "BTC-USD", "sequence": 5, "time": STAMP})


def script(low: str = "99.8", high: str = "100.7") -> list[tuple[int, bytes]]:
    return [
        opened("feed"),
        data({"type": "subscriptions", "channels": [{"name": "level2_batch", "product_ids": ["BTC-USD"]}]}),
        snapshot([(low, "1"), ("99.50", "3.00000000")], [(high, "2")]),
        changes(("buy", "99.90", "2.00000000")),
        changes(("sell", "100.60", "1.0"), ("buy", "100.00", "1.2")),
        changes(("buy", "100.00", "1.5")),
        changes(("sell", "100.50", "0.75")),
        changes(("buy", "99.50", "0.0"), ("sell", "100.90", "5.00")),
        match(7, "buy"),
        changes(("buy", "99.70", "1.0"), ("sell", "103.00", "0.00")),
    ]


def product(name: str, **more: object) -> dict[str, object]:
    """A row of the list."""
    base, _, quote = name.partition("-")
    numbers = {"quote_increment": "0.01", "base_increment": "0.00000001", "min_market_funds": "1"}
    flags = {"margin_enabled": False, "post_only": False, "limit_only": False, "cancel_only": False, "auction_mode": False}
    row = {"id": name, "base_currency": base, "quote_currency": quote, **numbers, "display_name": name, **flags}
    return {**row, "status": "online", "status_message": "", "trading_disabled": False, "max_slippage_percentage": "0.02", **more}


#: all of them are spot
LISTS = {
    "list": json.dumps(
        [
            product("BTC-USD"),
            product("BTCAUCTION-USD", base_currency="BTC", cancel_only=True, min_market_funds="5"),
            product("OLD-BTC", quote_increment="0.0000001", base_increment="0.1", min_market_funds="0.0001", status="delisted"),
            product("NEW-USD", quote_increment="0.0001", base_increment="0.1", post_only=True),
        ]
    ).encode()
}
LISTED = (
    Instrument("coinbase_exchange", "BTC-USD", "BTC-USD", "BTC", "USD", "spot", 1.0, False, 0.01, 1e-8, 0.0, 1.0),
    Instrument("coinbase_exchange", "BTCAUCTION-USD", "BTCAUCTION-USD", "BTCAUCTION", "USD", "spot", 1.0, False, 0.01, 1e-8, 0.0, 5.0,
               "cancel_only"),
    Instrument("coinbase_exchange", "OLD-BTC", "OLD-BTC", "OLD", "BTC", "spot", 1.0, False, 1e-7, 0.1, 0.0, 0.0001, "delisted"),
    Instrument("coinbase_exchange", "NEW-USD", "NEW-USD", "NEW", "USD", "spot", 1.0, False, 0.0001, 0.1, 0.0, 1.0, "post_only"),
)  # fmt: skip
