"""The de-peg alarm: told once when a coin leaves its peg and once when it is back, with the markets that say so."""

from __future__ import annotations

from dope.detectors.depeg import Depeg, Parameters, Pegs
from tests.detectors.floor import Floor


def plays(desk: Floor, seconds: int, **prices: float) -> list[Depeg]:
    """Markets by ``venue_BASE_QUOTE`` = mid, spoken each second."""
    told: list[Depeg] = []
    for _ in range(seconds):
        for name, mid in prices.items():
            venue, base, quote = name.split("_")
            desk.touch(f"{venue}:{base}-{quote}", mid - 1e-5, mid + 1e-5)
        told += [event for event in desk.tick(1000) if isinstance(event, Depeg)]
    return told


def test_a_coin_that_leaves_its_peg_is_told_once_with_its_markets_and_once_more_when_it_is_back() -> None:
    desk = Floor(Pegs(Parameters(level=50.0, leave=25.0, hold=3.0)))
    assert not plays(desk, 5, a_USDT_USD=0.9996, b_USDT_USD=1.0002, c_USDT_USD=0.9960)
    (off,) = plays(desk, 10, a_USDT_USD=0.9790, b_USDT_USD=0.9800, c_USDT_USD=0.9990)
    assert (off.coin, off.against, off.off, off.markets) == ("USDT", "USD", True, ("a:USDT-USD", "b:USDT-USD"))
    assert round(off.bps) == -200 and off.ts - off.since == 3_000_000_000
    text, value, tone = off.line(str.upper)
    assert "USDT is off its peg: 0.9800 USD at A, B" in text and (value, tone) == ("-200 bps", "warn")
    assert not plays(desk, 10, a_USDT_USD=0.9960, b_USDT_USD=0.9960, c_USDT_USD=0.9960), "between the two levels nothing changes"
    (back,) = plays(desk, 10, a_USDT_USD=0.9990, b_USDT_USD=0.9990, c_USDT_USD=0.9990)
    assert not back.off and "back at its peg" in back.line(str)[0]


def test_what_lasts_shorter_than_the_hold_is_not_told() -> None:
    desk = Floor(Pegs())
    for _ in range(5):
        assert not plays(desk, 2, a_USDT_USD=0.9800)
        assert not plays(desk, 2, a_USDT_USD=0.9999)


def test_a_market_of_two_coins_blames_the_one_that_the_dollar_blames() -> None:
    desk = Floor(Pegs())
    told = plays(desk, 10, a_USDT_USD=0.9700, b_USDC_USDT=1.0309, c_USDC_USD=1.0)
    assert [(event.coin, event.against) for event in told] == [("USDT", "USD")]
    desk = Floor(Pegs())
    told = plays(desk, 10, a_USDT_USD=1.0, b_USDC_USDT=0.9)  # its value in dollars follows from that of the other coin
    assert [(event.coin, event.against, round(event.bps)) for event in told] == [("USDC", "USD", -1000)]


def test_without_any_dollar_market_the_two_coins_are_compared() -> None:
    told = plays(Floor(Pegs()), 10, b_USDC_USDT=1.0309)
    assert [(event.coin, event.against, round(event.bps)) for event in told] == [("USDC", "USDT", 309)]


def test_a_book_that_is_not_live_says_nothing() -> None:
    desk = Floor(Pegs())
    plays(desk, 3, a_USDT_USD=1.0)
    desk.touch("a:USDT-USD", 0.9, 0.9001)
    desk.loses("a:USDT-USD")
    assert not [event for _ in range(10) for event in desk.tick(1000)]
