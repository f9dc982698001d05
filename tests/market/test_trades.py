"""The rings of trades: what was traded is there after the next clock tick, once, in order, and what is overwritten can be counted."""

from __future__ import annotations

import numpy as np

from dope.market.lane import TRADE_RING, WAITING_TRADES
from dope.market.market import HOUR, Market
from dope.types import Instrument, Trade

T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def market(*names: str) -> Market:
    found = Market()
    for name in names:
        found.open_book(Instrument("okx", name, name, *name.split("-"), "spot"), T0, "", 5.0)
    return found


def traded(found: Market, name: str, number: int, *, side: str = "buy", stamp: int = T0) -> bool:
    return found.trade(Trade(T0 + number, f"okx:{name}", stamp, 100.0 + number, 0.5, side, str(number)), 1)


def test_a_trade_is_in_the_ring_of_its_book_after_the_next_tick_and_once() -> None:
    found = market("A-B", "C-D")
    assert traded(found, "A-B", 1) and traded(found, "C-D", 7, side="sell") and not traded(found, "A-B", 1)
    assert [len(book.deals()[0]) for book in found.books.values()] == [0, 0]
    found.tick(T0 + SECOND)
    found.tick(T0 + 2 * SECOND)
    times, values = found.books["okx:A-B"].deals()
    assert times.tolist() == [[T0 + 1, T0]] and values.tolist() == [[101.0, 0.5, 1.0]]
    assert found.books["okx:C-D"].deals()[1].tolist() == [[107.0, 0.5, -1.0]]


def test_a_stamp_that_is_no_time_of_this_trade_is_none() -> None:
    found = market("A-B")
    for number, stamp in enumerate([0, T0 - HOUR, T0 + HOUR + 9, 2**70, T0 - SECOND]):
        traded(found, "A-B", number, stamp=stamp)
    found.tick(T0)
    assert found.books["okx:A-B"].deals()[0][:, 1].tolist() == [0, 0, 0, 0, T0 - SECOND]


def test_the_newest_of_more_trades_than_fit_are_kept_and_all_are_counted() -> None:
    found = market("A-B")
    for number in range(TRADE_RING + 5):
        traded(found, "A-B", number)
    found.tick(T0)
    book = found.books["okx:A-B"]
    assert found.slots.trade_n[book.slot] == TRADE_RING + 5
    assert book.deals()[0][:, 0].tolist() == [T0 + number for number in range(5, TRADE_RING + 5)]


def test_trades_do_not_wait_for_ever_where_no_clock_ticks() -> None:
    found = market("A-B")
    for number in range(WAITING_TRADES + 1):
        traded(found, "A-B", number)
    assert found.slots.trade_n[found.books["okx:A-B"].slot] == WAITING_TRADES


def test_rings_grow_with_the_books_and_keep_what_they_hold() -> None:
    found = market(*(f"A{i}-B" for i in range(16)))
    traded(found, "A3-B", 1)
    found.tick(T0)
    for i in range(16, 40):
        found.open_book(Instrument("okx", f"A{i}-B", f"A{i}-B", f"A{i}", "B", "spot"), T0, "", 5.0)
    traded(found, "A39-B", 2)
    found.tick(T0 + SECOND)
    counts = found.slots.trade_n[: found.slots.count]
    assert np.flatnonzero(counts).tolist() == [3, 39]
    assert found.books["okx:A3-B"].deals()[1].tolist() == [[101.0, 0.5, 1.0]]
