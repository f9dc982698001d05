"""Pairs and connections in the memory of compiled code: however many there are, each keeps what is its own."""

from __future__ import annotations

from dope.market.heard import NOBODY, Heard
from dope.market.lane import SEAT, Slots
from dope.market.market import Market
from dope.market.pairs import BUY, SELL, Pairs
from dope.types import BookUpdate, Instrument

T0 = 1_700_000_000_000_000_000
NS = 1_000_000_000


def test_a_market_may_be_in_any_number_of_pairs_and_each_may_have_a_life() -> None:
    pairs = Pairs(40)
    for other in range(1, 40):
        assert pairs.add(0, other) == other - 1
    assert pairs.of[0, :39].tolist() == list(range(39)) and set(pairs.of[0, 39:].tolist()) <= {-1}
    assert pairs.numbers[:39, [BUY, SELL]].tolist() == [[0, other] for other in range(1, 40)]
    rooms = [pairs.room_of(number) for number in range(39)]
    assert rooms == list(range(39)) == [pairs.room_of(number) for number in range(39)]
    assert len(pairs.sides) >= 39 and pairs.near[0] is pairs.of and pairs.watch[1][0] is pairs.room


def test_more_books_leave_the_pairs_of_the_others_as_they_are() -> None:
    slots = Slots(2)
    first, second = slots.add(), slots.add()
    number = slots.pairs.add(first, second)
    third = slots.add()
    assert slots.pairs.of[[first, second, third], 0].tolist() == [number, number, -1]


def test_connections_come_and_go_and_each_is_heard_for_itself() -> None:
    heard = Heard()
    for conn in range(1, 201):
        heard[conn] = conn * NS
    assert heard.times() == {conn: conn * NS for conn in range(1, 201)} and heard[999] == 0
    for conn in range(1, 150):
        heard.leave(conn)
    for conn in range(201, 10_001):  # a seat that was left is given again: their number is that of those that are there at once
        heard[conn] = conn
        assert heard[conn] == conn and heard[conn - 1] == (0 if conn > 201 else 200 * NS)
        heard.leave(conn)
    assert len(heard.newest) == 256 and heard[200] == 200 * NS


def test_what_comes_over_a_new_connection_proves_no_book_of_one_that_has_ended() -> None:
    market = Market()
    market.open_book(Instrument("okx", "BTC-USDT", "X", "BTC", "USDT", "spot", 1.0), T0, "", 10.0)
    book = market.books["okx:BTC-USDT"]
    market.conn_ts[7] = T0
    market.apply(BookUpdate(T0, book.key, 0, True, 1, b'[["100","1"]]', b'[["101","1"]]'), 7)
    market.written(book.key)
    seat = market.slots.state[book.slot, SEAT]
    assert seat == market.conn_ts.seat(7) != NOBODY
    market.slots.end(7)
    market.conn_ts[8] = T0 + NS
    assert market.conn_ts.seat(8) == seat, "it has the seat of the other one"
    assert market.slots.state[book.slot, SEAT] == NOBODY and market.age(book, T0 + 2 * NS) == 2 * NS
