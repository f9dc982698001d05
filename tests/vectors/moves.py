"""Reference vectors of jumps, bursts and links, computed by the detectors' own code; every parameter and tolerance is the file's."""

from __future__ import annotations

import csv
import gzip
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from dope.detectors import jump_audit
from dope.detectors.bursts import BurstParameters, BurstSeries
from dope.detectors.jumps import Jump, JumpParameters, jumps_in
from dope.detectors.linker import LinkParameters, linked
from tests.vectors.case import Case, Document, Part, all_near, near, same

MS = 1_000_000
MINUTE_MS = 60_000
ROUNDED = 1e-4  #: relative; of the day without its jumps, which was computed before the prices were rounded for the file


def jump_parameters(words: Mapping[str, Any]) -> JumpParameters:
    """The parameters a file names; what else it says there is a note."""
    return JumpParameters(**{name: float(words[name]) for name in words if name in JumpParameters.__struct_fields__})


def burst_parameters(words: Any, **others: float) -> BurstParameters:
    """The same of bursts; a sentence instead of figures means the defaults."""
    named = {name: float(value) for name, value in words.items()} if isinstance(words, Mapping) else {}
    return BurstParameters(**named, **others)


# -- jumps -----------------------------------------------------------------------------------------------------------------
def audit_cases(document: Document, market: Path) -> Iterator[Case]:
    """Lee–Mykland and Barndorff-Nielsen–Shephard over given prices, with and without the planted jumps."""
    tolerance = document.get("tolerance", {}).get("stat_abs", 1e-6)
    for case in document["lm_and_bns"]:
        name, prices = case["name"], np.array(case["log_price_bps"], dtype=np.float64)
        found = jump_audit.lee_mykland(prices, int(case["K"]))
        for i, want in case["lm_stat_at"].items():
            yield near(f"{name} L[{i}]", float(found[int(i)]), want, abs_tol=tolerance)
        for alpha, want in case["lm_threshold"].items():
            level = jump_audit.threshold(len(found), float(alpha))
            yield near(f"{name} threshold at {alpha}", level, want, abs_tol=tolerance)
            if (key := f"detected_alpha_{alpha}") in case:
                yield same(f"{name} {key}", np.flatnonzero(np.abs(found) > level).tolist(), case[key])
        yield from _day(f"{name} day", prices, case["bns"], tolerance)
        if "bns_without_jumps" in case:
            returns = np.diff(prices)
            for i, size in case["planted"].items():
                returns[int(i)] -= size
            yield from _day(f"{name} day without jumps", np.concatenate([[0.0], np.cumsum(returns)]), case["bns_without_jumps"], ROUNDED)


def _day(name: str, prices: np.ndarray, wanted: Mapping[str, float], tolerance: float) -> Iterator[Case]:
    found = jump_audit.day(prices)._asdict()
    for key, want in wanted.items():
        yield near(f"{name} {key}", found[key], want, abs_tol=tolerance, rel_tol=tolerance)


def stream_cases(document: Document, market: Path) -> Iterator[Case]:
    """The streaming detector over a given series of prices."""
    stream, words = document["stream"], document.get("tolerance", {})
    found = jumps_in(np.array(stream["t_ms"], dtype=np.int64) * MS, stream["price"], jump_parameters(stream["params"]), standing=False)
    wanted = stream["events"]
    yield same("stream, how many", len(found), len(wanted))
    for got, want in zip(found, wanted, strict=False):
        name = f"stream, jump at {want['t_detect']}"
        for key in ("t_start", "t_detect", "t_peak", "t_final"):
            yield near(f"{name} {key}", got[key] / MS, want[key], abs_tol=words.get("event_t_ms", 0))
        yield same(f"{name} dir", got["dir"], want["dir"])
        yield near(f"{name} bps", got["bps"], want["bps"], abs_tol=words.get("bps_abs", 1e-4))
        yield near(f"{name} z", got["z"], want["z_detect"], abs_tol=words.get("z_abs", 1e-4))
        yield near(f"{name} threshold", got["threshold"], want["threshold"], abs_tol=words.get("bps_abs", 1e-4))
    for plant in stream.get("planted", ()):
        way = math.copysign(1, plant["bps"])
        hits = [one for one in found if one["dir"] == way and 0 <= one["t_detect"] / MS - plant["t"] <= 1000]
        yield same(f"stream, planted at {plant['t']} found", len(hits), 1)


# -- bursts ----------------------------------------------------------------------------------------------------------------
BURST_KEYS = ("params", "t_ms", "size", "sign", "planted", "hits", "bucket_checks", "n_buckets_closed", "merge_gap_ms")


def burst_cases(document: Document, market: Path) -> Iterator[Case]:
    """Bursts of a given series of trades, and single buckets of it."""
    others = {"merge_ms": float(document["merge_gap_ms"])} if "merge_gap_ms" in document else {}
    p = burst_parameters(document["params"], **others)
    words, width = document.get("tolerance", {}), int(p.bucket_ms)
    series, asked = BurstSeries(p), {int(check["bucket"]) // width: check for check in document.get("bucket_checks", ())}
    cases, at, volume, warm = [], None, {1: 0.0, -1: 0.0}, int(p.warmup)
    for t, size, sign in zip(document["t_ms"], document["size"], document["sign"], strict=True):
        bucket = t // width
        while at is not None and at < bucket:
            known = series.closed >= warm
            series.close((at + 1) * width * MS)
            if (check := asked.pop(at, None)) is not None:
                cases += list(_bucket(at * width, check, volume, series.z if known else (None, None), words))
            at, volume = at + 1, {1: 0.0, -1: 0.0}
        at = bucket
        series.trade(t * MS, size, sign)
        volume[1 if sign > 0 else -1] += size
    yield from cases
    yield same("buckets asked for and not met", sorted(asked), [])
    if "n_buckets_closed" in document:
        yield same("buckets closed", series.closed, document["n_buckets_closed"])
    series.finish()
    yield from _bursts("bursts", series.bursts, document["hits"], words.get("z_abs", 1e-6))
    for plant in document.get("planted", ()):
        side = "buy" if plant["sign"] > 0 else "sell"
        hits = [one for one in series.bursts if one["side"] == side and abs(one["start"] / MS - plant["t"]) <= 250]
        yield same(f"planted {side} at {plant['t']} found", len(hits), 1)


def _bucket(
    start: int, check: Mapping[str, Any], volume: Mapping[int, float], z: tuple[float | None, float | None], words: Mapping[str, float]
) -> Iterator[Case]:
    yield all_near(f"bucket {start} volumes", volume.values(), (check["buy"], check["sell"]), abs_tol=words.get("volume_abs", 1e-6))
    yield all_near(f"bucket {start} z", z, check["z"], abs_tol=words.get("z_abs", 1e-6))


def _bursts(name: str, found: list[dict[str, Any]], wanted: list[dict[str, Any]], tolerance: float, rel: float = 0.0) -> Iterator[Case]:
    def place(one: Mapping[str, Any]) -> tuple[Any, ...]:
        return one["start"], one["side"]

    ours = sorted(({**one, "start": one["start"] // MS, "end": one["end"] // MS} for one in found), key=place)
    theirs = sorted(wanted, key=place)
    keys = ("side", "start", "end", "buckets")
    yield same(f"{name}, sides and times", [[one[key] for key in keys] for one in ours], [[one[key] for key in keys] for one in theirs])
    yield all_near(f"{name}, peak z", [one["peak_z"] for one in ours], [one["peak_z"] for one in theirs], abs_tol=tolerance, rel_tol=rel)


# -- links -----------------------------------------------------------------------------------------------------------------
def jump(key: str, t: int, way: int, bps: float) -> Jump:
    """A jump of which only this is known; ``t`` ns."""
    return Jump(t, key, key, key, "", t, t, t, t, 0, way, bps, 0.0, 0.0)


def _links(name: str, found: list[dict[str, Any]], wanted: list[dict[str, Any]], tolerance: float, rel: float = 0.0) -> Iterator[Case]:
    keys = ("leader", "pair", "dir", "i", "j")
    ours = [[one[key] for key in keys] for one in found]
    yield same(f"{name}, who followed whom", ours, [[one[key] for key in keys] for one in wanted])
    yield all_near(f"{name}, dt", [one["dt"] / MS for one in found], [one["dt"] for one in wanted], abs_tol=tolerance)
    yield all_near(f"{name}, ratio", [one["ratio"] for one in found], [one["ratio"] for one in wanted], abs_tol=tolerance, rel_tol=rel)


def linker_cases(document: Document, market: Path) -> Iterator[Case]:
    """A given list of jumps (t ms, market, direction, bps)."""
    case = document["linker"]
    words = case["params"]
    p = LinkParameters(max_lag_ms=words["max_lag"], ratio=words["ratio"], simul_ms=words["simul"])
    found = linked([jump(key, round(t * MS), way, bps) for t, key, way, bps in case["jumps"]], p)
    yield from _links("linker", found, case["expected"], document.get("tolerance_abs", 1e-9))


# -- a real recording of three venues -----------------------------------------------------------------------------------------
@cache
def rows(market: Path, name: str) -> list[list[str]]:
    """The rows of a table below the folder of market data, without its head."""
    files = sorted(market.rglob(f"{name}.csv.gz"))
    if not files:
        raise FileNotFoundError(f"no {name}.csv.gz below {market}")
    with gzip.open(files[0], "rt", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def recorded_jumps(document: Document, market: Path) -> dict[str, list[dict[str, Any]]]:
    """The jumps of the mids of every recorded venue, times cut to ms as in the file."""
    p, found = jump_parameters(document["jump_params"]), {}
    for venue, stem in document["files"].items():
        quotes = rows(market, f"{stem}_quotes")[1:]
        times = np.array([int(row[0]) // MS * MS for row in quotes], dtype=np.int64)
        found[venue] = jumps_in(times, [(float(row[2]) + float(row[4])) / 2.0 for row in quotes], p, standing=False)
    return found


def recorded_cases(document: Document, market: Path) -> Iterator[Case]:
    """Jumps and links of recorded quotes, bursts of recorded trades."""
    rel = _relative(document)
    found = recorded_jumps(document, market)
    for venue, wanted in document["jumps"].items():
        got = found[venue]
        yield same(f"jumps of {venue}, when and which way", [[one["t_detect"] // MS, one["dir"]] for one in got],
                   [[one["t_detect"], one["dir"]] for one in wanted])  # fmt: skip
        for key in ("bps", "z"):
            yield all_near(f"jumps of {venue}, {key}", [one[key] for one in got], [one[key] for one in wanted], abs_tol=1e-6, rel_tol=rel)
    if "links" in document:
        jumps = [jump(venue, one["t_detect"], one["dir"], one["bps"]) for venue, ones in found.items() for one in ones]
        yield from _links("links", linked(jumps, LinkParameters()), document["links"], rel, rel)


def recorded_bursts(document: Document, market: Path) -> Iterator[Case]:
    """Bursts of recorded trades, and how many the plain form of single buckets finds."""
    for venue, wanted in document["bursts"].items():
        table = rows(market, f"{document['files'][venue]}_trades")[1:]
        trades = [(int(row[0]) // MS * MS, float(row[3]), 1 if row[4] == "buy" else -1) for row in table]
        p = burst_parameters(wanted["params"])
        for word, q in (("", p), ("plain ", msgspec.structs.replace(p, span=1.0))):
            series = BurstSeries(q)
            for trade in trades:
                series.trade(*trade)
            series.close(trades[-1][0])
            closed = series.closed
            series.finish()
            if word:
                yield same(f"plain bursts of {venue}", len(series.bursts), wanted["n_bursts_with_plain_50ms_z4_span1"])
                continue
            yield same(f"buckets of {venue}", closed, wanted["buckets"])
            yield same(f"bursts of {venue}, how many", len(series.bursts), wanted["n_bursts"])
            yield from _bursts(f"bursts of {venue}", series.bursts, wanted["bursts"], 1e-6, _relative(document))


def _relative(document: Document) -> float:
    """"… rel 1e-6 …" of a sentence on tolerances."""
    found = re.search(r"rel ([0-9.e+-]+[0-9])", str(document.get("tolerance", "")))
    return float(found[1]) if found else 1e-6


# -- a real day of minute bars --------------------------------------------------------------------------------------------------
def bar_cases(document: Document, market: Path) -> Iterator[Case]:
    """Every series of bars that the file names: which bars were jumps, and the day as a whole."""
    for stem, wanted in document.items():
        if isinstance(wanted, Mapping):
            yield from _bars(stem, rows(market, stem), wanted)


def _bars(name: str, bars: list[list[str]], wanted: Mapping[str, Any]) -> Iterator[Case]:
    times, closes = jump_audit.on_grid([int(row[0]) for row in bars], [float(row[4]) for row in bars], MINUTE_MS)
    prices = np.log(closes) * 1e4
    found, level = jump_audit.lee_mykland(prices, int(wanted["K"])), jump_audit.threshold(len(times) - 1)
    yield same(f"{name} rows", len(bars), wanted["rows"])
    yield near(f"{name} threshold", level, wanted["threshold"], abs_tol=1e-9)
    hits = np.flatnonzero(np.abs(found) > level)
    clocks = [f"{t // 3_600_000}:{t // MINUTE_MS % 60:02d}:{t // 1000 % 60:02d}" for t in times[hits + 1].tolist()]
    yield same(f"{name} jumps at", clocks, [one["bar_open_utc"] for one in wanted["jumps"]])
    yield all_near(f"{name} L", found[hits].tolist(), [one["stat"] for one in wanted["jumps"]], abs_tol=1e-6)
    yield all_near(f"{name} returns", np.diff(prices)[hits].tolist(), [one["ret_bps"] for one in wanted["jumps"]], abs_tol=1e-4)
    yield from _day(f"{name} day", prices, wanted["bns"], 1e-9)


JUMPS = (Part(("lm_and_bns",), audit_cases), Part(("stream",), stream_cases))
BURSTS = (Part(BURST_KEYS, burst_cases),)
LINKER = Part(("linker",), linker_cases)
RECORDED = (Part(("jumps", "jump_params", "links"), recorded_cases), Part(("bursts",), recorded_bursts))
BARS = (Part(("*",), bar_cases),)
