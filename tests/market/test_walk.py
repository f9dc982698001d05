"""The depth walk is the exact optimum, and its ledger sums."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest

from dope.market.walk import NOTHING, two_book, vwap

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "vectors" / "arbitrage_depth.json"


def cases() -> list[dict]:  # type: ignore[type-arg]
    return json.loads(VECTORS.read_text())["two_book"] if VECTORS.exists() else []


@pytest.mark.skipif(not VECTORS.exists(), reason="reference vectors are not here")
@pytest.mark.parametrize("case", cases(), ids=lambda c: c["name"])
def test_reference_vectors(case: dict) -> None:  # type: ignore[type-arg]
    limits = {name: case[name] for name in ("max_qty", "max_quote", "lot", "transfer") if name in case}
    walk = two_book(case["asks_on_buy_venue"], case["bids_on_sell_venue"], case["fee_buy"], case["fee_sell"], **limits)
    want = case["expected"]
    got = {"qty": walk.qty, "buy_cost": walk.cost, "sell_proceeds": walk.proceeds, "gross": walk.gross, "fees": walk.fees, "net": walk.net,
           "buy_vwap": walk.buy_vwap, "sell_vwap": walk.sell_vwap, "net_bps": walk.net_bps}  # fmt: skip
    for name, value in got.items():
        assert value == (None if want[name] is None else pytest.approx(want[name], abs=1e-9)), name
    assert list(walk.levels) == want["levels"]


def brute_force(asks: list, bids: list, fb: float, fs: float) -> float:  # type: ignore[type-arg]
    """Best profit over every breakpoint quantity of either ladder."""
    points = {0.0}
    for side in (asks, bids):
        total = 0.0
        for _, size in side:
            total += size
            points.add(total)
    def taken(side: list, qty: float) -> float:  # type: ignore[type-arg]
        left, value = qty, 0.0
        for price, size in side:
            use = min(left, size)
            value += use * price
            left -= use
        return value if left <= 1e-12 else math.nan
    profits = [taken(bids, q) * (1 - fs) - taken(asks, q) * (1 + fb) for q in points]
    return max(p for p in profits if not math.isnan(p))


def test_the_optimum_equals_brute_force_and_ledgers_sum() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        asks = sorted((round(rng.uniform(99, 101), 2), round(rng.uniform(0.1, 3), 3)) for _ in range(rng.randint(1, 8)))
        bids = sorted(((round(rng.uniform(99.5, 101.5), 2), round(rng.uniform(0.1, 3), 3)) for _ in range(rng.randint(1, 8))), reverse=True)
        fb, fs = rng.choice([0.0, 0.001, 0.0005]), rng.choice([0.0, 0.001, -0.0001])
        walk = two_book(asks, bids, fb, fs)
        assert walk.net == pytest.approx(brute_force(asks, bids, fb, fs), abs=1e-9)
        if walk is not NOTHING:
            assert walk.gross - walk.fees == pytest.approx(walk.net, abs=1e-9)
            assert walk.gross_bps is not None and walk.fees_bps is not None and walk.net_bps is not None
            assert walk.gross_bps - walk.fees_bps == pytest.approx(walk.net_bps, abs=1e-9)
            assert sum(q for _, _, q in walk.fills) == pytest.approx(walk.qty)


def test_an_order_of_the_users_size_is_priced_even_at_a_loss() -> None:
    walk = two_book([(100.0, 5.0)], [(99.0, 5.0)], 0.001, 0.001, max_quote=100.1, fill_all=True)
    assert walk.qty == pytest.approx(1.0)
    assert walk.net == pytest.approx(99 * 0.999 - 100 * 1.001)


def test_an_edge_of_exactly_zero_is_no_opportunity() -> None:
    assert two_book([(100.0, 1.0)], [(100.0, 1.0)], 0.0, 0.0) is NOTHING


def test_vwap_is_none_when_the_side_is_too_thin() -> None:
    assert vwap([(100.0, 1.0), (101.0, 1.0)], 2.0) == 100.5
    assert vwap([(100.0, 1.0)], 2.0) is None
