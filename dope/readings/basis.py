"""Basis and carry of every pair of a perpetual and another market of its base and quote, what holding either side would pay included.

The largest deviation from the median of the last hour comes first. Bases are shown by mids, sides by executable prices; a side gets
out at that median (at a basis of 0 while there is none), pays four fees, each for its role, and funding is today's throughout.
"""

from __future__ import annotations

from typing import Any

from dope.detectors.basis import Basis, Seen, TradeFee, distribution, entry_bps, side_row
from dope.detectors.carry import BPS, HOUR_NS, Fund, basis_bps, first_after
from dope.engines import detector_of
from dope.readings.asked import Asked
from dope.session import Session
from dope.types import Instrument

MS = 1_000_000
ROWS = 200  #: of one answer, unless fewer are asked for


def read(session: Session, asked: Asked) -> list[dict[str, Any]]:
    """``args``: hold_h = how long a side is held; ``symbol`` = an asset, or the symbol of either market; "" = all."""
    basis: Basis = detector_of(session.engine, Basis)
    hold_h = float(asked.args.get("hold_h") or basis.parameters.hold)
    seen, settled = asked.between_turns(lambda: (basis.seen(session.engine.market), basis.settled()))
    funds = {key: perp.fund for key, perp in list(basis.perps.items()) if perp.rate is not None}
    chosen = [each for each in seen if _wanted(asked.symbol, basis.pairs[each.number])]
    chosen.sort(key=_away)
    rows = []
    for each in chosen[: asked.limit or ROWS]:
        a, b = basis.pairs[each.number]
        sides: dict[str, dict[str, Any] | None] = {"long_a": None, "long_b": None}
        if each.a is not None and each.b is not None:
            hold = basis.hold(each.number, asked.now, hold_h)
            sides = {name: side_row(hold, entry_bps(each.a, each.b, side), side, hold_h) for name, side in (("long_a", 1), ("long_b", -1))}
        rows.append({
            "base": a.base, "quote": a.quote, "kind": f"{a.kind}-{b.kind}", "a": a.key, "b": b.key,
            "basis_bps": _mid_basis(each), "median_bps": each.median, "deviation_bps": _deviation(each), "samples": each.samples,
            "hold_h": hold_h, **sides, "fees": [_trade(fee) for fee in basis.fees(each.number)],
            "funding_a": _fund(a.key, funds, settled, asked.now), "funding_b": _fund(b.key, funds, settled, asked.now),
        })  # fmt: skip
    return rows


def _trade(fee: TradeFee) -> dict[str, Any]:
    return {"market": fee.market, "side": fee.side, "role": fee.role, "fee_bps": fee.fee * BPS}


def _wanted(symbol: str, pair: tuple[Instrument, Instrument]) -> bool:
    return not symbol or any(symbol in (each.base, each.symbol) for each in pair)


def _mid_basis(each: Seen) -> float | None:
    return None if each.a is None or each.b is None else basis_bps(sum(each.a) / 2.0, sum(each.b) / 2.0)


def _deviation(each: Seen) -> float | None:
    now = _mid_basis(each)
    return None if now is None or each.median is None else now - each.median


def _away(each: Seen) -> tuple[bool, float]:
    away = _deviation(each)
    return away is None, -abs(away or 0.0)


def _fund(key: str, funds: dict[str, Fund], settled: dict[str, list[tuple[int, float]]], now: int) -> dict[str, Any] | None:
    fund = funds.get(key)
    if fund is None:
        return None
    return {
        "rate_bps": fund.rate * BPS, "interval_h": fund.interval_ns / HOUR_NS, "next": first_after(now, fund) // MS,
        "annual_pct": fund.annual_pct, "settled": distribution([rate for _, rate in settled.get(key, ())]),
    }  # fmt: skip
