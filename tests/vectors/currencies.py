"""Vectors of loops and bases: once round three markets, a carry in closed form, prices in two currencies, a real de-peg, real spreads."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dope.detectors.carry import HOUR_NS, NO_FUND, Fund, Hold, basis_bps, funding_annual_pct
from dope.detectors.contrast import log_bps
from dope.detectors.discovery import on_grid
from dope.detectors.exchange import edge_bps, implied_rate
from dope.detectors.excursions import LENGTHS, excursions, moments
from dope.detectors.reversion import fit
from dope.market.loops import BUY, SELL, Leg, walk_round
from tests.vectors.case import Case, Document, near, same
from tests.vectors.leadlag import file_of, rows_of

SECOND = 1_000_000_000
REL = 1e-6  #: of statistics over a real recording
ROUNDED = 5.1e-7  #: of figures that the file gives to six decimals


def triangular(document: Document, market: Path) -> Iterator[Case]:
    """Once round three books by depth; fees are taken from what is received."""
    tolerance = float(document.get("tolerance_abs", 1e-9))
    for k, case in enumerate(document["triangular"]):
        legs = [
            Leg(BUY if leg["side"] == "buy" else SELL, [(float(p), float(q)) for p, q in leg["levels"]], float(leg["fee"]))
            for leg in case["legs"]
        ]
        found = walk_round(legs)
        for name, expected in case["expected"].items():
            # amounts of some 1e4 of currency hold fifteen digits, and no more
            yield near(f"triangle {k + 1} {name}", getattr(found, name), expected, abs_tol=tolerance, rel_tol=1e-14)


def carries(document: Document, market: Path) -> Iterator[Case]:
    """A perpetual against spot, held for a while; the next settlement is one interval away."""
    tolerance = float(document.get("tolerance_abs", 1e-9))
    for k, case in enumerate(document["cases"]):
        interval = round(float(case["funding_interval_h"]) * HOUR_NS)
        basis = basis_bps(float(case["spot"]), float(case["perp"]))
        until = round(float(case["hold_h"]) * HOUR_NS)
        fund, spot, perp = Fund(float(case["funding_rate"]), interval, interval), float(case["fee_spot"]), float(case["fee_perp"])
        hold = Hold(0, until, (NO_FUND, fund), (spot, spot, perp, perp), float(case["exit_basis_bps"]))
        side = 1 if basis >= 0.0 else -1
        found = hold.outcome(basis, side)
        told = {
            "basis_bps": basis, "funding_annual_pct": funding_annual_pct(fund.rate, float(case["funding_interval_h"])),
            "funding_bps": found.funding, "convergence_bps": found.convergence, "fees_bps_round_trip": found.fees, "net_bps": found.net,
        }  # fmt: skip
        words = {"side": ("long spot, short perp", "short spot, long perp")[side < 0], "funding_events": found.events[1]}
        for name, expected in case["expected"].items():
            head = f"carry {k + 1} {name}"
            if name in words:
                yield same(head, words[name], expected)
            elif name in told:
                yield near(head, told[name], expected, abs_tol=tolerance)
            else:
                yield Case(head, "nobody answers for this", "a check", False)


def stablecoin(document: Document, market: Path) -> Iterator[Case]:
    """Bought for a coin, sold for dollars: as if it were one currency, and through the coin's ask."""
    tolerance = float(document.get("tolerance_abs", 1e-9))
    for k, case in enumerate(document["stablecoin"]):
        ask = next(float(value) for name, value in case.items() if name.endswith("_ask"))
        bid = next(float(value) for name, value in case.items() if name.endswith("_bid"))
        low, high = next(value for value in case.values() if isinstance(value, list))
        expected = case["expected"]
        yield near(f"edge {k + 1} naive", edge_bps(ask, bid, None), expected["naive_edge_bps"], abs_tol=tolerance)
        found = edge_bps(ask, bid, (float(low), float(high)))
        yield near(f"edge {k + 1} normalised", found, expected["normalised_edge_bps_conservative"], abs_tol=tolerance)


# -- a coin off its peg -------------------------------------------------------------------------------------------------------
def depeg(document: Document, market: Path) -> Iterator[Case]:
    """Minute closes of one thing in dollars and in a coin: what they imply, and what taking one for the other would show."""
    coin = next(key for key in document if re.fullmatch(r"implied_[a-z0-9]+_min", key)).split("_")[1]
    days = document["by_day"]
    rows = _minutes(market, coin.upper(), set(days))
    if not rows:
        yield Case("minute closes", "no such recording", "a table with closes in USD and the coin", False)
        return
    tolerance = float(document.get("tolerance_abs", 1e-6))
    rates = [(implied_rate(usd, in_coin), when) for when, usd, in_coin, _ in rows]
    low, when = min(rates)
    yield near(f"implied {coin} min", low, document[f"implied_{coin}_min"], abs_tol=tolerance)
    yield same(f"implied {coin} min at", f"{when.replace('T', ' ').removesuffix('Z')}:00+00:00", document[f"implied_{coin}_min_at"])
    for day, expected in days.items():
        here = [row for row in rows if row[0].startswith(day)]
        told = {
            f"implied_{coin}_mean": float(np.mean([implied_rate(usd, in_coin) for _, usd, in_coin, _ in here])),
            "share_naive_gt_50bps": float(np.mean([abs(edge_bps(usd, in_coin, None)) > 50.0 for _, usd, in_coin, _ in here])),
            f"share_zero_volume_{coin.upper()}": float(np.mean([volume == 0.0 for *_, volume in here])),
        }
        for name, figure in expected.items():
            yield near(f"{day} {name}", told.get(name), figure, abs_tol=tolerance)


def _minutes(market: Path, coin: str, days: set[str]) -> list[tuple[str, float, float, float]]:
    """(minute, close in USD, close in the coin, volume in the coin) of those days, from the first table that has them."""
    wanted = {"open_time", "USD_close", f"{coin}_close", f"{coin}_volume"}
    for path in sorted(market.rglob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not wanted <= set(reader.fieldnames or ()):
                continue
            found = [
                (row["open_time"], float(row["USD_close"]), float(row[f"{coin}_close"]), float(row[f"{coin}_volume"]))
                for row in reader
                if row["open_time"][:10] in days
            ]
            if found:
                return found
    return []


# -- real spreads -------------------------------------------------------------------------------------------------------------
def spreads(document: Document, market: Path) -> Iterator[Case]:
    """Spreads of log mids on a grid: moments, return to the mean, excursions from the median before."""
    for name, expected in document["spread"].items():
        grid = next((key for key in expected if key.startswith("ou_")), "ou_100ms")
        step = round(float(grid[3:].removesuffix("ms")) * 1e6)
        series = _spread(document, market, name.split("-"), step)
        if series is None:
            yield Case(f"{name}: spread", "no such recording", "quotes of both", False)
            continue
        yield from _spread_cases(name, expected, series, step)


def _spread_cases(name: str, expected: Mapping[str, Any], series: np.ndarray, step: int) -> Iterator[Case]:
    told, window = moments(series), "30"
    assert told is not None
    for key, value in expected.items():
        head = f"{name}: {key}"
        if key == "mean_bps":
            yield near(head, told.mean, value, rel_tol=REL)
        elif key == "sd_bps":
            yield near(head, told.sd, value, rel_tol=REL)
        elif key == "quantiles_1_50_99":
            for figure, quantile in zip(told.quantiles, value, strict=True):
                yield near(head, figure, quantile, abs_tol=ROUNDED)
        elif key.startswith("ou_"):
            found = fit(series, step / SECOND)
            names = {"t_b_minus_1": "t", "sd_stationary": "sd"}
            for part, figure in value.items():
                yield near(f"{head} {part}", getattr(found, names.get(part, part)), figure, rel_tol=REL)
        elif match := re.fullmatch(r"excursions_gt_([\d.]+)bps(?:_from_([\d.]+)s_median)?", key):
            window = match[2] or window
            away = excursions(series, float(match[1]), round(float(window) * SECOND / step))
            yield same(f"{head} n", away.n, value["n"])
            yield near(f"{head} share", away.share, value["share_of_time"], rel_tol=REL)
            lengths = [length * step / 1e6 for length in away.lengths] or [None] * len(LENGTHS)
            for part, length in zip(("p25_ms", "median_ms", "p75_ms", "p95_ms"), lengths, strict=True):
                yield near(f"{head} {part}", length, value[part], rel_tol=REL)
        else:
            yield Case(head, "nobody answers for this", "a check", False)


def _spread(document: Document, market: Path, pair: list[str], step: int) -> np.ndarray | None:
    """ln(mid of the first) − ln(mid of the second), bps, over the time in which all venues were recorded."""
    paths = {venue: file_of(market, f"{name}_quotes") for venue, name in document["files"].items()}
    if any(path is None for path in paths.values()):
        return None
    mids = {venue: _mids(path) for venue, path in paths.items() if path is not None}
    begin, end = max(int(t[0]) for t, _ in mids.values()), min(int(t[-1]) for t, _ in mids.values())
    at = np.arange(-(-begin // step) * step, end + 1, step)
    first, second = (on_grid(*mids[venue], at) for venue in pair)
    found: np.ndarray = first - second
    return found


def _mids(path: Path) -> tuple[np.ndarray, np.ndarray]:
    rows = rows_of(path)
    times = np.array([int(row["local_ns"]) for row in rows], dtype=np.int64)
    return times, log_bps(np.array([(float(row["bid"]) + float(row["ask"])) / 2.0 for row in rows]))
