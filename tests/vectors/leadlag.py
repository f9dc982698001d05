"""Vectors of the lead-lag contrast: exact sums, planted lags, and what real recordings gave."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from dope.detectors.contrast import Finding, Grid, Series, common_span, contrast, curve, last_per_time, log_bps, observed, steps
from dope.market.overlaps import overlap_sums
from tests.vectors.case import Case, Document, all_near, near, same, within

MS = 4096  #: our times are those of the reference: ms in double precision, whose step is 1/4096 for the time being


def exact(document: Document, market: Path) -> Iterator[Case]:
    """The sum itself, at the lags named."""
    for number, case in enumerate(document["cases"]):
        (tx, x), (ty, y) = ((_fine(case[t]), steps(np.array(case[v], dtype=np.float64))) for t, v in (("tx", "x"), ("ty", "y")))
        got = [float(overlap_sums(tx, x, ty, y, int(lag), 1, 1)[0]) for lag in _fine(case["lags"])]
        yield all_near(f"sums {number + 1}", got, case["cov"], abs_tol=document["tolerance_abs"])


def _fine(times: list[float]) -> np.ndarray:
    """Times and lags of any unit as integers, a thousand to the unit."""
    return np.round(np.array(times, dtype=np.float64) * 1e3).astype(np.int64)


def planted(document: Document, market: Path) -> Iterator[Case]:
    """Lags that were planted into generated series."""
    for case in document["cases"]:
        x = np.array(case["tx"], dtype=np.int64), np.array(case["x_bps"], dtype=np.float64)
        y = np.array(case["ty"], dtype=np.int64), np.array(case["y_bps"], dtype=np.float64)
        low, high, step = case["grid_ms"]
        found = contrast(x, y, _grid(low, high, step))
        name, expected, tolerance = case["name"], case["expected"], case["tolerance"]
        yield same(f"{name}: related", found.related, expected["related"])
        if expected["related"]:
            yield near(f"{name}: lag", found.lag, expected["lag_ms"], abs_tol=tolerance["lag_ms_vs_expected"])
            yield near(f"{name}: lag, against the truth", found.lag, case["true_lag_ms"], abs_tol=tolerance["lag_ms_vs_truth"])
        yield near(f"{name}: z", found.z, expected["z_peak"], rel_tol=tolerance["llr_rel"])
        yield from _figures(name, found, expected | {"rho": expected["rho_peak"]}, tolerance["curve_abs"], tolerance["llr_rel"])
        rho = curve(x, y, _grid(low, high, 100))
        yield all_near(f"{name}: curve", [] if rho is None else rho, expected["curve_every_100ms"], abs_tol=tolerance["curve_abs"])


def real(document: Document, market: Path) -> Iterator[Case]:
    """Recordings: quotes and trades of several venues, or prices of two by the second."""
    for result in document.get("results", ()):
        yield from _recorded(result, document["tolerance"], market)
    if "grid_s" in document:
        yield from _by_the_second(document, market)


def _recorded(result: Document, tolerance: Document, market: Path) -> Iterator[Case]:
    kind, _, clock = result["series"].partition("_")
    name = f"{result['x']} → {result['y']}, {kind} by the {clock} clock"
    read = [_read(market, f"{result[side]}_{kind}", clock) for side in ("x", "y")]
    if any(series is None for series in read):
        yield Case(name, "no such recording", "quotes and trades", False)
        return
    x, y = common_span(*(series for series in read if series is not None))
    low, high, step = result["grid_ms"]
    ms = MS if clock == "local" else 1
    found = contrast(x, y, _grid(low, high, step, ms))
    yield same(f"{name}: observations", [len(x[0]), len(y[0])], list(result["n"]))
    yield near(f"{name}: span", (max(x[0][-1], y[0][-1]) - min(x[0][0], y[0][0])) / ms / 1e3, result["span_s"], abs_tol=0.001)
    yield near(f"{name}: lag", None if found.lag is None else found.lag / ms, result["lag"], abs_tol=tolerance["lag_ms"])
    yield from _figures(name, found, result, tolerance["rho_abs"], tolerance["llr_rel"])
    rho = curve(x, y, _grid(low, high, 50, ms))
    yield all_near(f"{name}: curve", [] if rho is None else rho, result["curve_every_50ms"], abs_tol=tolerance["rho_abs"])


def _by_the_second(document: Document, market: Path) -> Iterator[Case]:
    name = f"{document['x']} → {document['y']}"
    both = [_prices(market, document[side]) for side in ("x", "y")]
    if any(series is None for series in both):
        yield Case(name, "no such recording", "prices by the second", False)
        return
    x, y = (series for series in both if series is not None)
    low, high, step = document["grid_s"]
    tolerance = document["tolerance"]
    yield same(f"{name}: observations", [len(x[0]), len(y[0])], list(document["n"]))
    found, rho = contrast(x, y, _grid(low, high, step)), curve(x, y, _grid(low, high, step))
    yield near(f"{name}: lag in s", found.lag, document["lag"], abs_tol=tolerance["lag_s"])
    yield from _figures(name, found, document, tolerance["rho_abs"], tolerance["rho_abs"])
    yield all_near(f"{name}: curve", [] if rho is None else rho, document["curve"], abs_tol=tolerance["rho_abs"])
    for number, block in enumerate(document["six_hour_blocks"]):
        begin = max(x[0][0], y[0][0]) + number * 21_600
        part = [tuple(column[(s[0] >= begin) & (s[0] < begin + 21_600)] for column in s) for s in (x, y)]
        found = contrast((part[0][0], part[0][1]), (part[1][0], part[1][1]), _grid(low, high, step))
        yield near(f"{name}, block {number + 1}: lag in s", found.lag, block["lag"], abs_tol=tolerance["lag_s"])
        yield from _figures(f"{name}, block {number + 1}", found, block, tolerance["rho_abs"], tolerance["rho_abs"])


def _figures(name: str, found: Finding, expected: Document, abs_tol: float, rel_tol: float) -> Iterator[Case]:
    yield near(f"{name}: contrast", found.rho, expected["rho"], abs_tol=abs_tol)
    yield near(f"{name}: contrast at 0", found.rho0, expected["rho0"], abs_tol=abs_tol)
    yield near(f"{name}: LLR", found.llr, expected["llr"], rel_tol=rel_tol)
    yield within(f"{name}: its top holds its peak", min(abs(found.lag - a) for ends in found.top for a in ends) if found.lag is not None
                 and any(a <= found.lag <= b for a, b in found.top) else -1.0, 0.0, 1e12)  # fmt: skip


def _grid(low: float, high: float, step: float, unit: int = 1) -> Grid:
    """The grid of a vector, in units of which ``unit`` are one of its own; grids are symmetric."""
    if low != -high:
        raise ValueError(f"a grid from {low} to {high} is not symmetric")
    return Grid(int(high * unit), int(step * unit), far=500 * unit)


def file_of(market: Path, text: str) -> Path | None:
    """The file of market data whose name is or begins with this."""
    return next(iter(sorted(market.rglob(f"{text}*.csv.gz"))), None)


def rows_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _read(market: Path, stem: str, clock: str) -> Series | None:
    """An observation series, mids of quotes or prices of trades: in 1/4096 ms by the local clock, in ms by the exchange's."""
    if (path := file_of(market, stem)) is None:
        return None
    rows = rows_of(path)
    if clock == "exchange":
        rows = [row for row in rows if row["exch_ms"]]
    times = [int(row["exch_ms"]) if clock == "exchange" else round(int(row["local_ns"]) / 1e6 * MS) for row in rows]
    prices = [float(row["price"]) if "price" in row else (float(row["bid"]) + float(row["ask"])) / 2.0 for row in rows]
    return observed(np.array(times, dtype=np.int64), np.array(prices))


def _prices(market: Path, name: str) -> Series | None:
    """The last price of each second; prices that repeat are kept."""
    if (path := file_of(market, name)) is None:
        return None
    rows = rows_of(path)
    times = [int(datetime.strptime(row["date"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) for row in rows]
    return last_per_time(np.array(times, dtype=np.int64), log_bps(np.array([float(row["last"]) for row in rows])))
