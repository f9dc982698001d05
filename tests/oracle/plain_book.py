"""The slow, plain reference book: two dicts of Decimals, sorted when asked. Shares nothing with the product's kernel."""

from __future__ import annotations

import json
import zlib
from decimal import Decimal


class PlainBook:
    """Applies level lists as the venues send them."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, str] = {}
        self.asks: dict[Decimal, str] = {}

    def apply(self, bids: bytes, asks: bytes, snapshot: bool) -> None:
        if snapshot:
            self.bids.clear()
            self.asks.clear()
        for side, text in ((self.bids, bids), (self.asks, asks)):
            for level in json.loads(text or b"[]", parse_float=str, parse_int=str):
                price, size = Decimal(level[0]), level[1]
                if Decimal(size) == 0:
                    side.pop(price, None)
                else:
                    side[price] = size

    def levels(self, side: str, limit: int) -> list[tuple[float, float]]:
        book = self.bids if side == "bid" else self.asks
        prices = sorted(book, reverse=side == "bid")[:limit]
        return [(float(p), float(book[p])) for p in prices]

    def crossed(self) -> bool:
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)

    def interleaved_crc(self, depth: int) -> int:
        """Signed CRC32 over bid and ask in turn, prices without trailing zeros, sizes as sent."""
        bids, asks = sorted(self.bids, reverse=True)[:depth], sorted(self.asks)[:depth]
        parts: list[str] = []
        for rank in range(depth):
            for book, prices in ((self.bids, bids), (self.asks, asks)):
                if rank < len(prices):
                    parts += [_plain(prices[rank]), book[prices[rank]]]
        crc = zlib.crc32(":".join(parts).encode())
        return crc - (1 << 32) if crc >= 1 << 31 else crc


def _plain(price: Decimal) -> str:
    text = format(price, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
