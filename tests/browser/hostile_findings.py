"""What detectors and books would say if every text in it were a payload: answers for Spreads, Depth and Lead-lag."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from dope.tables import GAP, SPREAD, History
from tests.browser.fake_depth import depth_of

Text = Callable[[int], str]
KINDS = ("leadlag", "depth", "conversions", "moment", "spread", "triangles")


def answer(kind: str, text: Text, *, symbol: str, span: tuple[int, int], args: dict[str, Any]) -> Any:
    """Of one of ``KINDS``; ``text(n)`` gives the payloads in turn."""
    if kind == "leadlag":
        return lead_lag(text)
    if kind == "depth":
        return depth(text, symbol, args)
    if kind == "conversions":
        legs = {"coin": text(6), "money": text(7), "via": None, "naive_bps": 3.0, "net_bps": None}
        pairs = [{**legs, "base": text(n + 20), "buy": text(n), "sell": text(n + 1), "blocks": text(n + 2)} for n in range(2)]
        return {"exchanges": [], "implied": [], "pairs": pairs}
    if kind == "triangles":
        way = {"venue": text(1), "path": [text(n) for n in range(2, 6)], "markets": [text(6)] * 3, "net_bps": -1.0, "fees_bps": 3.0,
               "sides": ["buy"] * 3, "roles": ["taker"] * 3}  # fmt: skip
        return {"ways": 1, "opened": 0, "rows": [], "nearest": [{**way, "open": False}]}
    if kind == "moment":
        return {name: spreads(text, span) for name in args["symbols"]}
    return spreads(text, span)


def spreads(text: Text, span: tuple[int, int]) -> History:
    """One second of two venues, and what is missing."""
    rows = [{"second": span[0], "buy_venue": text(n), "sell_venue": text(n + 1), "gross_bps": 1.0} for n in range(4)]
    gap = {"ts": span[0], "symbol": text(3), "venue": text(4), "until": None, "what": text(5), "why": text(1), "lost": None}
    told = pa.Table.from_pylist([gap], schema=GAP)
    return History(pa.Table.from_pylist(rows, schema=SPREAD), *span, False, told, (text(2),), text(8))


def depth(text: Text, symbol: str, args: dict[str, Any]) -> dict[str, Any]:
    found = depth_of(symbol, args, int(time.time() * 1000))
    venues = [{**row, "venue": text(n), "label": text(n + 1), "state": text(n + 2), "reason": text(n + 3)}
              for n, row in enumerate(found["venues"])]  # fmt: skip
    return {**found, "base": text(5), "quote": text(6), "kind": text(9), "venues": venues}


def lead_lag(text: Text) -> dict[str, Any]:
    keys = [text(n) for n in (1, 2, 5)]
    figures = {"lag_ms": 40.0, "low_ms": 30.0, "middle_ms": 40.0, "high_ms": 50.0, "blocks_ms": [40.0], "top_ms": [(35.0, 45.0)],
               "contrast": 0.5, "contrast_at_0": 0.1, "llr": 2.0, "z": 9.0, "n_x": 400, "n_y": 400, "least_ms": 1.0, "at": 1,
               "clocks": {}}  # fmt: skip
    pairs = [{**figures, "x": keys[a], "y": keys[b], "state": "leads", "why": text(a + 7), "leader": keys[a]}
             for a, b in ((0, 1), (0, 2), (1, 2))]  # fmt: skip
    score = {"n": 30, "led": 29, "simultaneous": 0, "unresolved": 0, "share": 0.9, "low": 0.8, "high": 1.0, "p": 0.001, "lag_ms": 40.0,
             "lag_q25_ms": 30.0, "lag_q75_ms": 50.0, "verdict": "leads", "leader": keys[0], "follower": keys[1]}  # fmt: skip
    mean = {"value": 1.0, "low": 0.5, "high": 1.5}
    followed = [{"leader": keys[0], "follower": keys[2], "n": 30, "move": mean, "spread": 1.0, "fees": 1.0, "net": mean, "verdict": "pays"}]
    market = {"n": 400, "span_s": 300.0, "excess_p50_ms": 1.0, "stamped": True}
    return {
        "at": 1, "reach_ms": 500.0, "step_ms": 5.0, "pairs": pairs, "jumps": [score],
        "markets": [{**market, "key": key, "venue": text(n + 20), "symbol": text(n + 30), "label": text(n)} for n, key in enumerate(keys)],
        "shares": [_share(keys, text)], "following": {"after_ms": 100.0, "hold_ms": 2000.0, "rows": followed},
        "paths": {"jumps": 30, "offsets_ms": [-1000.0, 0.0, 1000.0], "markets": [{"key": keys[0], "n": 30, "bps": [0.0, 1.0, 2.0]}]},
    }  # fmt: skip


def _share(keys: Sequence[str], text: Text) -> dict[str, Any]:
    return {"x": keys[0], "y": keys[1], "seconds": 1.0, "low": None, "high": None, "share": None, "why": text(11)}
