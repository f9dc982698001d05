"""Floor 5, for programs: REST, live stream, metrics and API page on the web app that the dashboard lives on.

``mount`` adds everything to a FastAPI app; ``server_options`` says how uvicorn has to run it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from dope import __version__
from dope.api import (
    bars,
    basis,
    clocks,
    conversions,
    curves,
    depth,
    export,
    features,
    health,
    history,
    instruments,
    jumps,
    leadlag,
    log,
    pairs,
    parameters,
    promises,
    recording,
    relays,
    replays,
    routes,
    scenarios,
    sign_in,
    signals,
    survival,
    triangles,
    views,
)
from dope.api.answers import answer_errors, nothing_here
from dope.api.clients import Places
from dope.api.compress import Compress
from dope.api.context import Web
from dope.api.live import Hub
from dope.api.metrics import registry
from dope.api.rates import Limit, Rates
from dope.api.security import CLOSED, DATA_POLICY, Door, check_bind
from dope.api.serve import server_options
from dope.api.tokens import Tokens
from dope.board import Board
from dope.settings import Settings
from dope.watch import Watch

__all__ = ["mount", "server_options"]

DESCRIPTION = (
    "Price differences between crypto venues. Times are UTC, sizes in base and prices in quote currency. "
    "WebSockets: `/ws/v1/live` is the live market, `/ws/v1/replay/{id}` a recorded one; "
    "`/ws/{venue}` relays the order books and trades of one venue (`?depth=1…50`, `?symbol=`), "
    "`/ws/ticker/{symbol}` the best prices of one symbol at all venues; who listens to them stands at `/api/v1/relays`; "
    "`/ws/features?symbols=` samples the books of some symbols each 10 ms: mids, deltas, depth in windows, imbalances, order flow."
)
ASKED = 1000  #: commands remembered, so that a job can be asked for before it is on the board
BURST_S = 4.0  #: s worth of requests that may come at once
COSTLY_AT_ONCE = 3.0  #: a third of a minute's costly requests may come at once
REPLACED = ("/docs", "/docs/oauth2-redirect", "/redoc")  #: the framework's own pages load scripts from another host


class Asked(OrderedDict[int, tuple[str, int]]):
    """Job id → (command, time asked in ns) of the newest commands; ``turn`` is held from looking to asking."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = threading.Lock()

    def remember(self, job: int, what: tuple[str, int]) -> None:
        self[job] = what
        while len(self) > ASKED:
            self.popitem(last=False)


def mount(
    app: FastAPI,
    board: Board,
    settings: Settings,
    *,
    alive: Callable[[], bool],
    clock_ns: Callable[[], int] = time.time_ns,
    pages: Iterable[str] = ("/",),
    page_policy: str = CLOSED,
    watch: Watch | None = None,
) -> None:
    """Put API, live stream, metrics, API page and the door in front of all of them on ``app``.

    ``alive`` says whether the runtime lives; ``clock_ns`` is the clock that stamps its snapshots; ``pages`` are the
    paths of the dashboard (any other unknown path is 404); ``page_policy`` is their Content-Security-Policy, which the
    dashboard knows (``dashboard.app.policy``). The API page has its own, and all that is no page may load nothing.
    ``watch`` knows which parts of the program failed lately: /health tells.
    Raises SettingsError when the host can be reached by others and no token is set or no Host names are listed.
    """
    check_bind(settings)
    web = Web(board, settings, alive, clock_ns, watch or Watch())
    tokens, rates = Tokens(settings, clock_ns), Rates(limits(settings), clock_ns)
    places = Places(settings)
    hub = Hub(board, settings, tokens, places, clock_ns=clock_ns, watch=web.watch)
    relaying = app.state.relays = relays.Relays(web, tokens, places)
    sampled = app.state.features = features.Features(web, tokens, places)
    refused: Counter[str] = Counter()
    app.state.web, app.state.hub, app.state.asked, app.state.replays = web, hub, Asked(), replays.Hubs(web, tokens, places)
    app.state.tokens, app.state.rates, app.state.pages = tokens, rates, frozenset(pages := tuple(pages))
    app.state.registry = registry(web, hub, relaying, sampled, refused)
    app.title, app.version, app.description = "DOPE", __version__, DESCRIPTION
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") not in REPLACED]
    spoken = (
        log.router, routes.router, instruments.router, export.router, replays.router, history.router, recording.router, views.router,
        relays.router, scenarios.router, promises.router, leadlag.router, curves.router, survival.router, clocks.router, depth.router,
        bars.router, basis.router, triangles.router, conversions.router,
        parameters.router, signals.router, jumps.router, pairs.router,
    )  # fmt: skip
    streams = routes.stream, replays.stream, features.stream, relays.stream  # a venue of any name is the last of them
    for part in (*spoken, *streams, health.router, sign_in.router, nothing_here(spoken)):
        app.include_router(part)
    app.mount("/docs/files", StaticFiles(directory=health.SWAGGER), name="docs files")
    answer_errors(app)
    app.add_middleware(Compress)
    policies = {**dict.fromkeys(pages, page_policy), "/docs": health.DOCS_POLICY}
    app.add_middleware(
        Door, settings=settings, pages=pages, policy=lambda path: policies.get(path, DATA_POLICY), refused=refused, tokens=tokens,
        rates=rates,
    )  # fmt: skip


def limits(settings: Settings) -> dict[str, Limit]:
    """What one address may ask, per kind of request."""
    return {
        "reads": Limit(settings.reads_per_s, BURST_S * settings.reads_per_s),
        "writes": Limit(settings.writes_per_s, BURST_S * settings.writes_per_s),
        "costly": Limit(settings.costly_per_min / 60, max(1.0, settings.costly_per_min / COSTLY_AT_ONCE)),
    }
