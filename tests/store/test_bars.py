"""Bars of recorded trades, with all that is needed to add them up, and only as far as somebody else does not count them."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.store.embedded import Store
from dope.tables import BAR
from tests.store.folders import NS, T0, Row, Tail, seal, tape, trade

END = T0 + 60 * NS
TRADES = st.lists(
    st.tuples(
        st.integers(0, 590), st.integers(990, 1010).map(lambda n: n / 10), st.integers(1, 20).map(lambda n: n / 8), st.sampled_from("abc"),
        st.sampled_from(["buy", "sell"]),
    ), max_size=40,
)  # fmt: skip


def plain(rows: list[Row], step: int, until: dict[str, int]) -> list[dict[str, Any]]:
    groups: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["ts"]):
        if row["ts"] < until.get(row["venue"], END):
            groups[row["ts"] // step * step, row["venue"]].append(row)
    found = []
    for (ts, venue), some in sorted(groups.items()):
        prices, bought = [row["price"] for row in some], [row for row in some if row["side"] == "buy"]
        found.append({
            "ts": ts, "symbol": "BTC-USDT", "venue": venue, "open": prices[0], "high": max(prices), "low": min(prices),
            "close": prices[-1], "volume": math.fsum(row["size"] for row in some), "trades": len(some), "first": some[0]["ts"],
            "last": some[-1]["ts"], "bought": math.fsum(row["size"] for row in bought),
            "value": math.fsum(row["size"] * row["price"] for row in some),
            "bought_value": math.fsum(row["size"] * row["price"] for row in bought),
        })  # fmt: skip
    return found


@settings(max_examples=30, deadline=None)
@given(TRADES, st.integers(0, 40), st.dictionaries(st.sampled_from("abcd"), st.integers(0, 60).map(lambda s: T0 + s * NS)))
def test_each_trade_before_its_venues_own_moment_is_in_its_bar_and_none_from_then_on(
    raw: list[tuple[int, float, float, str, str]], cut: int, until: dict[str, int]
) -> None:
    rows = [
        trade(T0 + tenth * NS // 10, price, size, venue=venue, side=side, name=str(n))
        for n, (tenth, price, size, venue, side) in enumerate(sorted(raw, key=lambda each: each[0]))
    ]  # fmt: skip
    with TemporaryDirectory() as name:
        seal(Path(name), tape(1), {"trade": rows[:cut]})
        store = Store(Path(name), tail=Tail({tape(2): {"trade": rows[cut:]}}), clock_ns=lambda: END)
        for kind, step in (("ohlcv_5s", 5 * NS), ("ohlcv_1m", 60 * NS)):
            answer = store.query(kind, "BTC-USDT", T0, END, until=until)
            assert answer.table.schema.equals(BAR)
            assert [pytest.approx(row) for row in plain(rows, step, until)] == answer.table.to_pylist()
            short = store.query(kind, "BTC-USDT", T0, END).table
            assert short.column_names == BAR.names[:9], "who does not add them up gets the plain bars"
        store.close()
