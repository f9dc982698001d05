"""Exchanging one currency for another in a live market: prices in a coin become prices in money, at executable sides and with depth.

The *coin* is the base of the exchange (USDT of USDT-USD), *money* its quote. What is bought for the coin needs the coin first: it
is bought at the exchange's ask. What is sold for the coin leaves the coin: it is sold at the exchange's bid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from dope.detectors.opportunity import Cost
from dope.market.book import Book
from dope.market.loops import BPS, BUY, GONE, SELL, kept
from dope.market.walk import Level, Walk, two_book
from dope.types import Instrument

WALK_LEVELS = 50  #: levels per side that a walk may use


class Exchange:
    """The markets that exchange ``coin`` (their base) for ``money`` (their quote)."""

    def __init__(self, coin: str, money: str) -> None:
        self.coin, self.money = coin, money
        self.markets: list[Instrument] = []


class Terms(msgspec.Struct, frozen=True):
    """Fee of one leg at one market, a fraction; ``in_base`` = of a buy it is taken from what is received."""

    fee: float
    in_base: bool = False

    @classmethod
    def of(cls, cost: Cost) -> Terms:
        """Those of a line of the fees, as its role pays."""
        return cls(cost.fee, cost.currency == "base")

    @property
    def on_buy(self) -> float:
        """The fee of a buy as a part of what is paid for each unit that arrives."""
        return self.fee / (1.0 - self.fee) if self.in_base else self.fee

    def arriving(self, asks: Sequence[Level]) -> list[Level]:
        """Asks with the sizes that arrive: those of the book, less what a fee in base takes."""
        return [(price, size * (1.0 - self.fee)) for price, size in asks] if self.in_base else list(asks)


def both_kept(buys: Terms, sells: Terms) -> tuple[float, float]:
    """What is left after the fee of (selling, buying), each by its own terms."""
    return kept(sells.fee, False)[SELL], kept(buys.fee, buys.in_base)[BUY]


def through(levels: Sequence[Level], exchange: Sequence[Level], per_unit: float) -> list[Level]:
    """Levels priced in the coin, priced in money: each piece as large as the level and the exchange's level both hold.

    ``exchange`` = asks or bids (money per coin, coins), best first; ``per_unit`` = coins to be exchanged per coin of the price.
    Both lists run from good to bad, and so does the result: a walk that takes it as long as it pays has the exact optimum.
    """
    out: list[Level] = []
    at, left = 0, exchange[0][1] if exchange else 0.0
    for price, size in levels:
        rest, coins = size, price * per_unit
        while at < len(exchange) and rest > GONE * size:
            take = min(rest, left / coins)
            if take > 0.0:
                out.append((price * exchange[at][0], take))
            rest -= take
            left -= take * coins
            if left <= GONE * exchange[at][1]:
                at += 1
                left = exchange[at][1] if at < len(exchange) else 0.0
        if at == len(exchange):
            break
    return out


class Priced(msgspec.Struct, frozen=True):
    """A pair of markets in two currencies at one instant, all in money: what any number of walks need.

    ``own_asks`` and ``own_bids`` are the two books in their own currencies, ``mid`` is that of the exchange, in money per coin.
    """

    buys_coin: bool  #: the coin is what is paid with; otherwise it is what is received
    asks: list[Level]
    bids: list[Level]
    fee_buy: float  #: with the exchange's, where it belongs to this leg
    fee_sell: float
    own_asks: list[Level]
    own_bids: list[Level]
    own_fees: tuple[float, float]  #: of the legs alone, what is held back of the sale with that of selling
    mid: float
    transfer: float = 0.0  #: fixed costs, money

    @property
    def net_touch_bps(self) -> float:
        """After all three fees at the touches, bps of the cost."""
        return (self.bids[0][0] * (1.0 - self.fee_sell) / (self.asks[0][0] * (1.0 + self.fee_buy)) - 1.0) * BPS

    def walk(self, lot: float, *, max_quote: float = math.inf, fill_all: bool = False) -> Walk:
        """Through all three books; ``fees`` of the result include the exchange's."""
        return two_book(
            self.asks, self.bids, self.fee_buy, self.fee_sell, max_quote=max_quote, lot=lot, transfer=self.transfer, fill_all=fill_all
        )

    def slack_bps(self, walk: Walk) -> float:
        """By so many bps the fee of either leg may be higher before this walk earns nothing (taken as paid on top)."""
        paid, got = walk.cost / (1.0 + self.own_fees[0]), walk.proceeds / (1.0 - self.own_fees[1])
        return min(walk.net / paid, walk.net / got) * BPS

    def bill(self, walk: Walk) -> Bill:
        """Where the money of a walk of these books goes."""
        buy_rate, sell_rate = (self.mid, 1.0) if self.buys_coin else (1.0, self.mid)
        pieces = pieces_of(self.own_asks, self.own_bids, walk.qty)
        levels = tuple((ask * buy_rate, bid * sell_rate, size) for ask, bid, size in pieces)
        spent, earned = sum(ask * size for ask, _, size in levels), sum(bid * size for _, bid, size in levels)
        cost, proceeds = spent * (1.0 + self.own_fees[0]), earned * (1.0 - self.own_fees[1])
        return Bill(levels, spent, earned, cost, proceeds, proceeds - cost - self.transfer - walk.net)


class Bill(msgspec.Struct, frozen=True):
    """Money of a walk with the coin valued at the exchange's mid: ``proceeds − cost − conversion − transfer = net``.

    ``levels`` (buy price, sell price, base) and ``spent``, ``earned`` are without fees, ``cost`` and ``proceeds`` with those of the legs;
    ``conversion`` = what the exchange takes beyond its mid: half its spread, its depth, its fee.
    """

    levels: tuple[tuple[float, float, float], ...]
    spent: float
    earned: float
    cost: float
    proceeds: float
    conversion: float


def pieces_of(asks: Sequence[Level], bids: Sequence[Level], qty: float) -> Iterator[tuple[float, float, float]]:
    """(ask, bid, base) of the first ``qty`` that is bought from the one and sold into the other."""
    i = j = 0
    rest, ask_left, bid_left = qty, asks[0][1], bids[0][1]
    while rest > GONE * qty and i < len(asks) and j < len(bids):
        take = min(rest, ask_left, bid_left)
        if take > 0.0:
            yield asks[i][0], bids[j][0], take
        rest, ask_left, bid_left = rest - take, ask_left - take, bid_left - take
        if ask_left <= GONE * asks[i][1]:
            i += 1
            ask_left = asks[i][1] if i < len(asks) else 0.0
        if bid_left <= GONE * bids[j][1]:
            j += 1
            bid_left = bids[j][1] if j < len(bids) else 0.0


def priced(
    buy: Book, sell: Book, via: Book, terms: tuple[Terms, Terms, Terms], *, buys_coin: bool, buffer: float = 0.0, transfer: float = 0.0
) -> Priced | None:
    """The two legs in money; ``terms`` of buying, selling and exchanging; ``buffer`` = part of the sale that is held back.

    None while a side of one of the books is empty.
    """
    own_asks = terms[0].arriving(buy.levels("ask", WALK_LEVELS))
    own_bids, mid = sell.levels("bid", WALK_LEVELS), via.mid()
    fee_buy, fee_sell = own_fees = terms[0].on_buy, terms[1].fee + buffer
    asks, bids = own_asks, own_bids
    if buys_coin:
        asks = through(own_asks, terms[2].arriving(via.levels("ask", WALK_LEVELS)), 1.0 + fee_buy)
        fee_buy = (1.0 + fee_buy) * (1.0 + terms[2].on_buy) - 1.0
    else:
        bids = through(own_bids, via.levels("bid", WALK_LEVELS), 1.0 - fee_sell)
        fee_sell = 1.0 - (1.0 - fee_sell) * (1.0 - terms[2].fee)
    if not asks or not bids or mid is None:
        return None
    return Priced(buys_coin, asks, bids, fee_buy, fee_sell, own_asks, own_bids, own_fees, mid, transfer)


def edge_bps(ask: float, bid: float, exchange: tuple[float, float] | None, *, buys_coin: bool = True) -> float:
    """Touch edge before fees, bps of the ask: bought at ``ask``, sold at ``bid``, the exchange's (bid, ask) at its executable side.

    ``exchange`` None = both prices are in one currency. For two currencies that would be the naive figure, which is no edge at all.
    """
    if exchange is None:
        return (bid / ask - 1.0) * BPS
    coin_bid, coin_ask = exchange
    return (bid / (ask * coin_ask) - 1.0) * BPS if buys_coin else (bid * coin_bid / ask - 1.0) * BPS


def implied_rate(price_in_money: float, price_in_coin: float) -> float:
    """What a coin seems to be worth in money when one thing has these two prices: for display only, nobody trades at it."""
    return price_in_money / price_in_coin
