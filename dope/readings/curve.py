"""Why an opportunity pays, or why a pair does not: profit as a curve of size, the net as a ledger, fees with their sources, what blocks.

Of a life that is open, and of any pair of comparable markets, as their books stand now; of one that has closed, as it was last seen,
up to its best size: the books behind it are on the tape.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dope.detectors.arbitrage import Opportunity
from dope.detectors.ledger import Entry, of_opportunity, of_walk
from dope.detectors.near import Block, blocks
from dope.detectors.opportunity import Cost, Rules
from dope.detectors.pair import Pair
from dope.detectors.pair_memory import Sides
from dope.errors import UnknownName
from dope.market.curve import Curve, profit_curve
from dope.market.walk import NOTHING
from dope.readings.asked import Asked
from dope.session import Session
from dope.shown import finite

NEAREST = 20  #: names that a refusal tells


class _Now(msgspec.Struct, frozen=True):
    """A pair as it stands: copied between two turns of the engine."""

    pair: Pair
    rules: Rules
    sides: Sides
    block: Block
    row: Opportunity | None


def read(session: Session, asked: Asked) -> dict[str, Any]:
    """``args``: ``id`` of an opportunity, or ``buy`` and ``sell``, keys of two markets. Raises UnknownName."""
    found = asked.between_turns(lambda: _found(session, dict(asked.args)))
    told = _of_row(found) if isinstance(found, Opportunity) else _of_pair(found)
    answer: dict[str, Any] = finite({**told, "t": asked.now // 1_000_000})
    return answer


def _found(session: Session, args: dict[str, Any]) -> _Now | Opportunity:
    arbitrage, market = session.arbitrage, session.engine.market
    row: Opportunity | None = None
    if args.get("id") is not None:
        lives = [*session.picture.open(), *reversed(session.picture.closed)]
        row = next((life for life in lives if life.id == args["id"]), None)
        if row is None:
            raise UnknownName("opportunity", str(args["id"]), [str(life.id) for life in lives[:NEAREST]])
        if row.closed is not None:
            return row
        args = {"buy": row.buy, "sell": row.sell}
    names = str(args.get("buy", "")), str(args.get("sell", ""))
    pair = arbitrage.pairs.get(names)
    if pair is None:
        if row is not None:
            return row
        near = [sell for buy, sell in arbitrage.pairs if buy == names[0]] or sorted(arbitrage.of)
        raise UnknownName("pair", " → ".join(names), near[:NEAREST])
    live = all(market.books[leg.key].state == "LIVE" for leg in (pair.buy, pair.sell))
    sides: Sides = pair.sides(market) if live else ([], [])
    return _Now(pair, arbitrage.rules, sides, blocks(arbitrage, market, session.engine.market.now, pair), row)


def _of_pair(now: _Now) -> dict[str, Any]:
    pair, rules = now.pair, now.rules
    curve = pair.curve(now.sides, rules.enter)
    best, order = pair.walk(now.sides), pair.walk(now.sides, max_quote=rules.order_size, fill_all=True)
    opens = now.row is not None or now.block.term == "nothing"
    return {
        **_head(pair), "id": now.row.id if now.row is not None else None, "state": now.row.state if now.row is not None else None,
        "recorded": False, "lot": pair.lot, "min_size": pair.min_size, "min_notional": pair.min_notional,
        "transfer": pair.transfer, "buffer_bps": pair.buffer * 1e4, "order_size": rules.order_size,
        **_drawn(curve), "slack_bps": pair.slack_bps(best if best is not NOTHING else order),
        "fees": [_fee("buy", pair.buy.venue, pair.cost_buy, rules.role(pair.buy.venue, "buy")),
                 _fee("sell", pair.sell.venue, pair.cost_sell, rules.role(pair.sell.venue, "sell"))],
        "ledger": _rows(of_walk(pair, best)), "order_ledger": _rows(of_walk(pair, order)), "order_qty": order.qty,
        "blocks": None if opens else msgspec.to_builtins(now.block),
    }  # fmt: skip


def _head(pair: Pair) -> dict[str, Any]:
    return {
        "symbol": pair.buy.symbol, "kind": pair.buy.kind, "base": pair.buy.base, "quote": pair.buy.quote, "buy": pair.buy.key,
        "sell": pair.sell.key, "buy_venue": pair.buy.venue, "sell_venue": pair.sell.venue,
    }  # fmt: skip


def _of_row(o: Opportunity) -> dict[str, Any]:
    """From the row alone: its steps are those up to the best size."""
    up = o.buy_cost / (o.qty * o.buy_vwap) - 1.0 if o.qty and o.buy_vwap else 0.0
    off = 1.0 - (o.sell_proceeds - o.buffer - o.conversion) / (o.qty * o.sell_vwap) if o.qty and o.sell_vwap else 0.0
    asks, bids = [(ask, qty) for ask, _, qty in o.levels], [(bid, qty) for _, bid, qty in o.levels]
    curve = profit_curve(asks, bids, up, off, transfer=o.transfer)
    head = {name: getattr(o, name) for name in ("symbol", "kind", "base", "quote", "buy", "sell", "buy_venue", "sell_venue", "id", "state")}
    fees = [_fee("buy", o.buy_venue, Cost(o.fee_buy_bps / 1e4, "base" if o.buy_in_base else "quote"), o.buy_as),
            _fee("sell", o.sell_venue, Cost(o.fee_sell_bps / 1e4), o.sell_as)]  # fmt: skip
    return {
        **head, "recorded": True, "lot": 0.0, "min_size": 0.0, "min_notional": 0.0, "transfer": o.transfer,
        "buffer_bps": o.buffer / (o.qty * o.sell_vwap) * 1e4 if o.qty and o.sell_vwap else 0.0, "order_size": None,
        **_drawn(curve), "slack_bps": o.fee_slack_bps, "fees": fees, "ledger": _rows(of_opportunity(o)), "order_ledger": [],
        "order_qty": o.order_qty, "blocks": None,
    }  # fmt: skip


def _drawn(curve: Curve) -> dict[str, Any]:
    return msgspec.to_builtins(curve)  # type: ignore[no-any-return]


def _rows(entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    return [entry.row() for entry in entries]


def _fee(leg: str, venue: str, cost: Cost, role: str) -> dict[str, Any]:
    return {
        "leg": leg, "venue": venue, "role": role, "bps": cost.fee * 1e4, "currency": cost.currency, "tier": cost.tier,
        "source": cost.source, "as_of": cost.as_of, "confidence": cost.confidence,
    }  # fmt: skip
