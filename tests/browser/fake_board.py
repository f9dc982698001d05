"""A moving stand-in for the engine: publishes snapshots of the board's documented shape from a seeded random market.

It exists so that the page can be built and tested alone: 3 venues, 12 instruments, opportunities that open and close,
a venue that goes down and comes back. Every row is derived from the drawn books with the real depth walk, so the
inspector has something to prove. ``step`` publishes one snapshot; ``run`` does so at a rate in a thread of its own.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from dope.board import Board
from dope.detectors import Jumps, Whales, parameters
from dope.errors import NoEngine, StoreError, UnknownName
from dope.market.curve import profit_curve
from dope.market.market import Market
from dope.market.walk import Walk, two_book
from dope.settings import Settings
from dope.storage import storage
from dope.tables import GAP, SPREAD, History, gap
from dope.types import Setting
from tests.browser.fake_depth import depth_of
from tests.browser.fake_watching import FakeWatching

Row = dict[str, Any]
VENUES = (("binance_spot", "Binance", "BIN"), ("binance_usdm", "Binance USD-M", "BIN-M"), ("okx", "OKX", "OKX"))
BASES = {"BTC": (91_234.5, 0.1, 0.4), "ETH": (3_127.42, 0.01, 9.0), "SOL": (141.88, 0.01, 180.0)}
FEE_BPS = {("binance_spot", "spot"): 10.0, ("binance_usdm", "perp"): 5.0, ("okx", "spot"): 10.0, ("okx", "perp"): 5.0}
SCENARIOS = (
    {"id": "usual", "name": "Usual", "see": "All books stay live.", "since": None},
    {"id": "calm", "name": "Calm", "see": "Prices hardly move, no opportunity opens.", "since": None},
    {"id": "venue-freeze", "name": "Venue freeze", "see": "Every 40 s OKX falls silent for 12 s: its books turn stale.", "since": None},
)
KEYS = [(venue, base, kind) for (venue, kind) in FEE_BPS for base in BASES]


def key_of(venue: str, base: str, kind: str) -> str:
    return f"{venue}:{base}-USDT" + ("-PERP" if kind == "perp" else "")


class FakeMarket:
    """``hot`` = how often a pair drifts apart far enough to pay (per step); ``down`` = ids of venues that are gone (see ``set_down``)."""

    def __init__(self, board: Board, *, seed: int = 7, hot: float = 0.02, source: str = "live") -> None:
        self.board, self.hot = board, hot
        self.random = random.Random(seed)
        self.down: set[str] = set()
        self._wanted_down: set[str] = set()  # asked for from another thread; taken over at the next step
        self.mode: Row = {
            "source": source, "banner": None, "live_available": False, "started": 0, "version": "0.1.0",
            "recording": {"on": True, "path": "2026-11-21T14.tape", "bytes": 12_400_000, "reason": None},
            "order_size": 1000.0, "min_net_bps": 0.0, "leave_net_bps": -1.0, "min_notional": 10.0,
            "transfer_cost": 0.0, "buffer_bps": 0.0, "paused": False,
            "fees": [{"venue": venue, "kind": kind, "taker_bps": fee, "currency": "base" if kind == "spot" else "quote",
                      "source": "fee page of the venue", "as_of": "2026-11-01" if venue == "okx" else "2026-01-01", "maker_bps": fee / 2,
                      "buy_as": "taker", "sell_as": "taker",
                      "tier": "default", "tiers": ["default", "vip1"] if venue == "okx" else ["default"], "discount_pct": 0.0,
                      "confidence": "high" if kind == "spot" else "low"} for (venue, kind), fee in FEE_BPS.items()],
        }
        self.watching = FakeWatching([key_of(*key) for key in KEYS])
        self.commands: list[tuple[str, Row]] = []
        self.muted: dict[str, int] = {}  # venue → ns
        self.scenarios = [dict(row) for row in SCENARIOS]
        self.spoken: Any = None  # kind → what a reading says
        self.unrecorded, self.broken = False, ""  # of history: nothing was recorded; why it cannot be read
        self.deaf = False  # takes no scenario and no parameters
        self.detectors = [Jumps(), Whales()]
        self._levels = {base: BASES[base][0] for base in BASES}
        self._offset = {key: self.random.gauss(0, 0.8) for key in KEYS}
        self._push = dict.fromkeys(KEYS, 0.0)
        self._changed = dict.fromkeys(KEYS, 0)
        self._down_since: dict[str, int] = {}
        self._open: dict[tuple[Any, ...], Row] = {}
        self._closed: list[Row] = []
        self._events: list[Row] = []
        self._series: Row = {"t": [], "mid": {key_of(*key): [] for key in KEYS}}
        self._history: dict[str, list[float | None]] = {"best": [], "open": []}
        self._pcts: list[float] = []
        self._lives: list[float] = []
        self._recent: list[int] = []
        self._ids = {"opp": 0, "event": 0}
        self._steps = 0
        self.views: dict[str, Row] = {}
        self.readings: dict[str, Any] = {}  # kind → answer, or what is raised instead
        self.depth_asked: list[Row] = []
        self.depth_empty, self.depth_refusal = False, ""
        board.serve(self._command, self._answer)

    # -- commands ------------------------------------------------------------------------------------------------
    def _answer(self, kind: str, _symbol: str = "", start: int = 0, end: int = 0, **_more: Any) -> Any:
        if isinstance(found := self.readings.get(kind), Exception):
            raise found
        if kind in self.readings:
            return found
        if kind == "gaps":
            return History(GAP.empty_table(), start, end, False, GAP.empty_table(), (), "sim")
        if kind in ("basis", "triangles", "survival", "market_map") and self.spoken:
            return self.spoken(kind)
        if kind == "spread":
            return self._recorded(_symbol, start, end, tuple((_more.get("args") or {}).get("venues", ())))
        if kind == "moment":
            return {name: self._recorded(name, end - 10**9, end, ()) for name in _more["args"]["symbols"]}
        if kind == "storage":
            nothing = Settings(_env_file=None, data_dir=Path("/nonexistent"))
            return storage(nothing, "sim", recording=self.mode["recording"], sealing={}, notice="")
        if kind == "promises":
            words = dict.fromkeys(("promise", "promised", "measured", "unit", "of", "how", "test"), "words")
            return [{**words, "id": str(n), "limit": 1.0, "samples": 3, "needed": 3, "since": 1, "state": "kept"} for n in range(3)]
        if kind == "curve":
            return self._curve(_more["args"]["id"])
        if kind == "survival":
            fills = {"ms": 100.0, "n": 40, "filled": 33, "blind": 1, "share": 0.825, "low": 0.68, "high": 0.913}
            lives = {"openings": 40, "ended": 30, "stale": 4, "open": 6, "median_s": 0.8, "median_low_s": 0.6, "median_high_s": 1.1,
                     "open_after": [{"t": 0.5, "s": 0.7, "low": 0.6, "high": 0.8, "at_risk": 30}], "fills": [fills],
                     "fills_at_latency": fills}  # fmt: skip
            return {"t": 1, "since": 1, "latency_ms": 100.0, "unwatched": 0, "total": lives, "pairs": []}
        if kind == "instruments":
            return self.watching.listed()
        if kind == "parameters":
            return [msgspec.structs.asdict(row) for row in parameters.table(self.detectors)]
        if kind == "scenarios":
            return self.scenarios
        if kind == "depth":
            return self._depth(_symbol, _more["args"])
        return list(self.views.values()) if kind == "views" else []

    def _depth(self, symbol: str, args: Row) -> Row:
        self.depth_asked.append(args)
        if self.depth_refusal:
            raise NoEngine(self.depth_refusal)
        found = depth_of(symbol, args, int(time.time() * 1000))
        return {**found, "heatmap": {**found["heatmap"], "points": []}} if self.depth_empty else found

    def _recorded(self, symbol: str, start: int, end: int, venues: tuple[str, ...]) -> History:
        """Differences of the mids at the end of each second, as far as the series goes back."""
        if self.broken:
            raise StoreError(self.broken)
        keys = [key_of(*key) for key in KEYS if key_of(*key).partition(":")[2] == symbol]
        keys = [key for key in keys if not venues or key.partition(":")[0] in venues]
        found: dict[tuple[int, str, str], float] = {}
        for n, t in enumerate(self._series["t"]):
            second = t // 1000 * 10**9
            for buy in keys if start <= second < end and not self.unrecorded else ():
                for sell in keys:
                    a, b = self._series["mid"][buy][n], self._series["mid"][sell][n]
                    if buy != sell and a and b:
                        found[(second, buy.partition(":")[0], sell.partition(":")[0])] = (b / a - 1.0) * 1e4
        rows = [{"second": at, "buy_venue": buy, "sell_venue": sell, "gross_bps": v} for (at, buy, sell), v in sorted(found.items())]
        gaps = [gap(start, end, "recording", "nothing was recorded")] if self.unrecorded else []
        told = pa.Table.from_pylist(gaps, schema=GAP)
        return History(pa.Table.from_pylist(rows, schema=SPREAD), start, end, False, told, (), "live")

    def _command(self, _job: int, command: Any) -> None:
        self.commands.append((command.name, dict(command.args)))
        if command.name == "save_view":
            self.views[command.args["name"]] = {**command.args, "saved": int(time.time() * 1000)}
        if command.name == "delete_view":
            if command.args["name"] not in self.views:
                raise UnknownName("view", command.args["name"], self.views)
            del self.views[command.args["name"]]
        if command.name in ("watch", "unwatch"):
            self.watching.take(command.name, dict(command.args))
        if command.name == "mute":
            seconds = command.args.get("seconds")
            self.muted[command.args["venue"]] = 2**63 - 1 if seconds is None else time.time_ns() + int(seconds * 1e9)
        if command.name == "unmute":
            del self.muted[command.args["venue"]]
        if command.name == "set" and not self.watching.refusal:
            rules, values = parameters.parted(command.args)
            roles = rules.pop("roles", {})
            fees = [row | {f"{leg}_as": role for leg, role in roles.get(row["venue"], {}).items()} for row in self.mode["fees"]]
            self.mode = {**self.mode, **rules, "fees": fees}
            if values and not self.deaf:
                parameters.Tuning(self.detectors).on(Setting(0, msgspec.json.encode({"parameters": values})), Market())
        if command.name == "tier":
            fees = [row | {"tier": command.args["tier"], "taker_bps": 8.0} if row["venue"] == command.args["venue"] else row
                    for row in self.mode["fees"]]  # fmt: skip
            self.mode = {**self.mode, "fees": fees}
        if command.name == "scenario" and not self.deaf:
            self.play(command.args["name"])
        if command.name == "source":
            self.mode = {**self.mode, "source": command.args["to"], "banner": None, "live_available": False, "scenario": None}

    def play(self, name: str) -> None:
        """Of the simulated market: this scenario is played from now on."""
        row = next(row for row in self.scenarios if row["id"] == name)
        self.mode = {**self.mode, "scenario": {**row, "since": int(time.time() * 1000)}}

    def _curve(self, number: int) -> Row:
        """What the reading of that name says of a row on the board: the curve of its steps."""
        row = next((row for row in [*self._open.values(), *self._closed] if row["id"] == number), None)
        if row is None:
            raise UnknownName("opportunity", str(number), ())
        steps = row["levels"]
        curve = profit_curve([(ask, qty) for ask, _, qty in steps], [(bid, qty) for _, bid, qty in steps], row["fee_buy_bps"] / 1e4,
                             row["fee_sell_bps"] / 1e4)  # fmt: skip
        head = {name: row[name] for name in ("id", "state", "symbol", "kind", "base", "quote", "buy", "sell", "buy_venue", "sell_venue")}
        zeros = dict.fromkeys(("lot", "min_size", "min_notional", "transfer", "buffer_bps", "slack_bps", "order_qty"), 0.0)
        return {**head, **zeros, **msgspec.to_builtins(curve), "recorded": row["closed"] is not None, "order_size": 1000.0, "t": 1,
                "fees": [], "ledger": [], "order_ledger": [], "blocks": None}  # fmt: skip

    # -- one step ------------------------------------------------------------------------------------------------
    def step(self, now_ms: int | None = None) -> None:
        """Move the market by one step and publish it."""
        now = int(time.time() * 1000) if now_ms is None else now_ms
        books, opps = self._advance(now)
        self.board.publish(now * 1_000_000, {
            "mode": dict(self.mode),
            "venues": self.watching.venues([self._venue(venue, now) for venue in VENUES]),
            "instruments": self.watching.instruments([self._instrument(key, books[key], now) for key in KEYS]),
            "cards": self._cards(opps), "opps": opps, "misses": self._misses(books), "matrix": self._matrices(books),
            "pairs": [], "basis": self._basis(books), "series": self._series_copy(), "events": list(self._events),
            "pred": {"status": "collecting", "samples": min(50, self._steps // 10), "needed": 50, "horizon_steps": 1, "step_s": 1.0,
                     "rows": [], "card": None, "versions": [], "error": None, "next_train": None},
            "jobs": [], "sys": {"msgs_s": 1240 + self.random.randint(-90, 90), "frames": self._steps * 124, "loop_lag_ms": 0.4,
                                "rss_mb": 212.0, "event_ns": time.time_ns(), "tick": self._steps},
        })

    def live_through(self, steps: int) -> None:
        """Move through so many steps, one each 100 ms, up to now; only the last is published: nobody has looked before."""
        now = int(time.time() * 1000)
        for ago in range(steps, 1, -1):
            self._advance(now - ago * 100)
        self.step(now - 100)

    def _advance(self, now: int) -> tuple[dict[tuple[str, str, str], Row], list[Row]]:
        """The books after one more step, and what opportunities there are."""
        self.mode.setdefault("started", now)
        self.mode["started"] = self.mode["started"] or now
        self._move(now)
        books = {key: self._book(key) for key in KEYS}
        opps = self._opportunities(books, now)
        self._sample(books, opps, now)
        self._steps += 1
        return books, opps

    def run(self, stop: threading.Event, hz: float = 10.0) -> None:
        """Step at ``hz`` until ``stop`` is set."""
        while not stop.wait(1.0 / hz):
            self.step()

    def set_down(self, venue: str, down: bool) -> None:
        """Take a venue away or bring it back; says so on the event tape."""
        (self._wanted_down.add if down else self._wanted_down.discard)(venue)

    def _move(self, now: int) -> None:
        self.down = set(self._wanted_down)
        for base in self._levels:
            self._levels[base] *= 1 + self.random.gauss(0, 0.35) / 1e4
        for key in KEYS:
            self._offset[key] = 0.97 * self._offset[key] + self.random.gauss(0, 0.25)
            self._push[key] *= 0.985
            if self.random.random() < 0.7:
                self._changed[key] = now
        if self.random.random() < self.hot:
            key = self.random.choice(KEYS)
            wall = 2 * FEE_BPS[(key[0], key[2])]
            self._push[key] = self.random.choice((-1, 1)) * self.random.uniform(wall + 1, wall + 16)
        for venue, label, _short in VENUES:
            if venue in self.down and venue not in self._down_since:
                self._down_since[venue] = now
                self._event(now, "venue", f"{label} disconnected · code 1006 · retry in 4 s", "down", "bad", venue)
            elif venue not in self.down and self._down_since.pop(venue, None):
                self._event(now, "venue", f"{label} is back, books confirmed", "live", "good", venue)

    def _mid(self, key: tuple[str, str, str]) -> float:
        basis = 2.0 if key[2] == "perp" else 0.0
        return float(self._levels[key[1]] * (1 + (self._offset[key] + self._push[key] + basis) / 1e4))

    def _book(self, key: tuple[str, str, str]) -> Row:
        _px, tick, size = BASES[key[1]]
        mid, rand = self._mid(key), self.random
        bid = round((mid - tick / 2) / tick) * tick
        asks = [(round(bid + tick * (1 + i * 3), 8), size * rand.uniform(0.1, 0.6)) for i in range(5)]
        bids = [(round(bid - tick * i * 3, 8), size * rand.uniform(0.1, 0.6)) for i in range(5)]
        return {"bids": bids, "asks": asks, "live": key[0] not in self.down, "mid": round((bids[0][0] + asks[0][0]) / 2, 8)}

    # -- opportunities -------------------------------------------------------------------------------------------
    def _pairs(self) -> list[tuple[tuple[str, str, str], tuple[str, str, str]]]:
        return [(a, b) for a in KEYS for b in KEYS if a != b and a[1:] == b[1:]]

    def _walk(self, a: Row, b: Row, key_a: Any, key_b: Any, **limits: Any) -> Walk:
        return two_book(a["asks"], b["bids"], FEE_BPS[(key_a[0], key_a[2])] / 1e4, FEE_BPS[(key_b[0], key_b[2])] / 1e4, **limits)

    def _opportunities(self, books: Row, now: int) -> list[Row]:
        for a, b in self._pairs():
            live = books[a]["live"] and books[b]["live"]
            walk = self._walk(books[a], books[b], a, b)
            row = self._open.get((a, b))
            if live and walk.qty > 0 and walk.net > 0.01 and (walk.net_bps or 0.0) >= self.mode["min_net_bps"]:
                self._open[(a, b)] = self._row(row, (a, b), books, walk, now)
            elif row is not None:
                self._close(self._open.pop((a, b)), "faded" if live else "a venue is down", live, now)
        self._closed = [row for row in self._closed if now - row["closed"] < 10_000]
        return [*self._open.values(), *self._closed]

    def _row(self, old: Row | None, pair: Any, books: Row, walk: Walk, now: int) -> Row:
        (a, b), fees = pair, (FEE_BPS[(pair[0][0], pair[0][2])], FEE_BPS[(pair[1][0], pair[1][2])])
        ask, bid = books[a]["asks"][0][0], books[b]["bids"][0][0]
        order = self._walk(books[a], books[b], a, b, max_quote=self.mode["order_size"], fill_all=True)
        net_bps = walk.net_bps or 0.0
        if old is None:
            self._ids["opp"] += 1
            self._recent.append(now)
            self._event(now, "opp", f"{a[1]} {a[2]} {label_of(a[0])} → {label_of(b[0])} opened", f"{net_bps:+.2f} bps", "opp")
        peak = max(net_bps, old["peak_bps"]) if old else net_bps
        ages = {key: now - self._changed[key] for key in (a, b)}
        return {
            "id": old["id"] if old else self._ids["opp"], "state": "fading" if net_bps < 0.6 * peak else "open", "reason": "",
            "symbol": key_of(*a).split(":")[1], "base": a[1], "quote": "USDT", "kind": a[2], "buy": key_of(*a), "sell": key_of(*b),
            "buy_venue": a[0], "sell_venue": b[0], "buy_px": ask, "sell_px": bid, "buy_vwap": walk.buy_vwap, "sell_vwap": walk.sell_vwap,
            "gross_bps": walk.gross_bps, "fees_bps": walk.fees_bps, "net_bps": net_bps, "size": walk.cost, "qty": walk.qty, "net": walk.net,
            "net_at_order": order.net, "net_bps_at_order": order.net_bps, "order_qty": order.qty,
            "touch_net_bps": (bid * (1 - fees[1] / 1e4) / (ask * (1 + fees[0] / 1e4)) - 1) * 1e4,
            "indicative_pct": (books[b]["mid"] / books[a]["mid"] - 1) * 100,
            "indicative_profit_pct": (books[b]["mid"] / books[a]["mid"] - 1) * 100 - sum(fees) / 100,
            "peak_bps": peak, "peak_t": now if old is None or net_bps >= peak else old["peak_t"],
            "opened": old["opened"] if old else now, "closed": None, "life_s": (now - old["opened"]) / 1000 if old else 0.0,
            "updates": old["updates"] + 1 if old else 1, "buy_age_ms": ages[a], "sell_age_ms": ages[b],
            "skew_ms": abs(ages[a] - ages[b]), "fee_buy_bps": fees[0], "fee_sell_bps": fees[1], "fee_slack_bps": net_bps,
            "gross": walk.gross, "fees": walk.fees, "buy_cost": walk.cost, "sell_proceeds": walk.proceeds,
            "levels": [list(fill) for fill in walk.fills], "max_age_ms": 1800,
        }

    def _close(self, row: Row, reason: str, live: bool, now: int) -> None:
        self._closed.append({**row, "state": "closed" if live else "stale", "reason": reason, "closed": now})
        self._lives.append(row["life_s"])
        self._pcts.append(row["net_bps"] / 100)
        route = f"{label_of(row['buy_venue'])} → {label_of(row['sell_venue'])}"
        text = f"{row['base']} {row['kind']} {route} closed after {row['life_s']:.1f} s"
        self._event(now, "opp", text, f"peak {row['peak_bps']:.1f}", "quiet")

    def _event(self, now: int, kind: str, text: str, value: str, tone: str, venue: str = "") -> None:
        self._ids["event"] += 1
        event = {"id": self._ids["event"], "t": now, "kind": kind, "text": text, "value": value, "tone": tone, "muted": venue in self.muted}
        self._events = [*self._events[-499:], event]

    # -- sections ------------------------------------------------------------------------------------------------
    def _venue(self, venue: tuple[str, str, str], now: int) -> Row:
        vid, label, short = venue
        down = vid in self.down
        total = sum(key[0] == vid for key in KEYS)
        return {
            "id": vid, "label": label, "short": short, "state": "down" if down else "live",
            "since": self._down_since.get(vid, self.mode["started"]),
            "books_live": 0 if down else total, "books_total": total, "msgs_s": 0.0 if down else 410.0 + self.random.randint(-20, 20),
            "excess_p50_ms": None if down else 3.7, "excess_p99_ms": None if down else 48.0, "errors_min": 1 if down else 0,
            "reconnects": 1 if down else 0, "gaps": 0, "faults": 0, "checksums_ok": 0, "checksum_bad": 0,
            "acks_ok": total, "acks_total": total,
            "unacked": [], "last_error": "connection closed (1006)" if down else None, "next_retry": now + 4000 if down else None,
            "breaker": "closed", "integrity": "sequence",
            "muted_until_ns": self.muted.get(vid),
            "past": [[self.mode["started"], "live"], *([[self._down_since[vid], "down"]] if down else [])],
        }

    def _instrument(self, key: tuple[str, str, str], book: Row, now: int) -> Row:
        venue, base, kind = key
        (bid, bid_size), (ask, ask_size) = book["bids"][0], book["asks"][0]
        age = now - self._changed[key] if book["live"] else now - self._down_since[venue]
        return {
            "key": key_of(*key), "venue": venue, "symbol": key_of(*key).split(":")[1], "base": base, "quote": "USDT", "kind": kind,
            "state": "LIVE" if book["live"] else "DOWN", "reason": "" if book["live"] else "disconnected", "since": self.mode["started"],
            "bid": bid, "ask": ask, "bid_size": bid_size, "ask_size": ask_size, "mid": book["mid"], "age_ms": age, "unchanged_ms": age,
            "limit_ms": 1800, "tick": BASES[base][1], "check": "sequence", "checked_ms": age, "gaps": 0, "checksum_bad": 0,
            "depth": {"5": [4.0, 4.2], "10": [9.1, 8.7]}, "imbalance": 0.1,
            "funding": 0.0001 if kind == "perp" else None, "mark": book["mid"] if kind == "perp" else None,
        }

    def _cards(self, opps: list[Row]) -> Row:
        live, best = open_and_best(opps)
        lives = sorted(self._lives)
        return {
            "total": self._ids["opp"], "avg_pct": sum(self._pcts) / len(self._pcts) if self._pcts else None,
            "max_pct": max(self._pcts, default=None), "recent_5m": len(self._recent), "open": len(live), "best": best,
            "median_life_s": lives[len(lives) // 2] if lives else None, "p90_life_s": lives[int(len(lives) * 0.9)] if lives else None,
            "closed_n": len(lives), "alert": best if best and best["net_bps"] >= 8 else None,
            "history": {name: list(values) for name, values in self._history.items()},
        }

    def _misses(self, books: Row) -> list[Row]:
        rows = []
        for a, b in self._pairs():
            walk = self._walk(books[a], books[b], a, b, max_quote=1000.0, fill_all=True)
            if walk.net_bps is None or walk.net > 0:
                continue
            blocks = f"fees {walk.fees_bps:.1f} bps" if books[a]["live"] and books[b]["live"] else "a venue is down"
            rows.append({
                "symbol": key_of(*a).split(":")[1], "kind": a[2], "buy": key_of(*a), "sell": key_of(*b),
                "buy_venue": a[0], "sell_venue": b[0], "gross_bps": walk.gross_bps, "fees_bps": walk.fees_bps, "net_bps": walk.net_bps,
                "blocks": blocks,
            })
        return sorted(rows, key=lambda row: -row["net_bps"])[:5]

    def _matrices(self, books: Row) -> list[Row]:
        out = []
        for kind in ("spot", "perp"):
            for base in BASES:
                keys = [key for key in KEYS if key[1:] == (base, kind)]
                out.append(self._matrix(base, kind, keys, books))
        return out

    def _matrix(self, base: str, kind: str, keys: list[Any], books: Row) -> Row:
        def cell(a: Any, b: Any, what: str) -> Any:
            if what == "state":
                return "self" if a == b else "ok" if books[a]["live"] and books[b]["live"] else "stale"
            if what == "wall":
                return FEE_BPS[(a[0], kind)] + FEE_BPS[(b[0], kind)]
            if a == b or not (books[a]["live"] and books[b]["live"]):
                return None
            walk = self._walk(books[a], books[b], a, b, max_quote=self.mode["order_size"], fill_all=True)
            return {"gross": walk.gross_bps, "net": walk.net_bps, "z": ((walk.gross_bps or 0) + 0.3) / 1.4}[what]
        grids = {what: [[cell(a, b, what) for b in keys] for a in keys] for what in ("gross", "net", "z", "wall", "state")}
        return {"id": f"{base}-USDT-{kind}", "base": base, "quote": "USDT", "kind": kind, "venues": [key[0] for key in keys],
                "labels": [short_of(key[0]) for key in keys], **grids}

    def _basis(self, books: Row) -> list[Row]:
        rows = []
        for base in BASES:
            spot, perp = ("okx", base, "spot"), ("okx", base, "perp")
            bps = (books[perp]["mid"] / books[spot]["mid"] - 1) * 1e4
            rows.append({"base": base, "spot": key_of(*spot), "perp": key_of(*perp), "bps": bps, "mean": 2.0,
                         "deviation": bps - 2.0, "funding_8h_bps": 1.0})
        return rows

    def _sample(self, books: Row, opps: list[Row], now: int) -> None:
        """One point per second (per ten steps), 200 kept; a venue that is down leaves a gap."""
        if self._steps % 10:
            return
        live, best = open_and_best(opps)
        self._history["best"] = [*self._history["best"][-119:], best["net_bps"] if best else None]
        self._history["open"] = [*self._history["open"][-119:], len(live)]
        series = self._series
        series["t"] = [*series["t"][-199:], now]
        for key in KEYS:
            name = key_of(*key)
            series["mid"][name] = [*series["mid"][name][-199:], books[key]["mid"] if books[key]["live"] else None]

    def _series_copy(self) -> Row:
        return {"t": self._series["t"], "mid": dict(self._series["mid"])}


def open_and_best(opps: list[Row]) -> tuple[list[Row], Row | None]:
    live = [row for row in opps if row["state"] in ("open", "fading")]
    return live, max(live, key=lambda row: row["net_at_order"], default=None)


def label_of(venue: str) -> str:
    return next(label for vid, label, _short in VENUES if vid == venue)


def short_of(venue: str) -> str:
    return next(short for vid, _label, short in VENUES if vid == venue)
