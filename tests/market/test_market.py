"""Books and states: the venue's quote laid over the levels, ages, sizes in base units, trades counted once."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
import pytest

from dope.market.book import Book
from dope.market.delays import DelayFloor
from dope.market.lane import RING, Slots
from dope.market.market import Market
from dope.market.trade_ids import LEAST, MOST
from dope.types import BookState, BookUpdate, Event, Gap, Instrument, Notice, Quote, Touch, Trade

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
KEY = "x:BTC-USDT"


def instrument(**changes: object) -> Instrument:
    plain = Instrument("x", "BTC-USDT", "BTCUSDT", "BTC", "USDT", "spot")
    return msgspec.structs.replace(plain, **changes)


def market(**changes: object) -> Market:
    made = Market()
    made.open_book(instrument(**changes), T0, "", 5.0)
    made.apply(BookUpdate(T0, KEY, 0, True, 100, b'[["99","4"],["98","7"]]', b'[["101","5"],["102","9"]]'), 1)
    return made


def quote(seq: int, bid: float, ask: float, ts: int = T0 + 1) -> Quote:
    return Quote(ts, KEY, 0, seq, bid, 2.0, ask, 3.0)


def test_a_newer_quote_is_the_touch_and_hides_better_levels() -> None:
    made = market()
    book = made.books[KEY]
    out = made.quote(quote(101, 98.0, 102.0))
    assert isinstance(out[0], Touch)
    assert book.touch() == (98.0, 2.0, 102.0, 3.0)
    assert book.levels("bid", 5) == [(98.0, 2.0)] and book.levels("ask", 5) == [(102.0, 3.0)]


def test_behind_a_quote_that_hides_many_levels_as_many_are_given_as_are_asked_for() -> None:
    bids = ",".join(f'["{100 - k}","1"]' for k in range(60))
    made = market()
    made.apply(BookUpdate(T0, KEY, 0, True, 100, f"[{bids}]".encode(), b'[["101","1"]]'), 1)
    made.quote(quote(101, 70.5, 101.0))
    got = made.books[KEY].levels("bid", 30)
    assert [price for price, _ in got] == [70.5, *range(70, 41, -1)]


def test_an_older_quote_changes_nothing_and_newer_levels_take_over_again() -> None:
    made = market()
    book = made.books[KEY]
    assert made.quote(quote(99, 98.5, 101.5)) == []
    assert book.touch() == (99.0, 4.0, 101.0, 5.0)
    made.quote(quote(101, 99.5, 100.5))
    assert book.levels("bid", 5) == [(99.5, 2.0), (99.0, 4.0), (98.0, 7.0)]
    made.apply(BookUpdate(T0 + 2, KEY, 0, False, 102, b'[["99.5","1"]]', b"[]"), 1)
    assert book.touch() == (99.5, 1.0, 101.0, 5.0)


def test_a_crossed_quote_is_a_fault_and_leaves_the_touch() -> None:
    made = market()
    assert type(made.quote(quote(101, 103.0, 102.0))[0]).__name__ == "Fault"
    assert made.books[KEY].touch()[0] == 99.0


def test_sizes_are_base_units_whatever_the_venue_counts() -> None:
    assert market(contract_value=0.01).books[KEY].touch() == (99.0, 0.04, 101.0, 0.05)
    inverse = market(contract_value=100.0, inverse=True).books[KEY]
    assert inverse.touch()[1] == pytest.approx(4 * 100 / 99)


def test_any_data_on_its_connection_confirms_a_numbered_book() -> None:
    made = market()
    book = made.books[KEY]
    assert made.age(book, T0 + 3 * NS) == 3 * NS
    made.conn_ts[1] = T0 + 2 * NS
    assert made.age(book, T0 + 3 * NS) == NS
    made.conn_ts[2] = T0 + 3 * NS  # another connection proves nothing
    assert made.age(book, T0 + 3 * NS) == NS


def test_a_message_that_came_late_proves_the_book_only_as_of_when_it_was_due() -> None:
    made = market()
    book = made.books[KEY]
    for i in range(1, 4):
        made.apply(BookUpdate(T0 + i * NS, KEY, T0 + i * NS, False, 100 + i, b'[["99","4"]]', b"[]"), 1)
    made.apply(BookUpdate(T0 + 5 * NS, KEY, T0 + 4 * NS, False, 104, b'[["99","5"]]', b"[]"), 1)
    assert made.age(book, T0 + 5 * NS) == NS


def test_a_touch_that_moves_by_a_factor_of_fifty_is_not_believed() -> None:
    made = market()
    made.apply(BookUpdate(T0 + 1, KEY, 0, False, 101, b'[["99","0"],["98","0"],["1.1","1"]]', b'[["1.2","1"]]'), 1)
    assert made.books[KEY].state == "INVALID"
    assert made.resyncs


def test_a_trade_is_counted_once() -> None:
    made = market()
    trade = Trade(T0, KEY, T0, 100.0, 2.0, "buy", "id-1")
    assert [made.trade(trade, 1), made.trade(trade, 1)] == [True, False]
    assert (made.books[KEY].trades, made.books[KEY].volume, made.duplicates) == (1, 2.0, 1)


def test_ids_of_trades_are_kept_for_a_minute_the_last_thousand_for_ever_and_never_more_than_ten_thousand() -> None:
    made = market()

    def trade(ts: int, name: str) -> bool:
        return made.trade(Trade(ts, KEY, ts, 100.0, 1.0, "buy", name), 1)

    assert all(trade(T0 + n, f"a{n}") for n in range(MOST + 500)), "a busy moment"
    kept = made.trade_ids.of[KEY]
    assert len(kept) == MOST and not trade(T0 + MOST, "a500") and trade(T0 + MOST, "a499")
    later = T0 + 61 * NS
    assert all(trade(later, f"b{n}") for n in range(MOST)), "a minute later what is older goes"
    assert all(trade(later + 61 * NS, f"c{n}") for n in range(LEAST)) and len(kept) <= MOST
    assert all(trade(later + 200 * NS + n * NS, f"d{n}") for n in range(MOST)), "and after the busy time there are few again"
    assert len(kept) == LEAST and not trade(later + 10**6 * NS, f"d{MOST - 1}"), "a quiet market remembers the last ones"


def test_a_gap_takes_the_book_out_of_live_and_updates_alone_do_not_bring_it_back() -> None:
    made = market()
    made.gap(Gap(T0 + 1, KEY, "sequence"))
    assert made.apply(BookUpdate(T0 + 2, KEY, 0, False, 105, b'[["99","1"]]', b"[]"), 1) == ()
    assert made.books[KEY].state == "GAP"
    made.apply(BookUpdate(T0 + 3, KEY, 0, True, 200, b'[["99","1"]]', b'[["101","1"]]'), 1)
    assert made.books[KEY].state == "LIVE"
    assert made.books[KEY].live_seconds(T0 + 3 + NS) == pytest.approx(1.0)


def test_a_one_sided_book_has_no_mid_and_no_imbalance_trouble() -> None:
    book = Book(instrument(), Slots(), DelayFloor())
    assert book.mid() is None and book.imbalance() is None and book.depth((10,)) == {10: (0.0, 0.0, False)}


@pytest.mark.parametrize(("checksum", "state"), [(None, "INVALID"), (zlib.crc32(b"101:5"), "LIVE"), (7, "GAP")])
def test_a_snapshot_of_one_side_is_a_book_only_where_its_checksum_is_right(checksum: int | None, state: str) -> None:
    made = Market()
    made.open_book(instrument(), T0, "interleaved25", 15.0)
    made.apply(BookUpdate(T0, KEY, 0, True, 100, b"[]", b'[["101","5"]]', checksum), 1)
    book = made.books[KEY]
    assert book.state == state and book.mid() is None


def test_price_changes_of_the_touch_are_remembered_in_order_and_sizes_are_not() -> None:
    made = market()
    book = made.books[KEY]
    for i, level in enumerate((b'["99.5","1"]', b'["99.5","2"]', b'["99.6","1"]', b'["99.6","0"]'), 1):
        made.apply(BookUpdate(T0 + i, KEY, T0 - 50 + i, False, 100 + i, b"[" + level + b"]", b"[]"), 1)
    times, touches = book.touches()
    assert times.tolist() == [[T0, 0], [T0 + 1, T0 - 49], [T0 + 3, T0 - 47], [T0 + 4, T0 - 46]]
    assert touches.tolist() == [[99.0, 4.0, 101.0, 5.0], [99.5, 1.0, 101.0, 5.0], [99.6, 1.0, 101.0, 5.0], [99.5, 2.0, 101.0, 5.0]]


def test_a_book_that_leaves_live_ends_its_last_touch_and_begins_anew_with_the_same_one() -> None:
    made = market()
    made.gap(Gap(T0 + 1, KEY, "sequence"))
    made.apply(BookUpdate(T0 + 2, KEY, 0, True, 200, b'[["99","4"]]', b'[["101","5"]]'), 1)
    times, touches = made.books[KEY].touches()
    assert times[:, 0].tolist() == [T0, T0 + 1, T0 + 2]
    assert np.isnan(touches[1]).all() and touches[2].tolist() == touches[0].tolist() == [99.0, 4.0, 101.0, 5.0]


@pytest.mark.parametrize("stamp", [0, -(10**30), 10**30, T0 - 3601 * NS, T0 + 3601 * NS])
def test_a_stamp_that_is_far_from_the_receive_time_is_none(stamp: int) -> None:
    made = market()
    made.apply(BookUpdate(T0 + 1, KEY, stamp, False, 101, b'[["99.5","1"]]', b"[]"), 1)
    made.quote(msgspec.structs.replace(quote(102, 99.6, 100.9, T0 + 2), ts_exch=stamp))
    assert made.books[KEY].touches()[0].tolist() == [[T0, 0], [T0 + 1, 0], [T0 + 2, 0]]


def test_sizes_are_remembered_in_base_units() -> None:
    for change, wanted in (({"contract_value": 0.01}, [0.04, 0.05]), ({"contract_value": 100.0, "inverse": True}, [400 / 99, 500 / 101])):
        _, touches = market(**change).books[KEY].touches()
        assert touches[0, [1, 3]].tolist() == pytest.approx(wanted)


def test_the_ring_keeps_the_newest() -> None:
    made = market()
    for i in range(1, RING + 10):
        made.apply(BookUpdate(T0 + i, KEY, 0, False, 100 + i, b"[]", b'[["%d","1"],["%d","0"]]' % (100 + i % 2, 101 - i % 2)), 1)
    times = made.books[KEY].touches()[0][:, 0]
    assert len(times) == RING and times.tolist() == sorted(times.tolist()) and times[-1] > T0 + RING


def test_the_average_price_of_a_size_walks_the_levels() -> None:
    book = market().books[KEY]
    assert book.vwap("ask", 5.0) == 101.0
    assert book.vwap("ask", 10.0) == pytest.approx((5 * 101 + 5 * 102) / 10)
    assert book.vwap("ask", 100.0) is None


def checked() -> Market:
    made = Market()
    made.open_book(instrument(), T0, "digits10", 5.0)
    return made


def told(made: Market, second: float, *, lie: bool, snapshot: bool = True) -> list[Event]:
    """A whole book, or nothing new, with its checksum or a wrong one."""
    bids, asks = (b'[["99","4"]]', b'[["101","5"]]') if snapshot else (b"[]", b"[]")
    checksum = zlib.crc32(b"1015994") ^ lie
    return list(made.apply(BookUpdate(T0 + int(second * NS), KEY, 0, snapshot, -1, bids, asks, checksum), 1))


def test_after_three_wrong_checksums_within_a_minute_a_book_is_suspended_with_its_reason_and_asked_for_no_more() -> None:
    made = checked()
    book = made.books[KEY]
    told(made, 0, lie=False)
    assert book.state == "LIVE"
    for second in (1, 30):
        told(made, second, lie=True)
        assert (book.state, book.reason) == ("GAP", "checksum")
    found = told(made, 60, lie=True)
    assert [(type(event), getattr(event, "state", "")) for event in found] == [(Notice, ""), (BookState, "INVALID")]
    assert book.reason == "suspended for 300 s: 3 wrong checksums within 60 s"
    assert (len(made.resyncs), book.checksum_mismatches, book.gaps) == (2, 3, 3)
    for second in (61, 200, 359):
        told(made, second, lie=False)
        made.tick(T0 + second * NS)
        assert made.gap(Gap(T0 + second * NS, KEY, "sequence")) == []
    assert (book.state, len(made.resyncs), book.gaps) == ("INVALID", 2, 3), "it is left alone"


def test_a_suspended_book_is_asked_for_anew_when_its_time_is_over_and_lives_on_if_it_is_right() -> None:
    made = checked()
    book = made.books[KEY]
    for second in (0, 1, 2):
        told(made, second, lie=True)
    made.resyncs.clear()
    made.tick(T0 + 302 * NS)
    assert made.resyncs == [(KEY, "checksum")] and book.state == "INVALID"
    told(made, 303, lie=True)
    assert (book.state, book.reason) == ("GAP", "checksum"), "counted from the beginning"
    told(made, 304, lie=False)
    assert book.state == "LIVE"


def test_wrong_checksums_that_come_seldom_suspend_nothing() -> None:
    made = checked()
    for second in (0, 31, 62, 93, 124):
        told(made, second, lie=True)
        assert made.books[KEY].state == "GAP"
    assert len(made.resyncs) == 5


@pytest.mark.parametrize(("reason", "state"), [("disconnected", "DOWN"), ("halted", "HALTED"), ("unsubscribed", "SYNCING")])
def test_what_begins_anew_is_no_longer_suspended(reason: str, state: str) -> None:
    made = checked()
    for second in (0, 1, 2):
        told(made, second, lie=True)
    made.gap(Gap(T0 + 3 * NS, KEY, reason))
    assert made.books[KEY].state == state
    told(made, 4, lie=False)
    assert made.books[KEY].state == "LIVE"


def test_a_contract_value_that_the_list_corrects_counts_for_sizes_from_then_on() -> None:
    market = Market()
    swap = Instrument("okx", "BTC-USDT-PERP", "BTC-USDT-SWAP", "BTC", "USDT", "perp", 0.01)
    market.open_book(swap, 1, "", 5.0)
    market.apply(BookUpdate(2, swap.key, 0, True, 1, b'[["100","50"]]', b'[["101","80"]]', None), 1)
    book = market.books[swap.key]
    assert book.touch() == (100.0, 0.5, 101.0, 0.8)
    market.dirty.clear()
    market.open_book(swap, 3, "", 5.0)
    assert not market.dirty, "nothing new"
    market.open_book(msgspec.structs.replace(swap, contract_value=0.1), 4, "", 5.0)
    assert book is market.books[swap.key] and book.touch() == (100.0, 5.0, 101.0, 8.0)
    assert book.levels("bid", 1) == [(100.0, 5.0)] and swap.key in market.dirty
