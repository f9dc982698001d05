"""Fees by tier, discount and own figures; another tier turns a known near miss into an opportunity, through a frame like all others."""

from __future__ import annotations

import pytest

from dope.detectors import Rules
from dope.detectors.near import near_misses
from dope.engines import costs, fee_rows, tiers
from dope.errors import UnknownName
from dope.settings import Settings
from dope.types import SENTINEL, SET, Frame
from dope.venues import VENUES
from tests.detectors.test_arbitrage import Desk

SPOT = ("binance_spot", "spot")


def settings(**changes: object) -> Settings:
    return Settings(_env_file=None, **changes)  # type: ignore[arg-type]


def test_the_tier_in_force_is_the_default_one_the_settings_one_or_the_chosen_one() -> None:
    assert (costs(settings())[SPOT].fee, costs(settings())[SPOT].tier) == (pytest.approx(0.001), "default")
    own = settings(fee_tiers={"binance_spot": "vip1"})
    assert (costs(own)[SPOT].maker, costs(own)[SPOT].tier) == (pytest.approx(0.0009), "vip1")
    chosen = costs(own, {"binance_spot": "bnb"})[SPOT]
    assert (chosen.fee, chosen.tier, chosen.confidence) == (pytest.approx(0.00075), "bnb", "medium")
    with pytest.raises(UnknownName, match="unknown fee tier of binance_spot 'vip 1'; did you mean vip1"):
        costs(settings(fee_tiers={"binance_spot": "vip 1"}))


def test_a_discount_takes_its_part_of_both_fees_and_own_figures_win() -> None:
    off = costs(settings(fee_discounts={"okx": 20.0}, fees={"binance_spot": {"spot": 3.0}}))
    assert (off[("okx", "spot")].fee, off[("okx", "spot")].maker, off[("okx", "spot")].discount) == (
        pytest.approx(0.0008), pytest.approx(0.00064), pytest.approx(0.2))  # fmt: skip
    assert (off[SPOT].fee, off[SPOT].tier, off[SPOT].currency, off[SPOT].maker) == (pytest.approx(0.0003), "your own", "base", None)


def test_the_table_shows_where_each_fee_comes_from_and_never_those_of_the_self_test() -> None:
    rows = fee_rows(costs(settings()), Rules(roles={"okx": {"sell": "maker"}}))
    assert not [row for row in rows if row["kind"] == SENTINEL]
    assert {(row["buy_as"], row["sell_as"]) for row in rows if row["venue"] == "okx"} == {("taker", "maker")}
    assert all(row["source"] and row["as_of"] and row["confidence"] and row["tier"] in row["tiers"] for row in rows)


def test_every_tier_is_dated_and_sourced_of_a_kind_that_its_venue_has_and_no_dearer_than_the_default() -> None:
    seen = 0
    for venue in VENUES:
        usual = {fee.kind: fee for fee in venue.FEES}
        assert len({(fee.kind, fee.tier) for fee in venue.TIERS}) == len(venue.TIERS) and "default" not in tiers(venue)[1:]
        for fee in venue.TIERS:
            seen += 1
            assert fee.venue == venue.ID and fee.source and fee.as_of >= "2026-01-01" and fee.confidence in ("high", "medium", "low")
            assert fee.currency == usual[fee.kind].currency
            assert 0.0 <= fee.taker_bps <= usual[fee.kind].taker_bps and fee.maker_bps <= usual[fee.kind].maker_bps
    assert seen > 10


def test_another_tier_flips_a_known_row() -> None:
    desk = Desk(Rules(min_notional=1.0), costs(settings()))
    desk.binance(("99.99", "5"), ("100.00", "5"))
    assert desk.okx(("100.19", "3"), ("100.20", "3")) == [], "19 bps, and fees of 20"
    miss = near_misses(desk.arbitrage, desk.engine.market, desk.t, 1)[0]
    assert (miss["term"], miss["amount"]) == ("fees", pytest.approx(1.05, abs=0.03))
    cheaper = desk.arbitrage.charges(costs(settings(), {"binance_spot": "bnb"}))
    desk.engine.step(Frame(desk.t, "", 0, SET, cheaper))
    assert [row.state for row in desk.okx(("100.19", "4"), ("100.20", "3"))] == ["open"]
    assert desk.arbitrage.rows()[0].fee_buy_bps == pytest.approx(7.5)
    desk.engine.step(Frame(desk.t, "", 0, SET, desk.arbitrage.charges(costs(settings()))))
    desk.okx(("100.19", "5"), ("100.20", "3"))
    desk.tick(120)
    assert [row.state for row in desk.okx(("100.19", "3"), ("100.20", "3"))] in ([], ["closed"])
    desk.tick(120)
    assert desk.arbitrage.rows() == []
