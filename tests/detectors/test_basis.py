"""Basis and carry: what a holding pays in closed form, over the very settlements that the clock will cross, at the sides that trade."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dope.detectors import Arbitrage, Basis, Cost, Rules
from dope.detectors.arbitrage import Opportunity
from dope.detectors.basis import CarryFound, Parameters, distribution, entry_bps, side_row
from dope.detectors.carry import HOUR_NS, NO_FUND, Fund, Hold, apr_pct, basis_bps, first_after, funding_annual_pct, settlements
from dope.detectors.opportunity import Leg, Role
from dope.types import Setting
from tests.detectors.floor import T0, Floor

H = HOUR_NS
SPOT, PERP, OTHER = "a:BTC-USDT", "b:BTC-USDT-PERP", "c:BTC-USDT-PERP"
COSTS = {("a", "spot"): Cost(0.001), ("b", "perp"): Cost(0.0005), ("c", "perp"): Cost(0.0004)}
MIDNIGHT = T0 - T0 % (24 * H)


def twice(a: float, b: float) -> tuple[float, float, float, float]:
    """Fees of markets at which buying costs as much as selling."""
    return a, a, b, b


def test_a_carry_in_closed_form() -> None:
    hold = Hold(0, 72 * H, (NO_FUND, Fund(0.0001, 8 * H, 8 * H)), twice(0.001, 0.0005))
    found = hold.outcome(basis_bps(60_000.0, 60_030.0), 1)
    assert found.events == (0, 9)
    assert (found.funding, found.convergence, found.fees, found.net) == pytest.approx((9.0, 5.0, 30.0, -16.0))
    other = hold.outcome(5.0, -1)
    assert (other.funding, other.convergence, other.net) == pytest.approx((-9.0, -5.0, -44.0))
    assert funding_annual_pct(0.0001, 8) == pytest.approx(10.95) == pytest.approx(Fund(0.0001, 0, 8 * H).annual_pct)
    assert apr_pct(10.0, 24.0 * 365) == pytest.approx(0.1)


def test_each_leg_is_settled_by_its_own_clock() -> None:
    hourly, slow = Fund(0.00002, H // 2, H), Fund(0.0001, 3 * H, 8 * H)
    found = Hold(0, 24 * H, (hourly, slow), twice(0.0005, 0.0005)).outcome(0.0, 1)
    assert found.events == (24, 3)
    assert found.funding == pytest.approx((3 * 0.0001 - 24 * 0.00002) * 1e4)


@pytest.mark.parametrize(
    ("now", "until", "expected"),
    [(0, 8, 1), (0, 7, 0), (8, 16, 1), (7, 8, 1), (8, 15, 0), (1, 25, 3), (0, 24, 3), (100, 100, 0)],
)
def test_settlements_lie_after_the_start_and_not_after_the_end(now: int, until: int, expected: int) -> None:
    fund = Fund(0.0001, 8 * H, 8 * H)  # told long ago: later ones follow every 8 h
    assert settlements(now * H, until * H, fund) == expected
    assert len([h for h in range(0, 200, 8) if now < h <= until and h > 0]) == expected


def test_without_a_known_settlement_whole_intervals_of_utc_count() -> None:
    assert first_after(MIDNIGHT + 1, Fund(0.0, 0, 8 * H)) == MIDNIGHT + 8 * H
    assert first_after(MIDNIGHT + 8 * H, Fund(0.0, 0, 8 * H)) == MIDNIGHT + 16 * H


def test_the_break_even_is_the_settlement_at_which_all_is_earned_back() -> None:
    hold = Hold(0, 24 * H, (NO_FUND, Fund(0.0005, 2 * H, 8 * H)), twice(0.001, 0.0005))
    assert hold.break_even_ns(0.0, 1) == (2 + 5 * 8) * H, "30 bps of fees are six settlements of 5 bps"
    assert hold.break_even_ns(40.0, 1) == 0 and hold.break_even_ns(0.0, -1) is None
    assert Hold(0, H, (NO_FUND, NO_FUND), twice(0.001, 0.001)).break_even_ns(0.0, 1) is None
    both = Hold(0, H, (Fund(0.0001, H, H), Fund(0.0009, 8 * H, 8 * H)), twice(0.0, 0.00001))
    # an hour costs 1 bp, the eighth brings 9 at the same instant: 0.2 bps are earned back then, and not before
    assert both.break_even_ns(0.0, 1) == 8 * H
    for side in (1, -1):
        if (wait := both.break_even_ns(0.0, side)) is not None:
            assert Hold(0, wait, both.funds, both.fees).outcome(0.0, side).net >= -1e-9
            assert Hold(0, max(wait - 1, 0), both.funds, both.fees).outcome(0.0, side).net < 0.0


def test_what_is_bought_costs_its_ask_and_what_is_sold_brings_its_bid() -> None:
    a, b = (99.0, 100.0), (101.0, 102.0)
    assert entry_bps(a, b, 1) == pytest.approx(basis_bps(100.0, 101.0)) and entry_bps(a, b, -1) == pytest.approx(basis_bps(99.0, 102.0))


def watched(parameters: Parameters = Parameters()) -> tuple[Floor, Basis]:
    arbitrage = Arbitrage(COSTS, Rules())
    basis = Basis(arbitrage, parameters)
    desk = Floor(arbitrage, basis)
    desk.now = MIDNIGHT + H
    desk.lists(SPOT, PERP, OTHER)
    return desk, basis


def plays(desk: Floor, minutes: float, **mids: float) -> list[CarryFound]:
    told: list[CarryFound] = []
    for _ in range(round(minutes * 6)):
        for name, mid in mids.items():
            desk.touch({"spot": SPOT, "perp": PERP, "other": OTHER}[name], mid - 0.5, mid + 0.5)
        told += [event for event in desk.tick(10_000) if isinstance(event, CarryFound)]
    return told


def test_all_pairs_are_followed_and_rank_by_what_they_deviate_from_their_median() -> None:
    desk, basis = watched()
    assert [(a.key, b.key) for a, b in basis.pairs] == [(SPOT, PERP), (SPOT, OTHER), (PERP, OTHER)]
    plays(desk, 10, spot=60_000.0, perp=59_978.0, other=60_012.0)
    first, second, third = basis.seen(desk.market)
    assert first.median == pytest.approx(-3.6667, abs=1e-3) and second.median == pytest.approx(2.0) and third.samples >= 59
    desk.loses(PERP)
    first, second, _ = basis.seen(desk.market)
    assert first.b is None and second.b is not None


def test_a_constant_basis_is_never_an_opportunity() -> None:
    """A perpetual that stands below spot all day would seem to pay 99.97 % of the time."""
    desk, _ = watched()
    for perp in ("perp", "other"):
        assert not plays(desk, 20, spot=60_000.0, **{perp: 59_978.0})
    assert not [event for event in desk.said if isinstance(event, Opportunity)]


def test_a_carry_that_pays_after_four_fees_is_told_once_and_once_more_when_it_no_longer_does() -> None:
    desk, _ = watched(Parameters(hold=24.0, enter=5.0, leave=0.0))
    desk.funds(PERP, 0.0012, MIDNIGHT + 8 * H)  # 3 × 12 = 36 bps a day, fees 30
    (found,) = plays(desk, 10, spot=60_000.0, perp=60_000.5)
    assert (found.long, found.on) == (SPOT, True)
    assert found.funding_bps == pytest.approx(36.0) and found.fees_bps == pytest.approx(30.0)
    assert found.entry_bps - found.exit_bps == pytest.approx(-1 / 6, abs=1e-3), "half a spread on either side"
    assert found.net_bps == pytest.approx(36.0 + found.entry_bps - found.exit_bps - 30.0)
    assert "long A BTC-USDT, short B BTC-USDT-PERP pays over 24 h" in found.line(str.upper)[0]
    desk.funds(PERP, 0.0001, MIDNIGHT + 8 * H)
    (over,) = plays(desk, 5, spot=60_000.0, perp=60_000.5)
    assert not over.on and "no longer pays" in over.line(str)[0]


ROLES: list[dict[str, dict[Leg, Role]]] = [
    {}, {"a": {"buy": "maker"}}, {"a": {"sell": "maker"}, "b": {"buy": "maker"}}, {"b": {"buy": "maker", "sell": "maker"}},
]  # fmt: skip


@pytest.mark.parametrize("roles", ROLES, ids=str)
@pytest.mark.parametrize("all_as", ["taker", "maker"])
def test_each_of_the_four_trades_pays_the_fee_of_its_role_at_its_venue(roles: dict[str, dict[Leg, Role]], all_as: Role) -> None:
    """Against fees added up one by one; a venue whose maker fee is not known takes the other one."""
    taker, maker = {"a": Fraction(10), "b": Fraction(5)}, {"a": Fraction(8), "b": Fraction(-1)}
    costs = {("a", "spot"): Cost(0.001, maker=0.0008), ("b", "perp"): Cost(0.0005, maker=-0.0001), ("c", "perp"): Cost(0.0004)}
    arbitrage = Arbitrage(costs, Rules(sell_as=all_as, roles=roles))
    basis = Basis(arbitrage, Parameters(enter=-100.0, leave=-200.0))
    desk = Floor(arbitrage, basis)
    desk.lists(SPOT, PERP, OTHER)
    said = [(venue, leg, roles.get(venue, {}).get(leg, all_as if leg == "sell" else "taker")) for venue in "ab" for leg in ("buy", "sell")]
    plain = sum((maker if role == "maker" else taker)[venue] for venue, _, role in said)
    told = [(fee.market.partition(":")[0], fee.side, fee.role) for fee in basis.fees(0)]
    assert told == said and basis.hold(0, desk.now).fees_bps == pytest.approx(float(plain))
    for side in (1, -1):
        found = basis.hold(0, desk.now).outcome(4.0, side)
        assert found.net == pytest.approx(side * 4.0 - float(plain)), "whichever side is held, all four are paid"
    assert sum(fee.fee for fee in basis.fees(1)[2:]) * 1e4 == pytest.approx(8.0), "no maker fee is known there"
    (found,) = {event.roles for event in plays(desk, 6, spot=60_000.0, perp=60_000.0) if event.b == PERP}
    assert found == tuple(role for _, _, role in said)


def test_other_roles_count_from_the_moment_at_which_they_are_set() -> None:
    costs = {("a", "spot"): Cost(0.001, maker=0.0), ("b", "perp"): Cost(0.0005, maker=0.0)}
    arbitrage = Arbitrage(costs, Rules())
    basis = Basis(arbitrage)
    desk = Floor(arbitrage, basis)
    desk.lists(SPOT, PERP)
    before = basis.hold(0, desk.now).fees_bps
    desk.hear([Setting(desk.now, arbitrage.terms(Rules(roles={"a": {"buy": "maker"}})))])
    assert (before, basis.hold(0, desk.now).fees_bps) == (pytest.approx(30.0), pytest.approx(20.0))


def test_funding_is_settled_when_the_clock_crosses_the_instant_at_the_rate_told_last() -> None:
    """A path of rates with a known answer: told 0.01 %, 0.02 %, 0.03 %, … each settled once, at its own instant."""
    desk, basis = watched()
    desk.touch(SPOT, 1.0, 2.0)
    for k in range(1, 6):
        due = MIDNIGHT + 4 * H * (k + 1)
        desk.funds(PERP, 0.5, due, 8.0)
        desk.tick(1000)
        desk.funds(PERP, k * 0.0001, due, 8.0)  # the forecast changes until the end
        while desk.now < due - 1_000_000_000:
            desk.tick(min(60_000, (due - 1_000_000_000 - desk.now) // 1_000_000))
        assert len(basis.settled()[PERP]) == k - 1, "not before the instant"
        desk.tick(1000)
        assert desk.now == due and len(basis.settled()[PERP]) == k, "at the instant"
        desk.tick(1000)
    assert basis.settled()[PERP] == [(MIDNIGHT + 4 * H * (k + 1), pytest.approx(k * 0.0001)) for k in range(1, 6)]
    assert basis.perps[PERP].fund.interval_ns == 4 * H, "learned: the venue said 8 h and settles every 4"
    told = distribution([rate for _, rate in basis.settled()[PERP]])
    assert (told["n"], told["p50_bps"], told["mean_bps"], told["positive"]) == (5, pytest.approx(3.0), pytest.approx(3.0), 1.0)
    assert distribution([])["n"] == 0


def test_the_expected_funding_falls_by_one_settlement_when_the_clock_crosses_it() -> None:
    desk, basis = watched()
    desk.funds(PERP, 0.0001, MIDNIGHT + 8 * H)
    desk.tick(1000)

    def events(now: int, hours: float) -> int:
        return side_row(basis.hold(0, now, hours), 0.0, 1, hours)["settlements_b"]

    instant = MIDNIGHT + 8 * H
    assert (events(instant - 1, 1.0), events(instant, 1.0), events(instant, 8.0), events(instant - 1, 8.0)) == (1, 0, 1, 1)
    assert (events(instant - 1, 24.0), events(instant + 1, 24.0)) == (3, 3)
    assert events(instant - H, 24.0 + 1.0) == 4
