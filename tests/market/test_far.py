"""Numbers and times that no venue means: they end nothing, whatever is written."""

from __future__ import annotations

import pytest

from dope.market.market import Market
from dope.rows import Collector
from dope.types import BookUpdate, Fault, Instrument, Quote, Trade

KEY = "kraken:BTC-USD"
NOW = 1_700_000_000_000_000_000


def market() -> Market:
    made = Market()
    made.now = NOW
    made.open_book(Instrument("kraken", "BTC-USD", "BTC/USD", "BTC", "USD", "spot"), NOW, "", 5.0)
    made.apply(BookUpdate(NOW, KEY, 0, True, 1, b'[["100","1"]]', b'[["101","1"]]'), 1)
    return made


@pytest.mark.parametrize("number", [2**62, -(2**62), 10**30])
def test_a_number_that_nothing_can_hold_is_a_fault_of_the_book_or_the_quote(number: int) -> None:
    made = market()
    told = made.quote(Quote(NOW, KEY, 0, number, 99.0, 1.0, 102.0, 1.0))
    assert [type(event) for event in told] == [Fault] and made.books[KEY].quote is None
    told = list(made.apply(BookUpdate(NOW, KEY, 0, False, number, b'[["99","1"]]', b"[]"), 1))
    assert isinstance(told[0], Fault) and made.books[KEY].state == "INVALID" and made.resyncs


def test_a_trade_dated_beyond_all_columns_is_kept_without_its_date() -> None:
    made, rows = market(), Collector("run")
    for date in (NOW, 10**30, -(10**30)):
        rows.on(Trade(NOW, KEY, date, 100.0, 1.0, "buy", str(date)), made)
    assert [trade.ts_exch for trade in rows.trades_after(0)[1]] == [NOW, 0, 0]


def test_changes_that_waited_for_their_snapshot_are_told_at_the_time_of_their_use() -> None:
    made = market()
    made.now = NOW + 500
    [touch] = made.apply(BookUpdate(NOW + 100, KEY, 0, False, 2, b'[["100.5","1"]]', b"[]"), 1)
    assert touch.ts == NOW + 500 and made.books[KEY].own_ts == NOW + 100
