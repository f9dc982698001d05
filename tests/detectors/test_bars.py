"""Bars of trades are what a plain list of the same trades says, in any grouping; all venues together add up."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors.bars import INTERVALS, KEPT, Bars, TradeBar, bars_of, together
from dope.market.lane import TRADE_RING
from dope.market.market import Market
from dope.types import Tick
from tests.examples import some

NS = 1_000_000_000
T0 = 1_700_000_000 * NS  #: 800 s behind a full hour
Told = tuple[int, int, float, float, float]  #: slot, ns, price, size, sign
TRADES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 400).map(lambda k: k * NS // 7), st.sampled_from([99.0, 100.0, 101.5]),
              st.integers(1, 40).map(lambda n: n / 8), st.sampled_from([-1.0, 1.0])),
    max_size=80,
)  # fmt: skip


def market(slots: int = 3) -> Market:
    made = Market()
    for _ in range(slots):
        made.slots.add()
    return made


def listen(bars: Bars, into: Market, told: list[Told], every: int = 1) -> None:
    """Trades in order of time, a Tick behind each ``every`` of them."""
    bars.on(Tick(T0 - NS, 0), into)
    for n, (slot, t, *figures) in enumerate(told):
        into.slots.trade(slot, (T0 + t, 0), (figures[0], figures[1], figures[2]))
        if n % every == 0:
            into.slots.settle_trades()
            bars.on(Tick(T0 + t, 0), into)
    into.slots.settle_trades()
    bars.on(Tick(T0 + 1000 * NS, 0), into)


def plain(told: list[Told], seconds: int) -> dict[int, dict[str, Any]]:
    """What a person would write down."""
    found: dict[int, list[Told]] = {}
    for each in told:
        t = T0 + each[1]
        found.setdefault(t - t % (seconds * NS), []).append(each)
    return {
        start: {"open": some[0][2], "close": some[-1][2], "high": max(e[2] for e in some), "low": min(e[2] for e in some),
                "volume": sum(e[3] for e in some), "bought": sum(e[3] for e in some if e[4] > 0),
                "value": sum(e[3] * e[2] for e in some), "count": len(some)}
        for start, some in found.items()
    }  # fmt: skip


def told_of(bar: TradeBar, names: Any) -> dict[str, Any]:
    return {name: getattr(bar, name) for name in names}


@settings(max_examples=some(120), deadline=None)
@given(TRADES, st.integers(1, 9))
def test_bars_are_what_the_list_of_trades_says_in_any_grouping(raw: list[Told], every: int) -> None:
    told = sorted(raw, key=lambda each: each[1])
    bars, into = Bars(), market()
    listen(bars, into, told, every)
    for interval, seconds in INTERVALS.items():
        each = [bars_of(bars.copy(slot, interval)) for slot in range(3)]
        for slot, rows in enumerate(each):
            want = plain([one for one in told if one[0] == slot], seconds)
            assert [bar.start for bar in rows] == sorted(want)
            assert all(told_of(bar, want[bar.start]) == want[bar.start] and bar.end - bar.start == seconds * NS for bar in rows)
        want, all_of = plain(told, seconds), together(each)
        assert [bar.start for bar in all_of] == sorted(want)
        for bar in all_of:
            same = want[bar.start]
            assert {name: told_of(bar, same)[name] for name in ("high", "low", "volume", "bought", "value", "count")} == {
                name: same[name] for name in ("high", "low", "volume", "bought", "value", "count")
            }
            there = [one for rows in each for one in rows if one.start == bar.start]
            assert bar.exchange_count == len(there) and bar.volume == math.fsum(one.volume for one in there)
            first, last = min(there, key=lambda one: one.first), max(there, key=lambda one: one.last)
            assert (bar.open, bar.close) == (first.open, last.close)


def test_the_newest_bar_is_open_until_its_time_is_over_and_the_first_is_partial() -> None:
    bars, into = Bars(), market(1)
    bars.on(Tick(T0, 0), into)
    into.slots.trade(0, (T0 + 1, 0), (100.0, 1.0, 1.0))
    into.slots.settle_trades()
    bars.on(Tick(T0 + NS // 2, 0), into)
    minute, second = (bars_of(bars.copy(0, name))[0] for name in ("1m", "1s"))
    assert (minute.closed, minute.partial, second.closed, second.partial) == (False, True, False, False)
    bars.on(Tick(T0 + NS, 0), into)
    assert [bars_of(bars.copy(0, name))[0].closed for name in ("1m", "1s")] == [False, True]


def test_a_range_of_time_is_cut_by_the_beginning_of_bars() -> None:
    bars, into = Bars(), market(1)
    listen(bars, into, [(0, k * NS, 100.0, 1.0, 1.0) for k in range(10)])
    found = bars_of(bars.copy(0, "1s", T0 + 3 * NS, T0 + 6 * NS))
    assert [(bar.start - T0) // NS for bar in found] == [3, 4, 5]


def test_trades_that_their_ring_no_longer_holds_are_counted() -> None:
    bars, into = Bars(), market(1)
    bars.on(Tick(T0, 0), into)
    for k in range(TRADE_RING + 5):
        into.slots.trade(0, (T0 + k, 0), (100.0, 1.0, 1.0))
    into.slots.settle_trades()
    bars.on(Tick(T0 + NS, 0), into)
    assert bars.lost(0) == 5 and bars_of(bars.copy(0, "1d"))[0].count == TRADE_RING
    assert bars.lost(7) == 0 and bars_of(bars.copy(7, "1d")) == []


def test_only_so_many_bars_are_kept_and_new_markets_lose_none() -> None:
    bars, into = Bars(), market(1)
    listen(bars, into, [(0, k * NS, 100.0 + k, 1.0, 1.0) for k in range(KEPT + 3)])
    rows = bars_of(bars.copy(0, "1s"))
    assert len(rows) == KEPT and rows[0].open == 103.0
    for _ in range(40):
        into.slots.add()
    bars.on(Tick(T0 + 3000 * NS, 0), into)
    again: Bars = pickle.loads(pickle.dumps(bars))
    assert bars_of(bars.copy(0, "1s")) == bars_of(again.copy(0, "1s"))
    assert [bar.open for bar in bars_of(bars.copy(0, "1s"))] == [bar.open for bar in rows] and bars_of(bars.copy(40, "1s")) == []


def test_an_unknown_length_is_an_error() -> None:
    with pytest.raises(KeyError):
        Bars().copy(0, "2m")
