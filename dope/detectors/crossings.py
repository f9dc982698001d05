"""What pairs in two currencies look like now, opportunity or not: for display, with the word for what keeps each from being one."""

from __future__ import annotations

from typing import Any

from dope.detectors.conversion import CrossPair, CrossQuote
from dope.detectors.depeg import Pegs
from dope.detectors.exchange import edge_bps, implied_rate
from dope.market.loops import BPS
from dope.market.market import Market
from dope.types import LIVE

MS = 1_000_000
NO_EXCHANGE = "no fresh market exchanges {coin} for {money}: not comparable"


def crossings(
    cross: CrossQuote, market: Market, now: int, count: int, *, base: str = "", comparable: bool | None = None
) -> list[dict[str, Any]]:
    """The ``count`` pairs with the highest net at their touches, then those that cannot be compared; ``blocks`` "" = an opportunity.

    ``naive_bps`` takes the two currencies for one, which is what must never be believed; ``net_bps`` None = not comparable now.
    ``comparable`` True or False: only such pairs.
    """
    pairs = [pair for pair in cross.pairs.values() if base in ("", pair.buy.base)]
    rows = [row for pair in pairs if (row := _row(cross, pair, market, now)) is not None]
    if comparable is not None:
        rows = [row for row in rows if (row["net_bps"] is not None) == comparable]
    rows.sort(key=lambda row: (row["net_bps"] is None, -(row["net_bps"] if row["net_bps"] is not None else row["naive_bps"])))
    return rows[:count]


def _row(cross: CrossQuote, pair: CrossPair, market: Market, now: int) -> dict[str, Any] | None:
    buy, sell = market.books[pair.buy.key], market.books[pair.sell.key]
    ask, bid = buy.touch()[2], sell.touch()[0]
    if not buy.state == sell.state == LIVE or ask <= 0.0 or bid <= 0.0:
        return None
    exchange, via, net = pair.exchange, cross.via(pair, market, now), None
    words = NO_EXCHANGE.format(coin=exchange.coin, money=exchange.money)
    if via is not None:
        coin_bid, _, coin_ask, _ = market.books[via.key].touch()
        edge = edge_bps(ask, bid, (coin_bid, coin_ask), buys_coin=pair.buys_coin)
        wall = cross.wall_bps(pair, via)
        net = ((1.0 + edge / BPS) / (1.0 + wall / BPS) - 1.0) * BPS
        words = "" if pair.life.life is not None else f"needs {max(cross.arbitrage.rules.enter - net, 0.0):.1f} bps more"
    return {
        "base": pair.buy.base, "buy": pair.buy.key, "sell": pair.sell.key, "coin": exchange.coin, "money": exchange.money,
        "via": via.key if via is not None else None, "naive_bps": edge_bps(ask, bid, None), "net_bps": net, "blocks": words,
    }  # fmt: skip


def exchanges(cross: CrossQuote, pegs: Pegs, market: Market, now: int) -> list[dict[str, Any]]:
    """Every market that exchanges one currency for another: its executable sides, its age, and how far from 1 where both are dollars."""
    rows, off = [], set(pegs.off())
    dollars = {price.coin: price for price in pegs.prices(market)}
    for exchange in cross.exchanges.values():
        for each in exchange.markets:
            book = market.books[each.key]
            live = book.state == LIVE
            bid, bid_size, ask, ask_size = book.touch() if live else (0.0, 0.0, 0.0, 0.0)
            mid = (bid + ask) / 2.0 if bid > 0.0 and ask > 0.0 else None
            price = dollars.get(exchange.coin)
            rows.append({
                "coin": exchange.coin, "money": exchange.money, "market": each.key, "state": book.state,
                "bid": bid or None, "ask": ask or None, "bid_size": bid_size or None, "ask_size": ask_size or None, "mid": mid,
                "age_ms": market.age(book, now) / MS if live else None,
                "off_bps": (mid - 1.0) * BPS if mid is not None and price is not None else None,
                "off": price is not None and (price.coin, price.against) in off,
            })  # fmt: skip
    return rows


def implied(cross: CrossQuote, market: Market) -> list[dict[str, Any]]:
    """What the prices of one thing in two currencies say of these, per base: for display only, nobody exchanges at such a rate."""
    mids: dict[tuple[str, str], list[float]] = {}
    for each in cross.spots():
        book = market.books[each.key]
        mid = book.mid() if book.state == LIVE else None
        if mid is not None:
            mids.setdefault((each.base, each.quote), []).append(mid)
    rows = []
    middle = {key: sorted(values)[len(values) // 2] for key, values in mids.items()}
    for (base, quote), price in middle.items():
        for exchange in cross.exchanges.values():
            other = middle.get((base, exchange.money))
            if quote == exchange.coin and other is not None:
                rows.append({"coin": exchange.coin, "money": exchange.money, "base": base, "rate": implied_rate(other, price)})
    return rows
