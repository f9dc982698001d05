"""The board: the one place that everybody reads. The runtime publishes, the dashboard and the API only read or ask.

A ``Snapshot`` is immutable and swapped by one reference, so that no reader ever sees half of an update.

``Snapshot.data`` holds plain JSON-ready values (floats finite or None, times int milliseconds UTC unless the name ends
in ``_ns``). Sections, each replaced as a whole when it changes:

``mode``     {source: "live"|"sim"|"tape"|"replay", banner: str|None, live_available: bool, started: ms, version: str,
              recording: {on, path, bytes, reason}, order_size, min_net_bps, paused: False, stopped: bool (the engine died),
              troubles: [str] (parts of the program that ended lately and were started anew),
              clock: str (what is wrong with our clock, "" = nothing),
              notices: [str] (what stays wrong beside the market, such as records that cannot be kept),
              scenario: {id, name, see: what a viewer should see, since: virtual ms}|None (what the simulated market plays; None on others),
              self_test: {state: "off"|"waiting" (none yet)|"ok"|"failed"|"idle" (the rules in force allow none), text: what is wrong,
              at: ms|None, run, found, missed, mispriced, late, unclosed, void: counts since start, pages: that watched the newest one}}
``venues``   [{id, label, short, state: "live"|"rest" (books by REST, no socket delivers)|"connecting"|
              "degraded"|"down"|"blocked"|"refused"|"maintenance", since, books_live, books_total,
              msgs_s, excess_p50_ms, excess_p99_ms, errors_min, reconnects, gaps, faults, checksums_ok, checksum_bad,
              acks_ok, acks_total, unacked: [topic], last_error, next_retry, breaker: "closed"|"open"|"half-open",
              integrity: "sequence"|"checksum"|"snapshot"|"none" (what proves its books right),
              past: [[ms, state]…] (states of the last hour, each until the next),
              muted_until_ns: int|None (a user wants none of its warnings raised until then; 2**63 − 1 = until unmuted)}]
``instruments`` [{key, venue, symbol, base, quote, kind, state, reason, since, bid, ask, bid_size, ask_size, mid,
              age_ms (confirmed age), unchanged_ms, limit_ms, tick, check (as ``integrity`` of its venue),
              checked_ms (age of the last number, checksum or whole book that was found right), gaps, checksum_bad,
              depth: {"5": [bid, ask], …} in base units, imbalance, funding, mark}]
``cards``    {total, avg_pct, max_pct, recent_5m, open, best: opportunity row|None, median_life_s, p90_life_s,
              closed_n, alert: opportunity row|None, history: {best: […], open: […]} (10 min sparklines)}
``opps``     [row]: open ones, filled up with those that closed last. A row: {id, state: "open"|"fading"|"closed"|"stale",
              reason, symbol, base, quote, kind, buy: key, sell: key, buy_venue, sell_venue, buy_px, sell_px (touch),
              buy_vwap, sell_vwap, gross_bps, fees_bps, net_bps (at the optimum size), size (quote), qty (base),
              net (quote), net_at_order (quote), net_bps_at_order, order_qty, touch_net_bps, indicative_pct,
              indicative_profit_pct, peak_bps, peak_t, opened, closed, life_s, updates, buy_age_ms, sell_age_ms,
              skew_ms, fee_buy_bps, fee_sell_bps, fee_slack_bps, gross (quote), fees (quote), buy_cost, sell_proceeds,
              levels: [[buy px, sell px, qty], …], max_age_ms, via: key of the market that exchanges the currencies of a
              "cross-quote" one or "", via_px, conversion (quote), conversion_bps, transfer (quote), buffer (quote), buy_as,
              sell_as ("taker"|"maker"), buy_in_base, sell_in_base (a buy's fee is taken in base), at_least (the books ended first),
              comparable (its legs were there at the same time), clock_step (our clock or that of a leg was set while it was open)}
``misses``   [{symbol, kind, buy, sell, buy_venue, sell_venue, gross_bps, fees_bps, net_bps, blocks: str,
             term, amount, unit}] nearest five, and what blocks each by how much (``dope/detectors/near.py``)
``sentinel`` the newest opportunity of the self-test, a row as in ``opps``, or None: nobody shows it, pages answer that it has arrived
``matrix``   [{id, base, quote, kind, venues: [id], labels: [short], gross: [[bps|None]], net: [[bps|None]],
              z: [[…|None]], wall: [[bps]], state: [["ok"|"stale"|"self"]]}]  row buys, column sells, at the order size
``pairs``    [{a: key, b: key, symbol, kind, mean, sd, current, min, max, n}] mid spread lp_a − lp_b in bps, of the last hour
``basis``    [{base, spot: key, perp: key, bps, mean, deviation, funding_8h_bps}] display only, never an opportunity
``series``   {t: [ms…], mid: {key: [price|None…]}} last 200 points at 1 s; gaps are None
``events``   [{id, t, kind: "opp"|"venue"|"book"|"fault"|"model"|"system", text, value, tone,
              muted: bool (of a venue that was muted then: no screen raises it)}] newest last, 500 kept
``findings`` [{id: number of its line on the event tape, t: ms (of a jump its peak, of a burst its begin), kind: "jump"|"burst", key, way: 1
              (up, bought)|-1, size (of a jump bps, of a burst base units), z, took_ms}] newest last, 600 of a kind kept
``pred``     {status: "collecting"|"training"|"ready"|"failed", samples, needed, horizon_steps, step_s, rows: [{a, b,
              symbol, kind, current, predicted, persistence, t, band: [lo, hi]|None}], card: {version, trained,
              rows, from, to, features: [str], scores: [{model, n, rmse, mae, skill_persistence, skill_mean, p_value,
              blocks}], in_use, verdict}|None, versions: [card], error, next_train}
``jobs``     [{id, kind, state: "queued"|"running"|"done"|"failed"|"cancelled", progress 0…1, step, eta_s, started,
              ended, error, result}]
``sys``      {msgs_s, frames, loop_lag_ms, rss_mb, event_ns (receive time of the newest event shown), tick,
              loops: {"runtime"|"web": {lag_ms: worst of the last second, p999_ms, stalls}}, ends: {part: how often it ended}}

A replay has a board of its own (``query("replay_board", id)``) with the same sections but ``pred`` and ``jobs``, and two more:

``replay``   {id, state: "created"|"running"|"paused"|"ended"|"failed", alive (its process runs), ready (it has shown something),
              reason, refused (why the last wish was not carried out), tapes: [name], source, from, to, position (ms UTC),
              position_ns, speed: number|"max", reached (recorded s per s), frames, frames_total, seeking: {to, done 0…1}|None,
              loop: [ms, ms]|None, digest|None, whole (the engine began with the recording), books_live, books_total,
              holes: [{from, to, lost, reason}], problems: [str], created}
``marks``    [[ms, kind: "opp"|"book"|"signal", text]] moments of the whole recording that are worth a look; until they are read, and
             where no rows were recorded, those passed so far
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dope.errors import NoEngine


class Snapshot(msgspec.Struct, frozen=True):
    """Everything a screen needs at one instant: ``seq`` rises by one with each publication."""

    seq: int
    t_ns: int
    data: Mapping[str, Any]


class Command(msgspec.Struct, frozen=True):
    """A wish of a user: ``name`` is one of COMMANDS, ``args`` its keyword arguments."""

    name: str
    args: Mapping[str, Any] = {}
    who: str = ""  #: who asks, for the audit log: an address, or "" = the program itself


#: train {} · backtest {tape: str|None, latency_ms, order_size, fees} · cancel {job}
#: · set {order_size|min_net_bps|…, roles: {venue: {"buy"|"sell": "taker"|"maker"}}, parameters: {detector: {name: value}}}
#: · watch and unwatch {symbol|None, venue|None}: None = all · source {to: "live"|"sim"}
#: · scenario {name}: of the simulated market · mute {venue, seconds|None}: None = until unmute {venue}
#: · replay {do: "create"|"seek"|…, id, …} (its id is the number of the command that creates it)
#: · tier {venue, tier}: of its fees
#: · save_view {page, name, state} · delete_view {page, name} · export {…} is answered by the API itself
COMMANDS = (
    "train", "backtest", "cancel", "set", "source", "reconnect", "mute", "unmute", "watch", "unwatch", "replay", "save_view", "delete_view",
    "scenario", "tier",
)  # fmt: skip

ARRIVALS = 16  #: self-tests whose arrival is remembered
EMPTY = Snapshot(seq=0, t_ns=0, data={})


class Board:
    """Thread-safe hand-over: one writer (the runtime), any number of readers."""

    def __init__(self) -> None:
        self._snapshot = EMPTY
        self.reads = 0  #: rises as long as anybody looks
        self.pages = 0  #: pages of the dashboard that are looked at now, as far as they say so
        self.arrivals: dict[int, int] = {}  #: number of a self-test → when the first page had it, ns UTC; the newest few
        self.screen: tuple[float, float, int] | None = None  #: ms p50, ms p99, count: event → screen, as a page measured it last
        self._ids = itertools.count(1)
        self._handler: Callable[[int, Command], None] | None = None
        self._query: Callable[..., Any] | None = None
        self._followers: tuple[Callable[[], None], ...] = ()
        self._lock = threading.Lock()

    def publish(self, t_ns: int, data: Mapping[str, Any]) -> Snapshot:
        """Swap in a new snapshot; sections left out keep their last value."""
        with self._lock:
            old = self._snapshot
            new = self._snapshot = Snapshot(seq=old.seq + 1, t_ns=t_ns, data={**old.data, **data})
        for told in self._followers:
            told()
        return new

    def read(self) -> Snapshot:
        """The newest snapshot; never blocks."""
        self.reads += 1
        return self._snapshot

    def arrived(self, number: int, t_ns: int) -> None:
        """A page has the row of this self-test; the first one counts."""
        with self._lock:
            self.arrivals.setdefault(number, t_ns)
            while len(self.arrivals) > ARRIVALS:
                del self.arrivals[min(self.arrivals)]

    def follow(self, told: Callable[[], None]) -> Callable[[], None]:
        """``told`` is called after each publication, in the publisher's thread: it must return at once. Calling the result ends that."""
        with self._lock:
            self._followers = (*self._followers, told)

        def leave() -> None:
            with self._lock:
                self._followers = tuple(each for each in self._followers if each is not told)

        return leave

    def serve(self, handler: Callable[[int, Command], None], query: Callable[..., Any]) -> None:
        """Called once by the runtime: who carries out commands, and who answers queries."""
        self._handler, self._query = handler, query

    def ask(self, command: Command) -> int:
        """Hand a command to the runtime and return its job id at once. Raises NoEngine, or ValueError if unknown."""
        if command.name not in COMMANDS:
            raise ValueError(f"unknown command {command.name!r}")
        if self._handler is None:
            raise NoEngine("the engine is not running")
        job = next(self._ids)
        self._handler(job, command)
        return job

    def query(
        self, kind: str, symbol: str = "", start: int = 0, end: int = 0, *, limit: int = 0, source: str = "",
        args: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        """What no snapshot holds.

        As rows: kind "opportunities" | "events" | "book" | "spreads" | "tapes" | "recordings" | "replays" | "views" | "log" | "past_jobs" |
        "scenarios".
        "replay_board" gives the Board of the replay whose id is ``symbol``; "storage" one row about how a source's recording is kept.
        "relay" gives a reader of the venue ``symbol``: its ``read(depth)`` gives what is new since the last time (``dope/relay.py``).
        "promises" what the program promises of itself and how it stands: rows of ``dope/promise.py``.
        "log" gives rows with ids below ``start`` (0 = all), "past_jobs" leaves out the newest ``start``.
        A kind of ``dope.tables.KINDS`` gives a ``History`` of [start, end) ns UTC (``end`` 0 = now) of one ``source`` ("" = what runs now);
        of a spread ``args`` may name ``venues``: between these alone. "moment" gives {symbol: History of "spread"} of all of
        ``args["symbols"]`` and the one second that ends at ``end``.
        A kind of ``dope/readings`` gives what that reading says; ``args`` are its own.
        "gaps" one whose ``gaps`` are all that is missing in the range, as far as files and the recorder can tell.
        """
        if self._query is None:
            raise NoEngine("the engine is not running")
        return self._query(kind, symbol, start, end, limit=limit, source=source, **({"args": args} if args else {}))
