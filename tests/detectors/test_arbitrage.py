"""Opportunities are real: executable sizes, both fees, fresh LIVE legs, comparable markets, one row per life."""

from __future__ import annotations

import itertools

import pytest

from dope.detectors import Arbitrage, Cost, Rules
from dope.detectors.arbitrage import Opportunity, common_lot
from dope.detectors.indicative import PriceData, indicative_profit, indicative_spread
from dope.detectors.near import near_misses
from dope.engine import Engine
from dope.market.lane import PAIRED
from dope.types import TICK, Frame, Instrument, Listed
from dope.venues import make
from tests.frames import MS, T0, okx_book, opened, play, reply, spot_diff

COSTS = {
    ("binance_spot", "spot"): Cost(0.001, "base"),
    ("okx", "spot"): Cost(0.001, "base"),
    ("okx", "perp"): Cost(0.0005, "quote"),
    ("binance_usdm", "perp"): Cost(0.0005, "quote"),
}


class Desk:
    """Two books that a test sets as it likes, through real messages."""

    def __init__(self, rules: Rules, costs: dict = COSTS) -> None:  # type: ignore[type-arg]
        self.engine = Engine({v: make(v, ()) for v in ("binance_spot", "okx")}, [Arbitrage(costs, rules)])
        self.arbitrage: Arbitrage = self.engine.detectors[0]  # type: ignore[assignment]
        self.t, self.u, self.seq = T0, 10, 100
        self.engine.step_many(play("okx", [opened("public")], conn=2))
        self._reply_needed = True

    def okx(self, bid: tuple[str, str], ask: tuple[str, str], inst: str = "BTC-USDT") -> list[Opportunity]:
        self.seq += 1
        return self._step("okx", 2, okx_book("snapshot", self.seq, -1, [bid], [ask], inst))

    def binance(self, bid: tuple[str, str], ask: tuple[str, str]) -> list[Opportunity]:


        out = []
        self.u += 10
        self.engine.venues["binance_spot"].resync("BTC-USDT", self.t)
        out += self._step("binance_spot", 1, spot_diff(self.u, self.u + 1, [], []))
        out += self._step("binance_spot", 1, reply("depth:BTCUSDT", {"lastUpdateId": self.u + 1, "bids": [bid], "asks": [ask]}))
        return out

    def _step(self, venue: str, conn: int, item: tuple[int, bytes]) -> list[Opportunity]:
        self.t += MS
        return [e for e in self.engine.step(Frame(self.t, venue, conn, *item)) if isinstance(e, Opportunity)]

    def tick(self, ms: int) -> list[Opportunity]:
        self.t += ms * MS
        return [e for e in self.engine.step(Frame(self.t, "", 0, TICK, b"0")) if isinstance(e, Opportunity)]

    def followed(self) -> set[str]:
        """Books of which each change behind the touch is looked at."""
        market = self.engine.market
        return {key for key, book in market.books.items() if market.slots.state[book.slot, PAIRED]}


def open_one(rules: Rules = Rules(min_notional=1.0)) -> tuple[Desk, Opportunity]:
    desk = Desk(rules)
    desk.binance(("99.99", "5"), ("100.00", "5"))
    found = desk.okx(("102.00", "3"), ("102.01", "3"))
    assert [o.state for o in found] == ["open"]
    return desk, found[0]


def test_buy_at_100_sell_at_102_is_an_opportunity_with_profit_after_fees() -> None:
    _, o = open_one()
    assert (o.buy, o.sell) == ("binance_spot:BTC-USDT", "okx:BTC-USDT")
    assert o.net > 0 and o.net_bps > 0
    assert o.qty == pytest.approx(3.0)
    # 3 bought cost a little more than 3: the fee of a spot buy is taken from what is received
    assert o.buy_cost == pytest.approx(3.0 * 100.0 / 0.999)
    assert o.sell_proceeds == pytest.approx(3.0 * 102.0 * 0.999)
    assert o.gross - o.fees == pytest.approx(o.net)
    assert o.gross_bps - o.fees_bps == pytest.approx(o.net_bps)


def test_the_plain_formula_is_kept_beside_the_executable_one() -> None:
    a, b = PriceData("a", "BTC-USDT", 100.0), PriceData("b", "BTC-USDT", 102.0)
    assert (a.buy_at, b.sell_at) == (100.0, 102.0)
    assert indicative_spread(a.buy_at, b.sell_at) == pytest.approx(2.0)
    assert indicative_profit(a.buy_at, b.sell_at, 0.1, 0.1) == pytest.approx(1.8)
    _, o = open_one()
    assert o.indicative_pct == pytest.approx((102.005 / 99.995 - 1) * 100)
    assert o.indicative_profit_pct == pytest.approx(o.indicative_pct - 0.2)


def test_the_users_order_size_is_priced_too() -> None:
    _, o = open_one(Rules(min_notional=1.0, order_size=100.0))
    assert o.order_qty * 100.0 / 0.999 == pytest.approx(100.0, rel=1e-3)
    assert 0 < o.net_at_order < o.net


def test_a_cross_that_the_fees_eat_is_a_near_miss_with_the_blocking_term() -> None:
    desk = Desk(Rules(min_notional=1.0))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    assert desk.okx(("100.10", "3"), ("100.11", "3")) == []
    miss = near_misses(desk.arbitrage, desk.engine.market, desk.t, 5)[0]
    assert miss["gross_bps"] == pytest.approx(10.0)
    assert miss["net_bps"] == pytest.approx(10.0 - miss["fees_bps"])
    assert "needs" in miss["blocks"] and "fees take" in miss["blocks"]
    # and the named amount is the one that is missing
    cheaper = {key: Cost(0.0, "quote") for key in COSTS}
    again = Desk(Rules(min_notional=1.0), cheaper)
    again.binance(("99.99", "5"), ("100.00", "5"))
    assert [o.state for o in again.okx(("100.10", "3"), ("100.11", "3"))] == ["open"]


def test_one_row_per_life_with_peak_and_reason() -> None:
    desk, first = open_one()
    desk.okx(("103.00", "3"), ("103.01", "3"))
    assert desk.arbitrage.rows()[0].id == first.id
    assert desk.arbitrage.rows()[0].updates == 2
    assert desk.okx(("100.00", "3"), ("100.01", "3")) == []  # below: wait for the debounce
    assert desk.arbitrage.rows()[0].state == "fading"
    ended = desk.tick(120)
    assert [(o.state, o.reason, o.id) for o in ended] == [("closed", "faded", first.id)]
    assert ended[0].peak_bps > first.net_bps
    assert ended[0].closed is not None and ended[0].closed > first.opened
    assert desk.arbitrage.rows() == []


def test_a_leg_that_grows_too_old_closes_the_life_as_stale() -> None:
    desk, _ = open_one()
    ended = list(itertools.chain.from_iterable(desk.tick(500) for _ in range(12)))
    assert [(o.state, o.reason) for o in ended] == [("stale", "stale")]
    assert "older than" in near_misses(desk.arbitrage, desk.engine.market, desk.t, 1)[0]["blocks"] or "STALE" in near_misses(
        desk.arbitrage, desk.engine.market, desk.t, 1
    )[0]["blocks"]


def test_a_leg_older_than_the_limit_closes_the_life_although_its_book_is_still_live() -> None:
    desk, _ = open_one(Rules(min_notional=1.0, max_age_s=1.0))
    assert desk.tick(900) == []
    assert [(o.state, o.reason) for o in desk.tick(200)] == [("stale", "stale")]
    market = desk.engine.market
    assert [book.state for book in market.books.values()] == ["LIVE", "LIVE"]
    assert "older than 1000 ms" in near_misses(desk.arbitrage, market, desk.t, 1)[0]["blocks"]


def test_a_leg_that_is_too_old_opens_nothing() -> None:
    desk = Desk(Rules(min_notional=1.0, max_age_s=1.0))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    desk.tick(1100)
    assert desk.okx(("102.00", "3"), ("102.01", "3")) == [], "the other leg spoke 1.1 s ago"
    assert [o.state for o in desk.binance(("99.99", "5"), ("100.00", "4"))] == ["open"]


def test_a_size_below_the_minimum_is_no_row() -> None:
    desk = Desk(Rules(min_notional=1000.0))
    desk.binance(("99.99", "5"), ("100.00", "0.5"))
    assert desk.okx(("102.00", "3"), ("102.01", "3")) == []
    assert "size below" in near_misses(desk.arbitrage, desk.engine.market, desk.t, 1)[0]["blocks"]


def instrument(venue: str, symbol: str, kind: str = "spot", value: float | None = 1.0) -> Instrument:
    base, quote = symbol.split("-")[:2]
    return Instrument(venue, symbol, symbol, base, quote, kind, value)


@pytest.mark.parametrize(
    ("other", "comparable"),
    [
        (instrument("okx", "BTC-USDT"), True),
        (instrument("okx", "BTC-USDC"), False),
        (instrument("okx", "ETH-USDT"), False),
        (instrument("okx", "BTC-USDT-PERP", "perp"), False),
        (instrument("okx", "BTC-USDT", "spot", None), False),
        (instrument("nobody", "BTC-USDT"), False),
    ],
    ids=["same", "other quote", "other base", "perpetual", "contract size unknown", "fee unknown"],
)
def test_only_the_same_thing_in_the_same_currency_is_compared(other: Instrument, comparable: bool) -> None:
    desk = Arbitrage(COSTS)
    engine = Engine({})
    for i in (instrument("binance_spot", "BTC-USDT"), other):
        engine.market.open_book(i, T0, "", 5.0)
        desk.on(Listed(T0, i), engine.market)
    assert bool(desk.pairs) == comparable


def test_lots_of_both_venues_are_respected() -> None:
    assert common_lot(0.01, 0.025) == pytest.approx(0.05)
    assert common_lot(0.0, 0.025) == 0.025
    assert common_lot(0.0, 0.0) == 0.0


def test_changes_behind_the_touch_are_followed_while_a_life_is_open() -> None:
    desk, first = open_one()
    desk.seq += 1
    before = desk.arbitrage.rows()[0].qty
    desk._step("okx", 2, okx_book("update", desk.seq, desk.seq - 1, [("101.90", "7")], []))
    assert desk.arbitrage.rows()[0].qty > before
    assert desk.arbitrage.rows()[0].id == first.id


def test_changes_behind_the_touch_are_followed_while_a_pair_is_near_and_open_it() -> None:
    desk = Desk(Rules(min_notional=400.0))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    assert desk.okx(("102.00", "3"), ("102.01", "3")) == [], "it pays, for 300 USDT"
    desk.seq += 1
    found = desk._step("okx", 2, okx_book("update", desk.seq, desk.seq - 1, [("101.90", "7")], []))
    assert [(o.state, o.qty) for o in found] == [("open", pytest.approx(5.0 * 0.999, abs=1e-4))]


def test_nothing_is_told_of_changes_behind_the_touch_of_pairs_that_are_far_from_paying() -> None:
    desk = Desk(Rules(min_notional=1.0))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    desk.okx(("99.98", "3"), ("100.01", "3"))
    assert desk.followed() == set()
    desk.okx(("102.00", "3"), ("102.01", "3"))
    assert desk.followed() == {"binance_spot:BTC-USDT", "okx:BTC-USDT"}
    desk.okx(("99.98", "3"), ("100.01", "3"))
    desk.tick(120)
    desk.okx(("99.97", "3"), ("100.01", "3"))
    assert desk.followed() == set()


def test_new_levels_apply_to_the_running_detector() -> None:
    desk = Desk(Rules(enter=500.0, min_notional=1.0))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    assert desk.okx(("102.00", "3"), ("102.01", "3")) == []
    desk.arbitrage.set_rules(Rules(enter=10.0, min_notional=1.0), desk.engine.market)
    assert [o.state for o in desk.okx(("102.00", "4"), ("102.01", "3"))] == ["open"]


def the_list(key: str, instrument: Instrument) -> tuple[int, bytes]:
    """OKX's answer for one spot market."""
    row = {"instId": instrument.native, "tickSz": str(instrument.tick), "lotSz": str(instrument.lot), "minSz": "0.1", "state": "live"}
    return reply(key, {"code": "0", "data": [row], "msg": ""})


def test_what_a_venues_list_says_of_lots_holds_for_pairs_that_stand_already() -> None:
    desk, row = open_one()
    before = desk.arbitrage.pairs[("binance_spot:BTC-USDT", "okx:BTC-USDT")]
    assert before.sell.lot == 1e-8 and row.qty == 3.0
    listed = Instrument("okx", "BTC-USDT", "BTC-USDT", "BTC", "USDT", "spot", tick=0.1, lot=0.7, min_size=0.1)
    desk._step("okx", 0, the_list("list SPOT", listed))
    pair = desk.arbitrage.pairs[("binance_spot:BTC-USDT", "okx:BTC-USDT")]
    assert pair is before and pair.sell == listed == desk.engine.market.books["okx:BTC-USDT"].instrument
    assert pair.lot == pytest.approx(common_lot(pair.buy.lot, 0.7))
    assert pair.walk(pair.sides(desk.engine.market)).qty == pytest.approx(2.8)
    assert all(peer.lot == 0.7 for peer in desk.arbitrage._groups[("BTC", "USDT", "spot")] if peer.venue == "okx")
