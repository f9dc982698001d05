"""Two currencies are never taken for one: cross-quote opportunities exist only through a live exchange, at its executable side."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dope.detectors import Arbitrage, Cost, CrossQuote, Pegs, Rules
from dope.detectors.arbitrage import Opportunity
from dope.detectors.crossings import crossings, exchanges, implied
from dope.detectors.exchange import Priced, Terms, edge_bps, through
from dope.detectors.ledger import of_opportunity
from dope.types import Event, Setting
from tests.detectors.floor import Floor, Side
from tests.oracle.plain_loops import best, spend, sums, take

FREE = {(venue, "spot"): Cost(0.0) for venue in ("a", "b", "c", "d")}
USDT, USD, STABLE = "a:BTC-USDT", "b:BTC-USD", "c:USDT-USD"


def floor(costs: dict[tuple[str, str], Cost] = FREE, **rules: float) -> tuple[Floor, CrossQuote]:
    arbitrage = Arbitrage(costs, Rules(**({"min_notional": 0.0} | rules)))  # type: ignore[arg-type]
    cross = CrossQuote(arbitrage)
    return Floor(arbitrage, cross), cross


def opened(events: list[Event]) -> list[Opportunity]:
    return [event for event in events if isinstance(event, Opportunity) and event.state == "open"]


def test_without_an_exchange_two_currencies_are_shown_and_never_compared() -> None:
    desk, cross = floor()
    desk.touch(USDT, 59_999.0, 60_000.0)
    desk.touch(USD, 61_000.0, 61_001.0)
    for _ in range(20):
        assert not opened(desk.tick())
    desk.lists(STABLE)  # it is listed, and has no book
    assert not opened(desk.tick())
    rows = crossings(cross, desk.market, desk.now, 10)
    assert len(rows) == 2 and all(row["net_bps"] is None and "not comparable" in row["blocks"] for row in rows)
    assert rows[0]["naive_bps"] == pytest.approx(166.67, abs=0.01), "the false profit is shown as what it is"


def test_a_coin_that_is_paid_with_costs_its_ask_and_one_that_is_received_brings_its_bid() -> None:
    desk, _ = floor()
    desk.touch(USDT, 60_000.0, 60_010.0)
    desk.touch(USD, 60_040.0, 60_050.0)
    desk.touch(STABLE, 0.9990, 0.9992, size=1e9)
    (found,) = opened(desk.tick())
    assert (found.buy, found.sell, found.via, found.kind, found.quote) == (USDT, USD, STABLE, "cross-quote", "USD")
    assert found.via_px == 0.9992
    assert found.touch_net_bps == pytest.approx((60_040 / (60_010 * 0.9992) - 1) * 1e4) == pytest.approx(13.009574465)
    assert found.net == pytest.approx(10.0 * (60_040 - 60_010 * 0.9992))
    desk.touch(USDT, 60_200.0, 60_210.0)
    desk.touch(USD, 60_040.0, 60_050.0)
    assert {o.sell for o in opened(desk.tick())} == {USDT}
    (found,) = [o for o in opened(desk.said) if o.sell == USDT]
    assert found.via_px == 0.9990 and found.net == pytest.approx(10.0 * (60_200 * 0.9990 - 60_050))


def test_money_of_a_row_adds_up_and_names_what_the_exchange_takes() -> None:
    costs = {("a", "spot"): Cost(0.001, "base"), ("b", "spot"): Cost(0.002), ("c", "spot"): Cost(0.0005, "base")}
    desk, _ = floor(costs)
    desk.book(USDT, [(59_900.0, 1.0)], [(60_000.0, 1.0), (60_050.0, 2.0)])
    desk.book(USD, [(60_700.0, 0.7), (60_650.0, 5.0)], [(60_800.0, 1.0)])
    desk.book(STABLE, [(0.9990, 1e6)], [(1.0000, 50_000.0), (1.0010, 1e6)])
    (found,) = opened(desk.tick())
    assert found.gross - found.fees - found.conversion == pytest.approx(found.net, abs=1e-9)
    assert found.gross_bps - found.fees_bps - found.conversion_bps == pytest.approx(found.net_bps, abs=1e-9)
    assert found.sell_proceeds - found.buy_cost - found.conversion == pytest.approx(found.net, abs=1e-9)
    paid = (1.0 * 60_000 + (found.qty / 0.999 - 1.0) * 60_050) / 0.9995  # coins, with the exchange's fee taken in coins
    assert found.net == pytest.approx((0.7 * 60_700 + (found.qty - 0.7) * 60_650) * 0.998 - 50_000 - (paid - 50_000) * 1.001, rel=1e-9)
    assert found.conversion > 0.0005 * paid, "its fee, half its spread and its depth"
    assert sum(size for _, _, size in found.levels) == pytest.approx(found.qty)


def test_fixed_costs_and_what_is_held_back_are_terms_of_the_row() -> None:
    desk, _ = floor(transfer=20.0, buffer_bps=5.0)
    desk.touch(USDT, 59_999.0, 60_000.0, size=1.0)
    desk.touch(USD, 60_600.0, 60_601.0, size=1.0)
    desk.touch(STABLE, 0.9999, 1.0001, size=1e9)
    (found,) = opened(desk.tick())
    assert found.net == pytest.approx(60_600 * 0.9995 - 60_006 - 20.0)
    assert (found.transfer, found.buffer) == (20.0, pytest.approx(30.3))
    assert found.gross - found.fees - found.conversion - found.transfer - found.buffer == pytest.approx(found.net, abs=1e-9)
    assert sum(entry.units for entry in of_opportunity(found)[:-1]) == of_opportunity(found)[-1].units
    assert {entry.term: float(entry.amount) for entry in of_opportunity(found)}["conversion"] == pytest.approx(-6.0)


def test_by_the_slack_the_fee_of_either_leg_may_be_higher_and_not_by_more() -> None:
    def net(buy: float, sell: float) -> Opportunity | None:
        desk, _ = floor({("a", "spot"): Cost(0.001 + buy), ("b", "spot"): Cost(0.001 + sell), ("c", "spot"): Cost(0.0005)})
        desk.touch(USDT, 59_999.0, 60_000.0, size=1.0)
        desk.touch(USD, 60_600.0, 60_601.0, size=1.0)
        desk.touch(STABLE, 0.9999, 1.0001, size=1e9)
        return next(iter(opened(desk.tick())), None)

    found = net(0.0, 0.0)
    assert found is not None
    slack = found.fee_slack_bps / 1e4
    for below, above in (((slack * 0.999, 0.0), (slack * 1.02, 0.0)), ((0.0, slack * 0.999), (0.0, slack * 1.02))):
        assert net(*below) is not None and net(*above) is None


def test_the_exchange_is_the_bottleneck_when_it_is_the_smallest() -> None:
    desk, _ = floor()
    desk.touch(USDT, 59_999.0, 60_000.0, size=10.0)
    desk.touch(USD, 60_600.0, 60_601.0, size=10.0)
    desk.touch(STABLE, 0.9999, 1.0001, size=30_000.0)
    (found,) = opened(desk.tick())
    assert found.qty == pytest.approx(0.5)


def test_the_cheapest_of_the_fresh_exchanges_is_taken_and_named() -> None:
    desk, cross = floor({**FREE, ("d", "spot"): Cost(0.001)})
    desk.touch(USDT, 59_999.0, 60_000.0)
    desk.touch(USD, 60_600.0, 60_601.0)
    desk.touch(STABLE, 0.9999, 1.0005, size=1e9)
    desk.touch("d:USDT-USD", 0.9999, 1.0001, size=1e9)  # cheaper but for its fee
    assert [o.via for o in opened(desk.tick())] == [STABLE]
    desk.loses(STABLE)
    assert [o.via for o in opened(desk.tick())] == ["d:USDT-USD"]
    assert [row.via for row in cross.rows()] == ["d:USDT-USD"]


@pytest.mark.parametrize("lost", [USDT, USD, STABLE])
def test_a_life_ends_as_stale_with_any_of_its_three_books(lost: str) -> None:
    desk, cross = floor()
    desk.touch(USDT, 59_999.0, 60_000.0)
    desk.touch(USD, 60_600.0, 60_601.0)
    desk.touch(STABLE, 0.9999, 1.0001, size=1e9)
    assert opened(desk.tick()) and cross.rows()
    ended = desk.loses(lost)
    assert [(o.state, o.reason) for o in ended if isinstance(o, Opportunity)] == [("stale", "stale")]
    assert not cross.rows() and not opened(desk.tick())


def test_an_exchange_that_has_not_spoken_for_long_is_none() -> None:
    desk, _ = floor()
    desk.touch(STABLE, 0.9999, 1.0001, size=1e9)
    for _ in range(60):  # the exchange grows old while the others speak
        desk.touch(USDT, 59_999.0, 60_000.0)
        desk.touch(USD, 59_990.0, 59_991.0)
        desk.tick(100)
    desk.touch(USD, 60_600.0, 60_601.0)
    desk.touch(USDT, 59_999.0, 60_000.0)
    assert not opened(desk.tick()), "older than 5 s"
    assert desk.market.books[STABLE].state == "LIVE"
    desk.touch(STABLE, 0.9999, 1.0001, size=1e9)
    assert opened(desk.tick())


def test_an_opportunity_fades_when_the_exchange_alone_moves() -> None:
    desk, _ = floor()
    desk.touch(USDT, 59_999.0, 60_000.0)
    desk.touch(USD, 60_060.0, 60_061.0)
    desk.touch(STABLE, 0.9999, 1.0001, size=1e9)
    assert opened(desk.tick())
    desk.touch(STABLE, 1.0010, 1.0013, size=1e9)
    told = [event for _ in range(20) for event in desk.tick() if isinstance(event, Opportunity)]
    assert [(o.state, o.reason) for o in told] == [("closed", "faded")]


def test_rules_and_fees_of_a_setting_hold_from_then_on() -> None:
    desk, cross = floor()
    desk.touch(USDT, 59_999.0, 60_000.0)
    desk.touch(USD, 60_060.0, 60_061.0)
    desk.touch(STABLE, 0.9999, 1.0001, size=1e9)
    dear = Arbitrage({**FREE, ("c", "spot"): Cost(0.01)}).terms(Rules(min_notional=0.0))
    desk.hear([Setting(desk.now, dear)])
    assert not opened(desk.tick())
    desk.hear([Setting(desk.now, cross.arbitrage.terms(Rules(min_notional=0.0, enter=5.0)).replace(b"0.01", b"0.0"))])
    assert opened(desk.tick())


def test_a_de_peg_of_two_percent_raises_no_opportunity_of_any_kind() -> None:
    """The whole market agrees that USDT is worth less: prices in USDT rise, and everything else stays as it was."""
    fees = {(venue, "spot"): Cost(0.001) for venue in "abcd"}
    arbitrage = Arbitrage(fees, Rules(min_notional=0.0))
    desk = Floor(arbitrage, CrossQuote(arbitrage), Pegs())
    for step in range(400):
        rate = 1.0 - 0.02 * min(step, 200) / 200
        for key in (USDT, "b:BTC-USDT", "d:BTC-USDT"):
            desk.touch(key, 59_999.0 / rate, 60_001.0 / rate)
        for key in (USD, "c:BTC-USD"):
            desk.touch(key, 59_999.0, 60_001.0)
        desk.touch(STABLE, rate - 1e-4, rate + 1e-4, size=1e9)
        desk.tick(100)
    assert not [event for event in desk.said if isinstance(event, Opportunity)]
    assert [(event.coin, event.off) for event in desk.said] == [("USDT", True)]  # type: ignore[attr-defined]


LEVELS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=5)


def side(steps: list[tuple[int, int]], start: float, by: float) -> Side:
    """Levels away from ``start`` by so many units of ``by`` each."""
    out, price = [], start
    for gap, size in steps:
        price += gap * by
        out.append((price, float(size)))
    return out


@settings(max_examples=70, deadline=None)
@given(LEVELS, LEVELS, LEVELS, st.booleans(), st.booleans(), st.booleans(), st.tuples(*[st.integers(0, 40)] * 3))
def test_the_walk_through_three_books_is_the_best_of_all_sizes(
    asks: list[tuple[int, int]], bids: list[tuple[int, int]], coins: list[tuple[int, int]],
    buys_coin: bool, base_fee: bool, coin_fee: bool, bps: tuple[int, int, int],
) -> None:  # fmt: skip
    """Brute force: net at every size at which anything changes, in fractions."""
    own_asks, own_bids = side(asks, 99.0, 0.05), side(bids, 103.0, -0.05)
    book = [(price, size * 60.0) for price, size in side(coins, 0.98, 0.001) if buys_coin] or [
        (price, size * 60.0) for price, size in side(coins, 1.02, -0.001)
    ]
    fees = [Fraction(each, 10_000) for each in bps]
    terms = [Terms(bps[0] / 1e4, base_fee), Terms(bps[1] / 1e4), Terms(bps[2] / 1e4, coin_fee)]
    arriving, on_buy = terms[0].arriving(own_asks), terms[0].on_buy
    if buys_coin:
        figures = Priced(
            True, through(arriving, terms[2].arriving(book), 1 + on_buy), own_bids, (1 + on_buy) * (1 + terms[2].on_buy) - 1, terms[1].fee,
            arriving, own_bids, (on_buy, terms[1].fee), 1.0,
        )  # fmt: skip
    else:
        figures = Priced(
            False, arriving, through(own_bids, book, 1 - terms[1].fee), on_buy, 1 - (1 - terms[1].fee) * (1 - terms[2].fee),
            arriving, own_bids, (on_buy, terms[1].fee), 1.0,
        )  # fmt: skip
    walk = figures.walk(0.0)

    kept = 1 - fees[0] if base_fee else Fraction(1)
    top = Fraction(1) if base_fee else 1 + fees[0]
    held = 1 - fees[2] if coin_fee else Fraction(1)
    above = Fraction(1) if coin_fee else 1 + fees[2]

    def net(qty: Fraction) -> Fraction | None:
        paid, got = take(own_asks, qty / kept), take(own_bids, qty)
        if paid is None or got is None:
            return None
        if buys_coin:
            spent = take(book, paid * top / held)
            return None if spent is None else got * (1 - fees[1]) - spent * above
        earned = take(book, got * (1 - fees[1]))
        return None if earned is None else earned * (1 - fees[2]) - paid * top

    sizes = [size * kept for size in sums(own_asks)] + sums(own_bids)
    for amount in sums(book):
        found = spend(own_asks, amount * held / top) if buys_coin else spend(own_bids, amount / (1 - fees[1]))
        sizes += [] if found is None else [found * kept if buys_coin else found]
    assert walk.net == pytest.approx(float(best(net, sizes)), abs=1e-8)
    if walk.qty:
        bill = figures.bill(walk)
        assert bill.proceeds - bill.cost - bill.conversion == pytest.approx(walk.net, abs=1e-9)
        assert sum(size for *_, size in bill.levels) == pytest.approx(walk.qty)


def test_what_is_shown_of_exchanges_and_of_implied_rates() -> None:
    arbitrage = Arbitrage(FREE, Rules())
    cross, pegs = CrossQuote(arbitrage), Pegs()
    desk = Floor(arbitrage, cross, pegs)
    desk.touch(USDT, 62_000.0, 62_000.0 + 2)
    desk.touch(USD, 60_000.0, 60_002.0)
    desk.touch(STABLE, 0.9700, 0.9702)
    for _ in range(6):
        for key, bid, ask in ((USDT, 62_000.0, 62_002.0), (USD, 60_000.0, 60_002.0), (STABLE, 0.9700, 0.9702)):
            desk.touch(key, bid, ask)
        desk.tick(1000)
    (row,) = exchanges(cross, pegs, desk.market, desk.now)
    assert row["market"] == STABLE and row["off"] and row["off_bps"] == pytest.approx(-299.0)
    (seen,) = implied(cross, desk.market)
    assert (seen["coin"], seen["money"], seen["base"]) == ("USDT", "USD", "BTC") and seen["rate"] == pytest.approx(60_001 / 62_001)
    assert edge_bps(60_010, 60_040, None) == pytest.approx(4.999166805532695)
