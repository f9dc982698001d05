"""Every surface × every kind of origin: refused before a byte of data, or let in, as decided; and the CORS headers to the letter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.api.security import EXACT, PREFIXES
from dope.board import Board
from tests.api.house import UNHURRIED, House, dash_app, serving
from tests.api.test_door import CALLBACK
from tests.program import PATIENCE_S

PRIMARY, SECONDARY, LISTED = "https://one.example", "http://two.example:8443", "https://three.example"
ALLOWED = {"allowed_origin_primary": PRIMARY, "allowed_origin_secondary": SECONDARY, "allowed_origins": (LISTED,)}
SHOWN = "Content-Disposition, Retry-After, WWW-Authenticate, X-Dope-Meta, X-Dope-Rows"
WISH = {"name": "reconnect", "args": {"venue": "okx"}}


class Surface(NamedTuple):
    """One way in: what is asked, and what it answers to whoever may."""

    method: str
    path: str
    body: Any = None
    programs: bool = True  #: whether one that sends no Origin is let in as well


SURFACES = {
    "page": Surface("GET", "/"),
    "other page": Surface("GET", "/spreads"),
    "dash layout": Surface("GET", "/_dash-layout"),
    "dash dependencies": Surface("GET", "/_dash-dependencies"),
    "dash file": Surface("GET", "/_dash-component-suites/dash/dash-renderer/build/dash_renderer.min.js"),
    "dash callback": Surface("POST", "/_dash-update-component", CALLBACK, programs=False),
    "REST read": Surface("GET", "/api/v1/venues"),
    "REST snapshot": Surface("GET", "/api/v1/live"),
    "REST write": Surface("POST", "/api/v1/commands", WISH),
    "REST put": Surface("PUT", "/api/v1/views/live/mine", {"state": {}}),
    "REST delete": Surface("DELETE", "/api/v1/views/live/mine"),
    "export": Surface("GET", "/api/v1/export/opportunities.csv"),
    "history": Surface("GET", "/api/v1/history/bbo?symbol=BTC-USDT"),
    "relays": Surface("GET", "/api/v1/relays"),
    "depth": Surface("GET", "/api/v1/depth?symbol=BTC-USDT"),
    "recordings": Surface("GET", "/api/v1/recordings"),
    "health": Surface("GET", "/health"),
    "ready": Surface("GET", "/ready"),
    "metrics": Surface("GET", "/metrics"),
    "description": Surface("GET", "/openapi.json"),
    "docs": Surface("GET", "/docs"),
    "docs file": Surface("GET", "/docs/files/start.js"),
    "sign-in": Surface("GET", "/sign-in"),
    "sign-out": Surface("POST", "/sign-out", {}, programs=False),
}
STREAMS = {
    "live": "/ws/v1/live", "replay": "/ws/v1/replay/1000", "venue relay": "/ws/okx", "ticker relay": "/ws/ticker/BTC-USDT",
    "features": "/ws/features",
    "dash": "/_dash-ws-callback",
}  # fmt: skip
OWN, PROGRAM = "{url}", None
LET_IN = {"own": OWN, "primary": PRIMARY, "secondary": SECONDARY, "listed": LISTED}
REFUSED = {
    "foreign": "https://evil.test", "null": "null", "suffix": f"{PRIMARY}.evil.test", "prefix": "https://evilone.example",
    "own, suffix": "{url}.evil.test", "other port": f"{PRIMARY}:8443", "no port": "http://two.example", "other scheme": "http://one.example",
    "other name": "http://localhost:{port}", "user": "https://one.example@evil.test", "path": f"{PRIMARY}/", "star": "*", "empty": "",
    "two": f"{PRIMARY} https://evil.test", "comma": f"{PRIMARY},https://evil.test", "dotted": "https://one.example.",
}  # fmt: skip


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving(app=dash_app(), **ALLOWED) as running:
        replayed = running.publisher._answer

        def answer(kind: str, symbol: str, start: int, end: int, **options: Any) -> Any:
            return board if kind == "replay_board" else replayed(kind, symbol, start, end, **options)

        board = Board()
        board.publish(1, {"sys": {"tick": 1}})
        running.publisher.board.serve(running.publisher._take, answer)
        yield running


@pytest.fixture(autouse=True)
def fresh(house: House) -> None:
    house.publisher.commands.clear()
    house.publisher.views[("live", "mine")] = {"page": "live", "name": "mine", "state": {}, "saved": 1}
    house.publisher.publish()


def ask(house: House, surface: Surface, origin: str | None, **headers: str) -> httpx.Response:
    """With this Origin, None = without one."""
    if origin is not None:
        headers["Origin"] = origin.format(url=house.url, port=house.port)
    return house.client.request(surface.method, surface.path, json=surface.body, headers=headers)


def no_star(answer: httpx.Response) -> None:
    assert "*" not in "".join(value for name, value in answer.headers.items() if name.startswith("access-control"))
    assert "access-control-allow-credentials" not in answer.headers


def nothing_was_told(answer: httpx.Response) -> None:
    """No data, and no header by which a page could read even the refusal."""
    assert set(answer.json()) == {"error", "hint"}
    assert not [name for name in answer.headers if name.startswith("access-control")]
    no_star(answer)


def unchanged(house: House) -> bool:
    return house.publisher.commands == [] and ("live", "mine") in house.publisher.views


@pytest.mark.parametrize("origin", LET_IN)
@pytest.mark.parametrize("name", SURFACES)
def test_ours_and_the_allowed_are_let_in(house: House, name: str, origin: str) -> None:
    answer = ask(house, SURFACES[name], LET_IN[origin])
    assert answer.status_code in (200, 202, 204, 303), answer.text[:200]
    assert answer.headers["vary"].lower().count("origin") == 1
    shared = {name: value for name, value in answer.headers.items() if name.startswith("access-control")}
    wanted = {"access-control-allow-origin": LET_IN[origin], "access-control-expose-headers": SHOWN}
    assert shared == ({} if origin == "own" else wanted)


@pytest.mark.parametrize("origin", REFUSED)
@pytest.mark.parametrize("name", SURFACES)
def test_all_others_are_refused_before_any_data(house: House, name: str, origin: str) -> None:
    answer = ask(house, SURFACES[name], REFUSED[origin])
    assert answer.status_code == 403
    nothing_was_told(answer)
    assert unchanged(house)


@pytest.mark.parametrize("name", SURFACES)
def test_a_program_says_no_origin(house: House, name: str) -> None:
    surface = SURFACES[name]
    answer = ask(house, surface, PROGRAM)
    assert answer.status_code in ((200, 202, 204, 303) if surface.programs else (403,))
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert ask(house, surface, PROGRAM, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}).status_code == 403


@pytest.mark.parametrize("host", ["evil.test", "evil.test:{port}", "127.0.0.1:1", "one.example", "127.0.0.1.evil.test:{port}"])
@pytest.mark.parametrize("name", SURFACES)
def test_under_an_unknown_host_nothing_is_there_even_for_the_allowed(house: House, name: str, host: str) -> None:
    host = host.format(port=house.port)
    for origin in (None, f"http://{host}", PRIMARY, house.url):
        answer = ask(house, SURFACES[name], origin, Host=host)
        assert answer.status_code == 421
        assert answer.json()["error"] == "this Host name is not ours" and set(answer.json()) == {"error", "hint"}
        no_star(answer)
    assert unchanged(house)


def test_the_table_has_all_that_the_door_lets_through(house: House) -> None:
    asked = [surface.path for surface in SURFACES.values()] + list(STREAMS.values())
    left = {path for path in EXACT if path not in asked}
    assert left == {"/_reload-hash", "/_favicon.ico"}, "the dashboard library's, not served"
    assert {prefix for prefix in PREFIXES if not any(path.startswith(prefix) for path in asked)} == {"/assets/"}, "files of the real page"


# -- preflights --------------------------------------------------------------------------------------------------------
def preflight(house: House, path: str, origin: str, method: str = "POST", **more: str) -> httpx.Response:
    headers = {"Origin": origin.format(url=house.url, port=house.port), "Access-Control-Request-Method": method, **more}
    return house.client.request("OPTIONS", path, headers=headers)


@pytest.mark.parametrize("path", sorted({surface.path.partition("?")[0] for surface in SURFACES.values()}))
def test_a_preflight_is_answered_to_the_letter_or_refused(house: House, path: str) -> None:
    for origin in (PRIMARY, SECONDARY, LISTED):
        answer = preflight(house, path, origin, **{"Access-Control-Request-Headers": "x-evil, cookie"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert {name: value for name, value in answer.headers.items() if name.startswith("access-control")} == {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": "GET, POST, PUT, DELETE",
            "access-control-allow-headers": "authorization, content-type",
            "access-control-expose-headers": SHOWN,
            "access-control-max-age": "600",
        }
        assert answer.headers["vary"] == "Origin"
    for origin in REFUSED.values():
        answer = preflight(house, path, origin)
        assert answer.status_code == 403
        nothing_was_told(answer)
    assert unchanged(house)


def test_with_tokens_a_preflight_needs_none_but_what_follows_does() -> None:
    with serving(app=dash_app(), api_token="operate-0123456789", read_token="reading-0123456789", **ALLOWED) as house:
        assert preflight(house, "/api/v1/venues", PRIMARY, "GET").status_code == 204
        answer = ask(house, SURFACES["REST read"], PRIMARY)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, PRIMARY), "its page may read why"
        shown = ask(house, SURFACES["REST read"], PRIMARY, Authorization="Bearer reading-0123456789")
        assert (shown.status_code, shown.headers["access-control-allow-origin"]) == (200, PRIMARY)
        refused = ask(house, SURFACES["REST read"], "https://evil.test", Authorization="Bearer reading-0123456789")
        assert refused.status_code == 403
        nothing_was_told(refused)


def test_without_allowed_origins_no_answer_speaks_of_sharing() -> None:
    with serving(app=dash_app(), **UNHURRIED) as house:
        for name in ("page", "REST read", "metrics"):
            answer = ask(house, SURFACES[name], OWN)
            assert answer.status_code == 200 and not [key for key in answer.headers if key.startswith("access-control")]
        assert preflight(house, "/api/v1/venues", PRIMARY).status_code == 403


# -- streams -----------------------------------------------------------------------------------------------------------
async def opened(house: House, path: str, origin: str | None, host: str = "") -> int | str:
    """What came first: data, the status of the refusal, or the code of the end."""
    headers = {} if origin is None else {"Origin": origin.format(url=house.url, port=house.port)}
    address = f"ws://{host or f'127.0.0.1:{house.port}'}{path}"
    try:
        async with connect(address, host="127.0.0.1", port=house.port, origin=None, additional_headers=headers, max_size=None) as line:
            async with asyncio.timeout(PATIENCE_S):
                return "open" if path == STREAMS["dash"] else str(await line.recv())[:18]
    except InvalidStatus as refused:
        assert refused.response.body in (None, b"")
        return refused.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_opens_for_ours_and_the_allowed_and_ends_before_the_handshake_for_all_others(house: House, name: str) -> None:
    async def scene() -> None:
        data = "open" if name == "dash" else '{"type":"snapshot"'
        let_in = [OWN] if name == "dash" else list(LET_IN.values())  # the dashboard library's own is for its own page alone
        for origin in let_in:
            assert await opened(house, STREAMS[name], origin) == data, origin
        for origin in (None, *REFUSED.values(), *(set(LET_IN.values()) - set(let_in))):
            assert await opened(house, STREAMS[name], origin) == 403, origin
        for host in ("evil.test", f"evil.test:{house.port}", "127.0.0.1:1", f"127.0.0.1.evil.test:{house.port}"):
            for origin in (None, f"http://{host}", PRIMARY, house.url):
                assert await opened(house, STREAMS[name], origin, host) == 403, (host, origin)

    asyncio.run(scene())
