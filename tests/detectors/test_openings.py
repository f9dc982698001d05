"""What became of each opening: its orders fill when a desk with that latency would have filled them, its life is that of its row."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise
from types import SimpleNamespace

import pytest

from dope.backtest.desk import Desk as Trader
from dope.backtest.desk import Order
from dope.detectors import Openings, Rules
from dope.detectors.openings import AGES_MS, SIZES, WATCHED, Opening, order
from dope.engine import Engine
from dope.readings import market_map, survival
from dope.readings.asked import Asked
from dope.types import CLOSED, TICK, Frame
from tests.detectors.test_arbitrage import Desk
from tests.frames import MS, okx_book, opened, play, spot_diff


class Watching(Desk):
    """Two books, the detector behind arbitrage, a clock tick each 10 ms, and a word from Binance after each."""

    def __init__(self, rules: Rules = Rules(min_notional=1.0)) -> None:
        super().__init__(rules)
        self.openings = Openings(self.arbitrage)
        self.engine = Engine(self.engine.venues, [self.arbitrage, self.openings])
        self.traders: list[tuple[Opening, list[Trader]]] = []
        self.known = 0
        self._hello()

    def _hello(self) -> None:
        self.engine.step_many(play("okx", [opened("public")], conn=2))
        self.binance(("99.99", "5"), ("100.00", "5"))

    def pass_ms(self, ms: int) -> None:
        """Ticks at tens of milliseconds, with whatever arrives between them before the next."""
        end = self.t + ms * MS
        while self.t < end:
            self.t = (self.t // (10 * MS) + 1) * 10 * MS
            self._frame(Frame(self.t, "", 0, TICK, b"0"))
            self.u += 10
            self._frame(Frame(self.t + MS // 2, "binance_spot", 1, *spot_diff(self.u - 8, self.u + 1, [], [])))
            self.t += MS

    def price(self, bid: float, size: float) -> None:
        """Another bid at OKX, at the whole millisecond after a tick."""
        self.seq += 1
        item = okx_book("snapshot", self.seq, -1, [(f"{bid:.2f}", f"{size:.1f}"), ("90", "9")], [("120", "1")])
        self._frame(Frame(self.t, "okx", 2, *item))

    def _frame(self, frame: Frame) -> None:
        books = self.engine.market.books
        for _, traders in self.traders:
            for trader in traders:
                trader.settle(frame.ts, books)
        found = self.engine.step(frame)
        for row in found:
            if type(row).__name__ == "Opportunity" and row.closed is None:  # type: ignore[attr-defined]
                self._trade(row)

    def _trade(self, row: object) -> None:
        opening = self.openings.records[-1]
        qty, ask, bid = order(row, self.arbitrage.rules.order_size)  # type: ignore[arg-type]
        sent = Order(1, opening.opened, "BTC-USDT", "BTC", "USDT", opening.buy, opening.sell, qty, ask, bid, 0.001, 0.001, buy_in_base=True)
        traders = [Trader(latency_ms=float(ms)) for ms in AGES_MS]
        for trader in traders:
            trader.submit(sent)
        self.traders.append((opening, traders))


def bits(mask: int) -> list[int]:
    return [ms for k, ms in enumerate(AGES_MS) if mask >> k & 1]


def test_orders_fill_when_a_desk_with_that_latency_fills_them() -> None:
    rng, desk = random.Random(6), Watching(Rules(min_notional=1.0, order_size=400.0))
    for _ in range(60):
        desk.price(rng.choice((101.0, 101.0, 100.9, 100.4, 100.1, 99.0)), rng.choice((1.0, 3.9, 4.1, 9.0)))
        desk.pass_ms(rng.choice((10, 20, 40, 120, 300)))
    desk.pass_ms(5100)
    assert len(desk.traders) >= 6
    filled = [bits(opening.filled) for opening, _ in desk.traders]
    for each, (_, traders) in zip(filled, desk.traders, strict=True):
        assert each == [ms for ms, trader in zip(AGES_MS, traders, strict=True) if trader.executions[0].status == "both filled"]
    assert all(bits(opening.looked) == list(AGES_MS) and opening.blind == 0 for opening, _ in desk.traders)
    assert any(0 < len(each) < len(AGES_MS) for each in filled) and all(0 in each for each in filled)
    places = [[AGES_MS.index(ms) for ms in each] for each in filled]
    assert any(b - a > 1 for each in places for a, b in pairwise(each)), "a price that left came back"


def test_a_book_that_is_gone_fills_nothing_and_the_life_ends_with_its_row() -> None:
    desk = Watching()
    desk.price(101.0, 3.0)
    desk.pass_ms(100)
    desk._frame(Frame(desk.t, "okx", 2, CLOSED, b""))
    desk.pass_ms(5100)
    (opening,) = desk.openings.records
    before = [0, 10, 20, 50, 100]
    assert opening.reason == "stale" and bits(opening.filled) == before
    assert bits(opening.blind) == [ms for ms in AGES_MS if ms not in before]
    assert opening.life(desk.t) == (pytest.approx(0.1, abs=0.02), False)


def test_what_an_opening_pays_at_each_size_is_the_walk_of_that_size() -> None:
    desk = Watching()
    desk.price(101.0, 3.0)
    (opening,) = desk.openings.records
    assert opening.net_bps[0] is None, "the books hold 303 USDT"
    beyond = 3 * (101 * 0.999 - 100 / 0.999) / (100 / 0.999 - 90 * 0.999)  # so much more, sold at 90, eats all of the profit
    assert opening.capacity == pytest.approx((3.0 + beyond) * 100.0 / 0.999, rel=1e-5) and opening.late == ""
    deep = Watching()
    deep.price(101.0, 4000.0)
    (opening,) = deep.openings.records
    assert opening.net_bps == (None, None, None) and opening.qty == pytest.approx(5 * 0.999)
    small = Watching(Rules(min_notional=1.0, order_size=250.0))
    small.price(101.0, 3.0)
    (opening,) = small.openings.records
    assert opening.qty * 100.0 / 0.999 == pytest.approx(250.0) and (opening.limit_buy, opening.limit_sell) == (100.0, 101.0)


def test_the_detector_is_bounded_and_can_be_kept() -> None:
    desk = Watching(Rules(min_notional=1.0, debounce=0))
    for _ in range(5):
        desk.price(101.0, 3.0)
        desk.pass_ms(10)
        desk.price(99.0, 3.0)
        desk.pass_ms(20)
    again = pickle.loads(pickle.dumps(desk.openings))
    assert [row.id for row in again.records] == [row.id for row in desk.openings.records] and len(again.records) == 5
    desk.openings._watched = WATCHED
    desk.price(101.0, 3.0)
    assert desk.openings.unwatched == 1 and desk.openings.records[-1].looked == 0


# -- what is read of it --------------------------------------------------------------------------------------------------
HOUR = 3600 * 10**9


def session_of(records: list[Opening]) -> SimpleNamespace:
    openings = Openings(SimpleNamespace())  # type: ignore[arg-type]
    openings.records.extend(records)
    openings.since = HOUR
    return SimpleNamespace(engine=SimpleNamespace(detectors=[openings]), settings=SimpleNamespace(latency_ms=100.0))


def planted(rng: random.Random, sell: str, *, count: int, net: float, median: float, late: float) -> list[Opening]:
    rows = []
    for n in range(count):
        opened = HOUR + int(rng.random() * HOUR)
        life = int(rng.expovariate(0.693 / median) * 1e9)
        row = Opening(n, "BTC-USDT", "spot", "a:BTC-USDT", f"{sell}:BTC-USDT", opened, closed=opened + life, reason="faded")
        row.net_bps = (rng.gauss(net, 0.5), rng.gauss(net / 2, 0.5), None)
        row.capacity, row.late = 5000.0, "a" if n < late * count else ""
        row.looked = (1 << len(AGES_MS)) - 1
        row.filled = sum(1 << k for k, ms in enumerate(AGES_MS) if ms * 1_000_000 < life)
        rows.append(row)
    return rows


def asked(symbol: str = "", **args: str) -> Asked:
    return Asked(symbol, 0, 0, 0, args, 2 * HOUR, lambda read: read())


def test_the_market_map_recovers_what_was_planted() -> None:
    rng = random.Random(7)
    rows = [*planted(rng, "b", count=300, net=3.0, median=0.2, late=0.5), *planted(rng, "c", count=90, net=20.0, median=2.0, late=0.0),
            *planted(rng, "d", count=20, net=9.0, median=1.0, late=0.1)]  # fmt: skip
    told = market_map.read(session_of(rows), asked())  # type: ignore[arg-type]
    assert [row["sell_venue"] for row in told["rows"]] == ["c", "b", "d"], "1.8, 0.9 and 0.18 a thousand and hour"
    for row, count, net, median, late in zip(told["rows"], (90, 300, 20), (20.0, 3.0, 9.0), (2.0, 0.2, 1.0), (0.0, 0.5, 0.1), strict=True):
        assert row["per_hour"] == pytest.approx(count) and row["per_hour_low"] < count < row["per_hour_high"]
        assert [each["size"] for each in row["net_bps"]] == list(SIZES) and row["net_bps"][2]["n"] == 0
        assert abs(row["net_bps"][0]["median"] - net) < 0.5 < row["net_bps"][0]["p95"] - net + 0.2
        assert row["median_low_s"] <= median <= row["median_high_s"]
        assert row["late_low"] - 1e-9 <= late <= row["late_high"]
    assert told["rows"][1]["late_venue"] == "a" and told["rows"][0]["late_venue"] == ""
    assert told["rows"][0]["fills"] > told["rows"][1]["fills"]


def test_the_survival_reading_tells_pairs_apart_and_knows_my_latency() -> None:
    rng = random.Random(8)
    rows = [*planted(rng, "b", count=200, net=3.0, median=0.2, late=0.0), *planted(rng, "c", count=150, net=3.0, median=2.0, late=0.0)]
    rows.append(Opening(999, "ETH-USDT", "spot", "a:ETH-USDT", "b:ETH-USDT", 2 * HOUR - 10**9))
    told = survival.read(session_of(rows), asked("BTC-USDT"))  # type: ignore[arg-type]
    assert (told["total"]["openings"], len(told["pairs"])) == (350, 2)
    quick, slow = told["pairs"]
    assert quick["differs_p"] < 1e-6 and quick["median_s"] < slow["median_s"]
    assert told["latency_ms"] == 100.0 and quick["fills_at_latency"]["ms"] == 100
    true = 2 ** (-0.1 / 0.2)
    assert quick["fills_at_latency"]["low"] < true < quick["fills_at_latency"]["high"]
    assert [row["ms"] for row in quick["fills"]] == list(AGES_MS) and len(quick["open_after"]) <= survival.MAX_STEPS
    one = survival.read(session_of(rows), asked(buy_venue="a", sell_venue="b"))  # type: ignore[arg-type]
    assert {row["symbol"] for row in one["pairs"]} == {"BTC-USDT", "ETH-USDT"} and one["total"]["open"] == 1
    nothing = survival.read(session_of([]), asked())  # type: ignore[arg-type]
    assert nothing["total"]["fills_at_latency"] is None and nothing["pairs"] == [] and nothing["total"]["median_s"] is None
