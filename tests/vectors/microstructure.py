"""Vectors of order flow, fair price, price impact, the worth of forecasts, and return to the mean."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dope.detectors import microstructure, reversion
from dope.model.evaluation import brier, conformal_quantile, diebold_mariano
from tests.vectors.case import Case, Document, all_near, near, same

SECOND = 1_000_000_000
SPANS = {"100ms": SECOND // 10, "1s": SECOND, "10s": 10 * SECOND}
REL = 1e-6  #: of statistics over a real recording


def _floats(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def touches(document: Document, market: Path) -> Iterator[Case]:
    """Order-flow events and the weighted mid of a short run of touches."""
    touch = [_floats(document[name]) for name in ("bid", "bid_size", "ask", "ask_size")]
    tolerance = float(document.get("tolerance_abs", 1e-9))
    yield all_near("order-flow events", microstructure.flow_events(*touch), document["expected_ofi_events"], abs_tol=tolerance)
    yield all_near("weighted mid", microstructure.weighted_mid(*touch), document["expected_weighted_mid"], abs_tol=tolerance)


def vpin(document: Document, market: Path) -> Iterator[Case]:
    """Trades cut into buckets of equal volume."""
    about, tolerance = document["vpin"], float(document.get("tolerance_abs", 1e-9))
    found = microstructure.vpin(_floats(about["size"]), _floats(about["sign"]), float(about["bucket"]), int(about["n"]))
    yield all_near("imbalances of buckets", found.imbalances, about["imbalances"], abs_tol=tolerance)
    yield near("VPIN", found.value, about["vpin"], abs_tol=tolerance)


def stats(document: Document, market: Path) -> Iterator[Case]:
    """Diebold-Mariano of squared errors, conformal quantiles, the Brier score; each expected name says its parameter."""
    about, tolerance = document["stats"], float(document.get("tolerance_abs", 1e-9))
    losses = [_floats(about[name]) ** 2 for name in ("e1", "e2")]
    for name, expected in about["expected"].items():
        if name.startswith("dm_h"):
            test = diebold_mariano(losses[0], losses[1], int(name.removeprefix("dm_h")))
            for part, value in expected.items():
                yield near(f"{name} {part}", getattr(test, part), value, abs_tol=tolerance)
        elif name.startswith("conformal_q_alpha_"):
            half = conformal_quantile(about["abs_res"], float(name.removeprefix("conformal_q_alpha_")))
            yield near(name, None if np.isinf(half) else half, expected, abs_tol=tolerance)
        elif name == "brier":
            yield near(name, brier(_floats(about["p"]), _floats(about["y"])), expected, abs_tol=tolerance)
        else:
            yield Case(name, "nobody answers for this", "a check", False)


def half_lives(document: Document, market: Path) -> Iterator[Case]:
    """Ornstein-Uhlenbeck fits: planted half-lives are found, a random walk shows none."""
    names = {"t_b_minus_1": "t", "sd_stationary": "sd"}
    for number, case in enumerate(document["cases"]):
        about, allowed = f"case {number}", case.get("tolerance", {})
        found = reversion.fit(case["x"], case["dt"])
        if found is None:
            yield Case(about, "no fit", "a fit", False)
            continue
        for name, value in case["fit"].items():
            rel = allowed.get("fit_rel", 1e-9)
            yield near(f"{about} {name}", getattr(found, names.get(name, name)), value, rel_tol=rel)
        if "true_half_life" in case:
            yield same(f"{about} is shown", found.significant, True)
            rel = allowed.get("half_life_vs_truth_rel", 0.35)
            yield near(f"{about} half-life against the truth", found.half_life, case["true_half_life"], rel_tol=rel)
        if case.get("random_walk"):
            yield same(f"{about} is not shown", found.significant, False)


@lru_cache(maxsize=8)
def quotes(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Receive times, ns, and (n, 4) touches of a recording."""
    with gzip.open(file, "rt", newline="") as stream:
        rows = list(csv.DictReader(stream))
    times = np.array([int(row["local_ns"]) for row in rows], dtype=np.int64)
    return times, _floats([[row[name] for name in ("bid", "bid_size", "ask", "ask_size")] for row in rows])


@lru_cache(maxsize=8)
def trades(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Receive times, ns, and signed sizes of a recording's trades."""
    with gzip.open(file, "rt", newline="") as stream:
        rows = list(csv.DictReader(stream))
    times = np.array([int(row["local_ns"]) for row in rows], dtype=np.int64)
    return times, _floats([float(row["size"]) * (1 if row["side"] == "buy" else -1) for row in rows])


def _recorded(document: Document, market: Path, key: str, kind: str) -> Iterator[tuple[str, Mapping[str, Any], Path]]:
    """(venue, what is expected, file) of each venue of a key."""
    for venue, expected in document[key].items():
        stem = document["files"][venue]
        yield venue, expected, next(market.rglob(f"{stem}_{kind}.csv.gz"))


def order_flow(document: Document, market: Path) -> Iterator[Case]:
    """How much of the move of the mid (bps) its order flow explains, in the same span and in the next."""
    for venue, expected, file in _recorded(document, market, "ofi", "quotes"):
        times, touch = quotes(file)
        bid, bid_size, ask, ask_size = touch.T
        flow = np.concatenate([[0.0], np.cumsum(microstructure.flow_events(bid, bid_size, ask, ask_size))])
        log_mid = np.log((bid + ask) / 2.0) * 1e4
        for span, want in expected.items():
            grid = np.arange(times[0], times[-1] + 1, SPANS[span])
            moves, flows = (np.diff(microstructure.on_grid(times, values, grid)) for values in (log_mid, flow))
            now, later = microstructure.line_of(flows, moves), microstructure.line_of(flows[:-1], moves[1:])
            yield same(f"order flow {venue} {span} n", len(moves), want["n"])
            yield near(f"order flow {venue} {span} same span", now and now.r2, want["r2_contemporaneous"], rel_tol=REL)
            if "r2_next" in want:
                yield near(f"order flow {venue} {span} next span", later and later.r2, want["r2_next"], rel_tol=REL)


def fair_price(document: Document, market: Path) -> Iterator[Case]:
    """Whether the weighted mid is nearer to the mid of a second later than the mid is; each 100 ms, in bps of the mid."""
    for venue, want, file in _recorded(document, market, "fair_price", "quotes"):
        times, touch = quotes(file)
        mid, fair = (touch[:, 0] + touch[:, 2]) / 2.0, microstructure.weighted_mid(*touch.T)
        grid = np.arange(times[0], times[-1] - SECOND, SECOND // 10)
        now, weighted = (microstructure.on_grid(times, values, grid) for values in (mid, fair))
        later = microstructure.on_grid(times, mid, grid + SECOND)
        lean, move, miss = (weighted - now) / now * 1e4, (later - now) / now * 1e4, (later - weighted) / now * 1e4
        found = {
            "corr_weighted_minus_mid_with_next_1s_move": float(np.corrcoef(lean, move)[0, 1]),
            "rmse_mid_bps": float(np.sqrt(np.mean(move**2))), "rmse_weighted_mid_bps": float(np.sqrt(np.mean(miss**2))),
        }  # fmt: skip
        for name, value in want.items():
            yield near(f"fair price {venue} {name}", found.get(name), value, rel_tol=REL)


def impact(document: Document, market: Path) -> Iterator[Case]:
    """Kyle's lambda over seconds."""
    for venue, want, file in _recorded(document, market, "kyle", "quotes"):
        times, touch = quotes(file)
        traded, signed = trades(next(market.rglob(f"{document['files'][venue]}_trades.csv.gz")))
        grid = np.arange(times[0], times[-1] + 1, SECOND)
        volume = np.concatenate([[0.0], np.cumsum(signed)])[np.searchsorted(traded, grid, side="right")]
        moves = np.diff(microstructure.on_grid(times, (touch[:, 0] + touch[:, 2]) / 2.0, grid))
        found = microstructure.kyle(moves, np.diff(volume))
        yield near(f"Kyle's lambda {venue}", found and found.slope, want["lambda_price_per_unit_1s"], rel_tol=REL)
        yield near(f"Kyle's lambda {venue} r²", found and found.r2, want["r2"], rel_tol=REL)
