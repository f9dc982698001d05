"""The statistics of the sample market over a long virtual run are those of its specification; each is missed when its number is doubled."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import cache
from statistics import fmean, pstdev

import numpy as np
import pytest

from dope.sim.assets import Asset
from dope.sim.character import SILENT, USUAL
from dope.sim.listings import ASSETS, BP
from dope.sim.market import SampleMarket
from dope.sim.specification import MEASURED, SPECIFICATION, Specification
from dope.sim.venue import listings

SHORT, LONG = 4, 24  #: how many times as long everything is measured


class Noted:
    """Counts what an asset says of itself."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}

    def __call__(self, kind: str, lasts: int, params: object) -> None:
        self.kinds[kind] = self.kinds.get(kind, 0) + 1


@cache
def asset_figures(size: int) -> dict[str, float]:
    """Of the assets alone: they are cheap, so they are watched for hours."""
    found: dict[str, float] = {}
    for spec in ASSETS:
        noted, steps = Noted(), (200_000 if spec.sigma else 400_000) * size
        quiet, loud = (Asset(spec, random.Random(f"{n}/{spec.name}"), c, noted) for n, c in (("a", SILENT), ("b", USUAL)))
        last, deviations, bases, seconds = quiet.price, list[float](), list[float](), list[float]()
        for step in range(1, steps + 1):
            quiet.step(step)
            if step % 100 == 0:
                seconds.append(math.log(quiet.price / last) ** 2)
                last = quiet.price
                deviations.append(quiet.price / spec.start_e6 - 1)
                bases.append(quiet.basis / BP)
        if spec.pull:
            found[f"peg of {spec.name}, bp"] = pstdev(deviations) * 1e4
            continue
        found[f"volatility of {spec.name}, % a year"] = math.sqrt(fmean(seconds) * 365 * 86_400) * 100
        found[f"basis of {spec.name}, bp"] = fmean(bases)
        minutes = [fmean(seconds[place : place + 60]) for place in range(0, len(seconds) - 60, 60)]
        found[f"spread of the volatility of {spec.name}"] = pstdev([math.log(value) / 2 for value in minutes])
        for step in range(1, steps // 4 + 1):
            loud.step(step)
        for kind in ("jump", "burst"):
            told = noted.kinds[kind] - (noted.kinds["jump"] if kind == "burst" else 0)  # each jump brings a burst
            found[f"{kind}s of {spec.name} a minute"] = told / (steps / 4 / 6_000)
    return found


@cache
def market_figures(size: int) -> dict[str, float]:
    """Of whole markets: touches each step, depth each second."""
    sample, steps = SampleMarket(7, listings(MEASURED), character=SILENT), 4_000 * size
    mids: dict[str, list[float]] = {key: [] for key in sample.markets}
    spreads: dict[str, list[float]] = {key: [] for key in sample.markets}
    efficient: list[float] = []
    near: list[float] = []
    far: list[float] = []
    for step in range(1, steps + 1):
        sample.step()
        efficient.append(float(sample.assets["BTC"].price))
        for key, market in sample.markets.items():
            bid, ask = market.book.best(0), market.book.best(1)
            mids[key].append((bid + ask) / 2)
            spreads[key].append((ask / bid - 1) * 1e4)
        if step % 50 == 0:
            for market in sample.markets.values():
                lots = [lots / market._unit for _, lots in market.book.side(0, 30)]
                near.append(fmean(lots[:3]))
                far.append(fmean(lots[-6:]))
    found = {f"spread of {key}, bp": fmean(values) for key, values in spreads.items()}
    found["size of the first levels, units"], found["size of levels far out, units"] = fmean(near), fmean(far)
    for key in ("binance_spot:BTC-USDT", "okx:BTC-USDT", "kraken:BTC-USD"):
        found[f"lag of {key}, ms"], found[f"correlation of {key} after its lag"] = lagged(efficient, mids[key])
    return found


def lagged(leader: Sequence[float], follower: Sequence[float]) -> tuple[float, float]:
    """Shift in ms at which moves of half a second agree best with those of the leader, by the middle of the peak; and how well there."""
    a, b = np.log(np.asarray(leader)), np.log(np.asarray(follower))
    moves_a, moves_b = a[50:] - a[:-50], b[50:] - b[:-50]
    shifts = np.arange(0, 60)
    how_well = np.array([np.corrcoef(moves_a[: len(moves_a) - s], moves_b[s:])[0, 1] for s in shifts])
    top = how_well > how_well.max() - 0.05
    return float((shifts[top] * how_well[top]).sum() / how_well[top].sum() * 10), float(how_well.max())


@cache
def dislocation_figures(size: int) -> dict[str, float]:
    """Of what chance plants: the planner decides alike however few markets there are."""
    sample, steps = SampleMarket(3, listings(("binance_usdm", "okx"))), 24_000 * size
    for _ in range(steps):
        sample._stage.step(sample.steps)
        sample.steps += 1
    lives = [(entry.end - entry.start) * 10 for entry in sample.planted]
    return {"dislocations a minute": len(lives) / (steps / 6_000), "life of a dislocation, ms": fmean(lives)}


def figures(size: int) -> dict[str, float]:
    return asset_figures(size) | market_figures(size) | dislocation_figures(size)


def wrong(found: dict[str, float], specification: Sequence[Specification]) -> list[str]:
    return [f"{each.name}: {found[each.name]:.4g}, not {each.value:g}" for each in specification if not each.holds(found[each.name])]


def test_the_market_is_what_its_specification_says_and_no_number_could_be_double() -> None:
    found = figures(SHORT)
    assert set(found) == {each.name for each in SPECIFICATION}
    assert wrong(found, SPECIFICATION) == []
    for each in SPECIFICATION:
        assert not each.holds(2 * found[each.name]) and not each.holds(found[each.name] / 2), f"{each.name} would not be missed"


@pytest.mark.full
def test_the_market_is_what_its_specification_says_over_a_day_of_assets() -> None:
    assert wrong(figures(LONG), SPECIFICATION) == []
