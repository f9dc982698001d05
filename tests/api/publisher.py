"""A small publisher: complete snapshots in the shape of ``dope/board.py``, as plain data that a test can change."""

from __future__ import annotations

import itertools
import time
from typing import Any

from dope.board import Board, Command
from dope.errors import UnknownName
from dope.tables import GAP, KINDS, History

VENUES = ("binance_spot", "binance_usdm", "okx")
MARKETS = (
    ("binance_spot", "BTC-USDT"),
    ("binance_spot", "ETH-USDT"),
    ("binance_usdm", "BTC-USDT-PERP"),
    ("okx", "BTC-USDT"),
    ("okx", "ETH-USDT"),
    ("okx", "BTC-USDT-PERP"),
)
T0 = 1_700_000_000_000  #: ms UTC, an instant to count from


def venue(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "label": name.upper(),
        "short": name[:3],
        "state": "live",
        "since": T0,
        "books_live": 2,
        "books_total": 2,
        "msgs_s": 41.5,
        "excess_p50_ms": 0.4,
        "excess_p99_ms": 7.5,
        "errors_min": 0,
        "reconnects": 1,
        "gaps": 2,
        "faults": 3,
        "checksums_ok": 4,
        "checksum_bad": 0,
        "acks_ok": 2,
        "acks_total": 2,
        "unacked": [],
        "last_error": "",
        "next_retry": None,
        "breaker": "closed",
        "integrity": "sequence",
    } | changes


def instrument(venue_id: str, symbol: str, **changes: Any) -> dict[str, Any]:
    base, quote = symbol.split("-")[:2]
    return {
        "key": f"{venue_id}:{symbol}",
        "venue": venue_id,
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "kind": "perp" if symbol.endswith("-PERP") else "spot",
        "state": "LIVE",
        "reason": "",
        "since": T0,
        "bid": 100.0,
        "ask": 100.5,
        "bid_size": 1.5,
        "ask_size": 2.0,
        "mid": 100.25,
        "age_ms": 12.5,
        "unchanged_ms": 40.0,
        "limit_ms": 5000.0,
        "tick": 0.01,
        "depth": {"5": [1.0, 2.0], "10": [3.0, 4.0]},
        "imbalance": 0.1,
        "funding": None,
        "mark": None,
    } | changes


def listed(venue_id: str, symbol: str, **changes: Any) -> dict[str, Any]:
    """A row of the answer about all markets that a venue lists."""
    base, quote, *more = symbol.split("-")
    names = {"venue": venue_id, "label": venue_id.upper(), "symbol": symbol, "native": base + quote, "base": base, "quote": quote}
    market = names | {"kind": "perp" if more else "spot"}
    rules = {"tick": 0.01, "lot": 0.001, "min_size": 0.0, "min_notional": 5.0, "contract_value": 1.0, "inverse": False, "status": "trading"}
    return market | rules | {"watched": (venue_id, symbol) in MARKETS, "source": "list"} | changes


def opportunity(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "state": "open",
        "reason": "",
        "symbol": "BTC-USDT",
        "base": "BTC",
        "quote": "USDT",
        "kind": "spot",
        "buy": "okx:BTC-USDT",
        "sell": "binance_spot:BTC-USDT",
        "buy_venue": "okx",
        "sell_venue": "binance_spot",
        "buy_px": 100.1,
        "sell_px": 100.9,
        "buy_vwap": 100.15,
        "sell_vwap": 100.85,
        "gross_bps": 69.89515726,
        "fees_bps": 20.0,
        "net_bps": 49.7 + number / 7,
        "size": 1234.5,
        "qty": 12.3,
        "net": 6.1,
        "net_at_order": 5.0,
        "net_bps_at_order": 50.0,
        "order_qty": 10.0,
        "touch_net_bps": 59.0,
        "indicative_pct": 0.8,
        "indicative_profit_pct": 0.6,
        "peak_bps": 51.0,
        "peak_t": T0 + 1000 * number + 7,
        "opened": T0 + 1000 * number,
        "closed": None,
        "life_s": 1.5,
        "updates": 4,
        "buy_age_ms": 3.0,
        "sell_age_ms": 4.0,
        "skew_ms": 1.0,
        "fee_buy_bps": 10.0,
        "fee_sell_bps": 10.0,
        "fee_slack_bps": 0.0,
        "gross": 8.6,
        "fees": 2.5,
        "buy_cost": 1234.5,
        "sell_proceeds": 1240.6,
        "levels": [[100.1, 100.9, 12.3]],
        "max_age_ms": 4.0,
    } | changes


def job(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "kind": "train",
        "state": "running",
        "progress": 0.25,
        "step": "Fit",
        "eta_s": 3.0,
        "started": T0,
        "ended": None,
        "error": None,
        "result": None,
    } | changes


def full() -> dict[str, Any]:
    """Every section filled."""
    return {
        "mode": {
            "source": "sim",
            "banner": "SIMULATED MARKET",
            "live_available": False,
            "started": T0,
            "version": "0.1.0",
            "recording": {"on": False},
            "order_size": 1000.0,
            "min_net_bps": 0.0,
            "paused": False,
        },
        "venues": [venue(name) for name in VENUES],
        "instruments": [instrument(*market) for market in MARKETS],
        "cards": {
            "total": 2,
            "open": 1,
            "avg_pct": 0.4,
            "max_pct": 0.5,
            "recent_5m": 2,
            "best": opportunity(2),
            "history": {"best": [1.0], "open": [1]},
        },
        "opps": [opportunity(1, state="closed", closed=T0 + 2500), opportunity(2)],
        "misses": [],
        "matrix": [
            {
                "id": "BTC-USDT-spot",
                "base": "BTC",
                "quote": "USDT",
                "kind": "spot",
                "venues": ["okx", "binance_spot"],
                "labels": ["OKX", "BIN"],
                "gross": [[None, 1.0], [-1.0, None]],
                "net": [[None, -19.0], [-21.0, None]],
                "z": [[None, 0.1], [-0.1, None]],
                "wall": [[None, 20.0], [20.0, None]],
                "state": [["self", "ok"], ["stale", "self"]],
            }
        ],
        "pairs": [
            {
                "a": "binance_spot:BTC-USDT",
                "b": "okx:BTC-USDT",
                "symbol": "BTC-USDT",
                "kind": "spot",
                "mean": 0.1,
                "sd": 0.2,
                "current": 0.3,
                "min": -1.0,
                "max": 1.0,
                "n": 60,
            }
        ],
        "basis": [],
        "series": {"t": [T0, T0 + 1000], "mid": {"okx:BTC-USDT": [100.0, None]}},
        "events": [{"id": 1, "t": T0, "kind": "system", "text": "watching 3 venues", "value": "", "tone": ""}],
        "findings": [{"id": 1, "t": T0, "kind": "jump", "key": "okx:BTC-USDT", "way": -1, "size": 6.3, "z": 7.1, "took_ms": 250}],
        "pred": {"status": "collecting", "samples": 3, "needed": 50, "rows": []},
        "jobs": [job(1000)],
        "sys": {"msgs_s": 120.0, "frames": 1000, "loop_lag_ms": 0.4, "rss_mb": 200.0, "event_ns": T0 * 1_000_000, "tick": 1},
    }


def curve(args: dict[str, Any]) -> dict[str, Any]:
    """What the reading of that name says of a pair that just pays."""
    legs = {"buy": args.get("buy", "okx:BTC-USDT"), "sell": args.get("sell", "binance_spot:BTC-USDT")}
    if not all(leg in (f"{venue}:{symbol}" for venue, symbol in MARKETS) for leg in legs.values()):
        raise UnknownName("pair", " → ".join(legs.values()), ())
    size = {"qty": 1.0, "cost": 100.1, "net": 0.7, "net_bps": 70.0, "marginal_bps": 70.0, "ask": 100.0, "bid": 101.0}
    numbers = dict.fromkeys(("lot", "min_size", "min_notional", "transfer", "buffer_bps", "threshold_bps", "slack_bps", "order_qty"), 0.0)
    words = {"symbol": "BTC-USDT", "kind": "spot", "base": "BTC", "quote": "USDT", "buy_venue": "okx", "sell_venue": "binance_spot"}
    return {
        **legs, **words, **numbers, "id": args.get("id"), "state": "open", "recorded": False, "order_size": 1000.0, "t": T0,
        "points": [{**size, "gross": 1.0}], "best": {**size, "at_least": False, "takes": True}, "widest": None,
        "fees": [{"leg": "buy", "venue": "okx", "role": "taker", "bps": 10.0, "currency": "base"}],
        "ledger": [{"term": "net", "amount": "0.70000000", "bps": 70.0}], "order_ledger": [], "blocks": None,
    }  # fmt: skip


LIVES = {
    **dict.fromkeys(("openings", "ended", "stale", "open"), 0), **dict.fromkeys(("median_s", "median_low_s", "median_high_s")),
    "open_after": [], "fills": [], "fills_at_latency": None,
}  # fmt: skip
SURVIVAL = {"t": T0, "since": None, "latency_ms": 100.0, "unwatched": 0, "total": LIVES, "pairs": []}
MARKET_MAP = {"t": T0, "hours": 0.0, "sizes": [1000.0], "latency_ms": 100.0, "rows": []}


def storage(**changes: Any) -> dict[str, Any]:
    return {
        "on": True,
        "path": "x.dope",
        "reason": "",
        "tapes": 2,
        "tape_bytes": 5000,
        "tape_bytes_max": 1 << 30,
        "first": T0,
        "last": T0 + 60_000,
        "frames": 1000,
        "lost": 3,
        "free_bytes": 10**9,
        "disk_bytes": 10**10,
        "sealed": 1,
        "waiting": 0,
        "sealed_last": T0 + 50_000,
        "seal_trouble": "",
        "verified": None,
        "sound": None,
        "problems": None,
        "told": [],
        "records_trouble": "",
    } | changes


class Publisher:
    """A board with a runtime behind it that records commands and answers queries from plain lists."""

    def __init__(self, data: dict[str, Any] | None = None) -> None:
        self.board = Board()
        self.alive = True
        self.commands: list[tuple[int, Command]] = []
        self.history: list[dict[str, Any]] = []
        self.refusal: Exception | None = None
        self.hesitates_s = 0.0  #: s that taking a command lasts
        self.histories: dict[str, History] = {}  # kind → answer
        self.asked: list[tuple[Any, ...]] = []  # for histories
        #: kind → answer, or what makes it of the arguments
        self.readings: dict[str, Any] = {
            "leadlag": {}, "clocks": {}, "curve": curve, "survival": SURVIVAL, "market_map": MARKET_MAP, "basis": [], "triangles": {},
            "conversions": {}, "signals": {}, "parameters": [], "jump_audit": [],
        }  # fmt: skip
        self.storage = storage()
        self.listed: list[dict[str, Any]] = [listed(*market) for market in MARKETS]
        self.log: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []
        self.views: dict[tuple[str, str], dict[str, Any]] = {}
        self.ticks = itertools.count(1)
        self.board.serve(self._take, self._answer)
        self.publish(full() if data is None else data)

    def publish(self, sections: dict[str, Any] | None = None) -> None:
        """Publish these sections with a new ``sys``, as the runtime does."""
        tick = next(self.ticks)
        system = {"msgs_s": 1.0, "frames": tick, "loop_lag_ms": 0.1, "rss_mb": 1.0, "event_ns": time.time_ns(), "tick": tick}
        self.board.publish(time.time_ns(), {"sys": system, **(sections or {})})

    def _take(self, number: int, command: Command) -> None:
        time.sleep(self.hesitates_s)
        if self.refusal is not None:
            raise self.refusal
        self.commands.append((number, command))
        place = (command.args.get("page", ""), command.args.get("name", ""))
        if command.name == "save_view":
            self.views[place] = {**command.args, "saved": T0}
        elif command.name == "delete_view":
            if place not in self.views:
                raise UnknownName("view", place[1], [name for _, name in self.views])
            del self.views[place]

    def _answer(self, kind: str, symbol: str, start: int, end: int, *, limit: int = 0, source: str = "", args: Any = None) -> Any:
        if kind == "half_lives":
            row = {"a": f"okx:{symbol}", "b": f"gate:{symbol}", "symbol": symbol, "n": 99, "half_life_s": None, "t": -1.0}
            return [row | {"mean_bps": 0.5, "sd_bps": None}]
        if kind in ("bars", "consolidated", "depth"):
            return analytics(kind, symbol, args or {})
        if kind == "opportunities":
            return [row for row in self.history if start <= row["opened"] * 1_000_000 <= (end or 2**63)]
        if kind in ("recordings", "bundles", "replays", "replay_board"):
            if symbol:
                raise UnknownName("replay", symbol, ())
            return []
        if kind == "log":
            return [row for row in self.log if not start or row["id"] < start][:limit]
        if kind == "past_jobs":
            return self.past[start : start + limit]
        if kind == "promises":
            words = dict.fromkeys(("id", "promise", "promised", "measured", "unit", "of", "how", "test"), "words")
            return [{**words, "limit": 1.0, "samples": 3, "needed": 9, "since": 1, "state": "few", "p50": None, "value": 0.5}]
        if kind in self.readings:
            self.asked.append((kind, symbol, start, end, limit, args))
            answer = self.readings[kind]
            return answer(args or {}) if callable(answer) else answer
        if kind == "views":
            return list(self.views.values())
        if kind == "instruments":
            return self.listed
        if kind == "scenarios":
            return [{"id": name, "name": name.upper(), "see": f"what {name} looks like.", "since": None} for name in ("usual", "calm")]
        if kind == "storage":
            return self.storage | {"source": source or "sim"}
        if kind == "moment":
            return {name: self._answer("spread", name, end - 10**9, end) for name in args["symbols"]}
        if kind in (*KINDS, "gaps"):
            self.asked.append((kind, symbol, start, end, limit, source))
            schema = KINDS["gap" if kind == "gaps" else kind].schema
            empty = History(schema.empty_table(), start, end, False, GAP.empty_table(), (), source or "sim")
            return self.histories.get(kind, empty)
        if kind == "relay":
            return Reader(self, symbol)
        assert kind == "book"
        return [self._book(row) for row in self.board.read().data["instruments"] if row["symbol"] == symbol]

    @staticmethod
    def _book(row: dict[str, Any]) -> dict[str, Any]:
        """Levels even where the book is not LIVE: the API itself must hold them back."""
        return {
            "key": row["key"],
            "venue": row["venue"],
            "symbol": row["symbol"],
            "state": row["state"],
            "reason": row["reason"],
            "bids": [(100.0 - i, 1.0 + i) for i in range(20)],
            "asks": [(100.5 + i, 2.0) for i in range(20)],
            "age_ms": 5.0,
            "received": T0,
        }


def analytics(kind: str, symbol: str, args: dict[str, Any]) -> dict[str, Any]:
    """What readings of depth say before they know anything, and one row of each thing else."""
    about = {"symbol": symbol, "base": "BTC", "quote": "USDT", "kind": "spot"}
    if kind == "bars":
        prices = dict.fromkeys(("open", "high", "low", "close", "volume", "bought", "value"), 1.0)
        row = {"start": T0, "end": T0 + 1000, **prices, "count": 1, "exchange_count": 1, "closed": False, "partial": True,
               "missing_s": 0.5}  # fmt: skip
        about = {"symbol": symbol, "venue": args["venue"], "interval": args["interval"], "interval_s": 60}
        gap = {"start": T0, "end": None, "venue": "", "what": "recording", "why": "nothing was recorded"}
        recorded = {"start": T0, "end": T0 + 60_000} if args["recorded"] else None
        return about | {"kept": 600, "lost": 0, "rows": [row], "recorded": recorded, "gaps": [gap], "problems": []}
    if kind == "consolidated":
        level = {"price": 1.0, "size": 2.0, "exchange_count": 1, "venues": {"okx": 2.0}, "complete": True}
        venue = {"venue": "okx", "state": "LIVE", "reason": "", "used": True, "age_ms": 1.0}
        nothing = dict.fromkeys(("bid", "ask", "mid"))
        return about | nothing | {"exchange_count": 1, "crossed": False, "venues": [venue], "bids": [level], "asks": []}
    heat = {"step": None, "steps": [], "every_s": 1, "peak": None, "points": []}
    return about | {
        "t": T0, "venue": args["venue"], "order_size": args["order"] or 1000.0, "mid": None, "venues": [],
        "buckets": {"step": None, "bids": [], "asks": []}, "heatmap": heat, "trades": {"span_s": 1, "dots": []},
    }  # fmt: skip


class Reader:
    """What a venue's relay reads: its books as they are published, no trades."""

    def __init__(self, publisher: Publisher, name: str) -> None:
        self._publisher, self._name = publisher, name

    def read(self, depth: int) -> dict[str, Any]:
        rows = [row for row in self._publisher.board.read().data["instruments"] if row["venue"] == self._name]
        times = {"exchange_ms": T0, "received_ms": T0, "venue_seq": None}
        books = [{**self._publisher._book(row), **times, "symbol": row["symbol"], "kind": row["kind"]} for row in rows]
        keys = [row["key"] for row in rows]
        return {"run": "sim-1", "source": "sim", "books": books, "keys": keys, "trades": [], "missed": 0}
