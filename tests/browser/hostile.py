"""Text that tries to run, and a board, a server and an eye for it: what a hostile venue, file or link could bring to the page.

Every payload calls ``x(number)`` when it runs as script; ``Eye`` counts those calls in all frames, whatever page they are in.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import uvicorn

from dope.api import mount, server_options
from dope.board import Board, Snapshot
from dope.dashboard import pages
from dope.dashboard.app import build, policy
from dope.settings import Settings
from dope.storage import storage
from dope.tables import GAP, History
from tests.browser import hostile_findings
from tests.browser.dev_server import listen
from tests.browser.fake_board import FakeMarket
from tests.browser.patience import patient

#: 40 ways in; ``{n}`` is the number of the payload
FORMS = (
    "<script>x({n})</script>", "<img src=x onerror=x({n})>", "<svg onload=x({n})>", "<svg><script>x({n})</script></svg>",
    "<body onload=x({n})>", "<details open ontoggle=x({n})>", "<input autofocus onfocus=x({n})>", "<video><source onerror=x({n})>",
    "<iframe srcdoc='<script>parent.x({n})</script>'>", "<iframe src=javascript:parent.x({n})>", "<object data=javascript:x({n})>",
    "<a href=javascript:x({n})>a</a>", "javascript:x({n})", "JaVaScRiPt:x({n})", "java\tscript:x({n})", "\x01javascript:x({n})",
    "data:text/html,<script>x({n})</script>", "data:text/javascript,x({n})", "vbscript:x({n})", "<base href=javascript:x({n})//>",
    "<meta http-equiv=refresh content='0;url=javascript:x({n})'>", "\"><img src=x onerror=x({n})>", "'><svg onload=x({n})>",
    "\" onmouseover=x({n}) a=\"", "' autofocus onfocus=x({n}) '", "`${{x({n})}}`", "${{x({n})}}",
    "{{{{constructor.constructor('x({n})')()}}}}",
    "[a](javascript:x({n}))", "![a](x\" onerror=\"x({n}))", "</script><script>x({n})</script>", "</textarea><svg onload=x({n})>",
    "<math><mtext><table><mglyph><style><img src=x onerror=x({n})>", "\u202e<img src=x onerror=x({n})>",
    "\uff1cscript\uff1ex({n})\uff1c/script\uff1e",
    "<style>@import 'javascript:x({n})'</style>", "__proto__", "constructor", "=HYPERLINK(\"javascript:x({n})\")", "+cmd|' /C x({n})'!A0",
)  # fmt: skip
PAYLOADS = tuple(form.format(n=n) for n, form in enumerate(FORMS))
#: what the page chooses its way by, not text: (section or "", field)
KEPT = {("", "state"), ("", "status"), ("", "source"), ("events", "kind"), ("findings", "kind"), ("jobs", "kind"), ("", "breaker")}
PAGES = ("/", "/spreads", "/depth", "/lead-lag", "/predict", "/backtest", "/replay", "/venues", "/trust", "/settings")
PLAIN = "SOL-USDT"  #: the one symbol that stays what it is, at one venue: only of its form may be asked
ROWS = 200  #: rows of an export
TRADES = 40


def payload(n: int) -> str:
    """The payloads in turn."""
    return PAYLOADS[n % len(PAYLOADS)]


class HostileBoard(Board):
    """A board on which every text is a payload; with each publication all move on by one place, so that all stand everywhere.

    Equal texts become equal payloads, so that keys still find what belongs together. Events keep theirs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turn = 0

    def publish(self, t_ns: int, data: Mapping[str, Any]) -> Snapshot:
        self._turn += 1
        names: dict[str, str] = {}
        now = t_ns // 1_000_000
        events = [{"id": n, "t": now, "kind": "venue", "text": "", "value": "", "tone": ""} for n in range(1, len(PAYLOADS) + 1)]
        found = {"kind": "jump", "way": 1, "size": 3.0, "z": 5.0, "took_ms": 9, "t": now - 2500}
        findings = [{**found, "id": n, "key": row["key"]} for n, row in enumerate(data["instruments"], 1)]
        full = {**data, "pred": forecast(now), "jobs": jobs(now, self._turn), "events": events, "findings": findings}
        if self._turn % 40 == 0:
            full["mode"] = {**full["mode"], "banner": "a banner"}
        in_turn = sorted(full.items(), key=lambda section: section[0] == "mode")  # its texts are many: those of rows come first
        return super().publish(t_ns, {section: self._poison(value, section, "", names) for section, value in in_turn})

    def query(self, kind: str, symbol: str = "", start: int = 0, end: int = 0, **_more: Any) -> Any:
        """Recordings and how they are kept, saved views, opportunities, commands, past jobs and findings of hostile names."""
        if kind in hostile_findings.KINDS:
            return hostile_findings.answer(kind, payload, symbol=symbol, span=(start, end), args=_more.get("args") or {})
        if kind == "storage":
            kept = storage(Settings(_env_file=None, data_dir=Path("/nonexistent")), "sim", recording={}, sealing={}, notice="")
            told = {"path": payload(1), "reason": payload(2), "seal_trouble": payload(3), "records_trouble": payload(4)}
            return {**kept, **told, "told": list(PAYLOADS), "verified": time.time_ns() // 1_000_000, "sound": 1, "problems": len(PAYLOADS)}
        if kind == "gaps":
            gap = {"until": end, "what": "book", "lost": 1}
            rows = [{**gap, "ts": end - 60 * 10**9 + n, "venue": text, "symbol": payload(n + 1), "why": payload(n + 2)}
                    for n, text in enumerate(PAYLOADS)]  # fmt: skip
            gaps = pa.Table.from_pylist(rows, schema=GAP)
            return History(gaps.slice(0, 0), start, end, False, gaps, tuple(PAYLOADS), payload(6))
        if kind == "log":
            return [{"id": n, "at": 1, "who": text, "what": payload(n + 1), "detail": {payload(n + 2): payload(n + 3)}}
                    for n, text in enumerate(PAYLOADS, 1)]  # fmt: skip
        if kind == "past_jobs":
            job = {"run": 1, "asked": 1, "started": 1, "ended": 2, "result": {"verdict": payload(1)}, "args": {payload(2): payload(3)}}
            return [{**job, "id": n, "kind": text, "state": payload(n + 1), "error": payload(n + 4)}
                    for n, text in enumerate(PAYLOADS)]  # fmt: skip
        if kind == "recordings":
            now = time.time_ns() // 1_000_000
            gap = {"from": now - 5000, "to": now - 4000, "lost": 3}
            return [{"name": text, "source": text, "session": text, "part": 1, "venues": [text], "first": now - 9000, "last": now,
                     "frames": 5, "bytes": 10, "complete": True, "sealed": False, "lost": 3, "gaps": [{**gap, "reason": text}],
                     "error": text if n % 4 == 3 else ""} for n, text in enumerate(PAYLOADS)]  # fmt: skip
        if kind == "promises":
            words = ("id", "promise", "promised", "measured", "unit", "of", "how", "test")
            figures = {"limit": 1.0, "samples": 5, "needed": 9, "since": 1, "state": "few"}
            return [{**figures, **{name: payload(n + at) for at, name in enumerate(words)}} for n in range(len(PAYLOADS))]
        if kind == "views":
            kept = dict(zip(("asset", "kind", "matrix", "chart", "text", "route"), PAYLOADS, strict=False))
            return [{"page": "live", "name": text, "state": {**kept, "asset": text, text: text}, "saved": 1} for text in PAYLOADS]
        if kind == "instruments":
            figures = {"tick": 0.1, "lot": 0.1, "min_size": 0.0, "min_notional": 5.0, "contract_value": None}
            figures = {**figures, "inverse": True, "watched": False}
            names = ("venue", "symbol", "native", "base", "quote", "kind", "status", "source", "label")
            return [{**figures, **{name: payload(n + at) for at, name in enumerate(names)}, "status": "trading" if n % 2 else payload(n)}
                    for n in range(len(PAYLOADS))]  # fmt: skip
        if kind == "tapes":
            now = time.time_ns()
            return [{"name": text, "source": text, "first": now, "last": now + 10**9, "frames": 5, "bytes": 10, "complete": True, "lost": 0,
                     "error": text if n % 2 else ""} for n, text in enumerate(PAYLOADS)]  # fmt: skip
        if kind == "opportunities":
            row = {"state": "open", "opened": 1, "closed": None, "net_bps": 1.0, "size": 1, "base": "BTC", "quote": "USDT", "kind": "spot"}
            return [{**row, "id": n, "reason": payload(n), "symbol": payload(n + 1), "buy": payload(n)} for n in range(ROWS)]
        return []

    def _poison(self, value: Any, section: str, field: str, names: dict[str, str]) -> Any:
        if isinstance(value, Mapping):
            if section == "events":
                return {**value, "text": payload(value["id"]), "value": payload(value["id"] + 7), "tone": payload(value["id"] + 3)}
            if section == "instruments" and value.get("key") == f"okx:{PLAIN}":
                return {**value, "reason": payload(self._turn)}
            as_key = section == "series" and field == "mid"
            return {self._text(k, names) if as_key else k: self._poison(v, section, k, names) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._poison(each, section, field, names) for each in value]
        if not isinstance(value, str) or {("", field), (section, field)} & KEPT:
            return value
        return self._text(value, names)

    def _text(self, value: str, names: dict[str, str]) -> str:
        if value not in names:
            again = len(names) // len(PAYLOADS)
            names[value] = payload(self._turn + len(names)) + (f" {again}" if again else "")
        return names[value]


def forecast(now: int) -> dict[str, Any]:
    """A ``pred`` section with rows, a trained model and its versions."""
    score = {"model": "ridge", "n": 48, "rmse": 16.9, "mae": 8.2, "skill_persistence": 0.1, "skill_mean": 0.2, "sign_accuracy": 0.5,
             "sign_base": 0.5, "p_value": 0.01, "dm_persistence": 2.0, "dm_mean": 1.0, "blocks": 40.0}  # fmt: skip
    card = {
        "rows": 184, "rows_needed": 100, "from": now - 60_000, "to": now, "features": ["a"], "scores": [score, {**score, "model": "mean"}],
        "in_use": "ridge", "verdict": "no evidence: because", "note": "note", "version": "v1", "trained": now - 1000, "source": "sim",
    }  # fmt: skip
    row = {"a": "binance_spot:BTC-USDT", "b": "okx:BTC-USDT", "symbol": "BTC-USDT", "kind": "spot", "current": 1.3, "predicted": -0.7,
           "persistence": 1.3, "t": now, "band": [-5.0, 4.0], "note": "a note"}  # fmt: skip
    other = {**row, "a": "binance_spot:ETH-USDT", "b": "okx:ETH-USDT", "symbol": "ETH-USDT"}
    return {"status": "ready", "samples": 81, "needed": 30, "horizon_steps": 1, "step_s": 1.0, "rows": [row, other], "card": card,
            "live": {"n": 264, "rmse": 8.5, "rmse_persistence": 12.3, "skill": 0.5, "coverage": 0.9}, "error": "an error",
            "next_train": now + 60_000, "versions": [card, {**card, "version": "v0", "verdict": "words"}]}  # fmt: skip


def jobs(now: int, turn: int) -> list[dict[str, Any]]:
    """A training that fails or runs, and a backtest that is done; new ones every few turns."""
    base = {"state": "done", "progress": 1.0, "step": "a step", "eta_s": None, "started": now - 2000, "ended": now, "error": None}
    base["result"] = None
    n = turn // 4 * 2
    running = {**base, "id": n + 1001, "kind": "train", "state": "running", "progress": 0.5, "ended": None}
    failed = {**base, "id": n + 1001, "kind": "train", "state": "failed", "error": "why it failed"}
    return [failed if turn // 4 % 2 else running, {**base, "id": n + 1002, "kind": "backtest", "result": report(now)}]


def report(now: int) -> dict[str, Any]:
    """A backtest's report."""
    trade = {
        "t": now - 500, "sell": "okx:BTC-USDT", "qty": 7.1, "bought": 7.1, "sold": 7.1, "buy_vwap": 139.5, "sell_vwap": 139.8,
        "unwound": 0.0, "open_residual": 0.0, "detected_net": 0.4, "net": 0.4, "unknown": True,
    }  # fmt: skip
    trades = [{**trade, "id": n, "symbol": f"S{n}", "status": f"status {n}", "buy": f"buy {n}"} for n in range(TRADES)]
    run = {
        "label": "simulated", "latency_ms": 20.0, "attempted": TRADES, "both_filled": 30, "partial": 8, "missed": 2, "unknown": 1,
        "unfinished": 1, "touch_gross": 200.0, "depth_cost": 1.0, "fee_cost": 100.0, "detected_net": 99.0, "latency_cost": 9.0,
        "realised_net": 90.0, "open_value": 1.0, "win_rate": 0.8, "average_profit": 0.7, "max_drawdown": 10.0, "interval": [0.4, 0.9],
        "curve": [[now - 900, 0.4], [now - 500, 0.5]], "trades": trades,
    }  # fmt: skip
    naive = {"label": "bound", "trades": 40, "win_rate": 1.0, "total_return_pct": 5.2, "avg_profit_pct": 0.04, "profit": 52.0, "curve": []}
    return {
        "start": now - 1000, "end": now, "frames": 5, "opportunities": 40, "skipped": {"because": 3}, "order_size": 1000.0, "result": run,
        "sensitivity": [{**run, "latency_ms": 0.0, "trades": []}], "naive": naive, "assumptions": ["taker orders"],
        "gaps": {"events": {"x": 1}, "silences": [[now - 900, now - 800]], "silent_s": 0.1}, "tapes": ["one.dope"], "source": ["live"],
    }  # fmt: skip


class Guarded:
    """The dashboard and the real API with its door over ``board``, as ``app.py`` puts them together, on a free port."""

    def __init__(self, board: Board, hz: float = 5.0, **tokens: str) -> None:
        settings = Settings(_env_file=None, reads_per_s=10_000, writes_per_s=10_000, costly_per_min=10_000, **tokens)
        self.board, self.market, self._hz = board, FakeMarket(board, hot=0.2), hz
        self.app = build(board, settings)
        shown = [page.PATH for page in pages()]
        mount(self.app.server, board, settings, alive=lambda: True, pages=shown, page_policy=policy(self.app))
        self._socket = listen()
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._uvicorn = uvicorn.Server(uvicorn.Config(self.app.server, log_level="warning", **server_options(settings)))
        self._stop, self.hold = threading.Event(), threading.Event()  #: ``hold``: the engine publishes nothing
        self._threads = [threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, daemon=True),
                         threading.Thread(target=self._publish, daemon=True)]  # fmt: skip

    def _publish(self) -> None:
        while not self._stop.wait(1 / self._hz):
            if not self.hold.is_set():
                self.market.step()

    @property
    def refused(self) -> Mapping[str, int]:
        """Requests that the door refused, by status."""
        found: Mapping[str, int] = next(m for m in self.app.server.user_middleware if m.cls.__name__ == "Door").kwargs["refused"]
        return found

    def __enter__(self) -> Guarded:
        self.market.live_through(60)
        for thread in self._threads:
            thread.start()
        while not self._uvicorn.started:
            assert self._threads[0].is_alive(), "the server has ended before it served anything"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._uvicorn.should_exit = True
        for thread in self._threads:
            thread.join(10)
        self._socket.close()


VIOLATIONS = """addEventListener('securitypolicyviolation', (e) => {
  (top.violated = top.violated || []).push(`${e.violatedDirective} ${e.blockedURI}`); })"""
#: what no text may bring into the page, whether or not it runs: elements, handlers and links of a payload
PLANTED = """() => [...document.querySelectorAll('*')].filter((n) =>
  [...n.attributes].some((a) => /^on/i.test(a.name) || (/^(href|src|action|formaction|srcdoc|data|xlink:href)$/i.test(a.name)
    && /^[\\u0000-\\u0020]*(javascript|vbscript|data:text)/i.test(a.value)))
  || /^(iframe|object|embed|base)$/i.test(n.tagName)
  || (n.tagName === 'SCRIPT' && /x\\(\\d/.test(n.textContent))).map((n) => n.outerHTML.slice(0, 120))"""


READY = "window.DOPE && DOPE.state.mode && DOPE.page"


class Eye:
    """A browser context that sees every run of a payload: ``ran`` holds their numbers, also of frames and later pages.

    ``policy=False`` takes the Content-Security-Policy off every answer; ``spoil(name, old, new)`` changes a script on its way.
    """

    def __init__(self, browser: Any, *, policy: bool = True) -> None:
        self.ran: list[Any] = []
        self.errors: list[str] = []
        self._holes: list[re.Pattern[str]] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True)
        self.context.expose_binding("x", lambda _source, n: self.ran.append(n))
        self.context.add_init_script(VIOLATIONS)
        self.context.add_init_script("for (const name of ['alert', 'confirm', 'prompt']) window[name] = () => x(name);")
        if not policy:
            self.context.route(re.compile(r"//[^/]+/(predict|backtest|replay|venues|settings|docs)?([?#].*)?$"), _strip)

    def spoil(self, script: str, old: str, new: str) -> None:
        """Plant a hole: serve ``script`` with ``old`` replaced."""
        def fulfil(route: Any) -> None:
            answer = route.fetch()
            text = answer.text()
            assert old in text, "there is no such place for a hole"
            route.fulfill(response=answer, body=text.replace(old, new))

        self._holes.append(re.compile(re.escape(script)))
        self.context.route(self._holes[-1], fulfil)

    def open(self, url: str, wait: str = READY) -> Any:
        page = patient(self.context.new_page())
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.goto(url)
        if wait:
            page.wait_for_function(wait)
        return page

    def rest(self) -> None:
        """No page is open, no script spoilt and nothing kept or seen any more."""
        for page in self.context.pages:
            page.evaluate("localStorage.clear()")
            page.close()
        for hole in self._holes:
            self.context.unroute(hole)
        for seen in (self._holes, self.ran, self.errors):
            seen.clear()

    def close(self) -> None:
        self.context.close()


def _strip(route: Any) -> None:
    answer = route.fetch()
    headers = {name: value for name, value in answer.headers.items() if name != "content-security-policy"}
    route.fulfill(response=answer, headers=headers)


def in_turn(size: int) -> Iterator[tuple[str, ...]]:
    """All payloads, ``size`` at a time."""
    rest = iter(PAYLOADS)
    while batch := tuple(itertools.islice(rest, size)):
        yield batch
