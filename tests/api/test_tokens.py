"""Tokens over real sockets: every operation of the API × {no token, wrong, other scope, right}; sessions, streams, wrong tries."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import httpx
import orjson
import pytest
import websockets
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dope.api import mount
from dope.api.rates import MAX_BUCKETS, Limit, Rates, block, kind_of
from dope.api.tokens import COOKIE, MAX_SESSIONS, Access, Tokens
from dope.board import Board
from dope.settings import Settings
from tests.api.house import House, dash_app, serving

OPERATE, READ = "operate-0123456789", "reading-0123456789"
BOTH = {"api_token": OPERATE, "read_token": READ}
FILLED = {"symbol": "BTC-USDT", "form": "csv", "id": "1000", "verb": "pause", "kind": "bbo", "page": "live", "name": "mine"}
PUBLIC = {"/health", "/ready"}
REFUSED = {401, 403, 429}  #: whatever else is answered, the door was passed


def operations() -> list[tuple[str, str]]:
    """Every (method, address) that the API describes, as its description says, and the ways in that it does not."""
    app = dash_app()
    mount(app, Board(), Settings(_env_file=None), alive=lambda: True)
    described = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]
    beside = ["/", "/spreads", "/docs", "/openapi.json", "/_dash-layout", "/_dash-dependencies"]
    return [*described, *(("GET", path) for path in beside), ("POST", "/_dash-update-component")]


OPERATIONS = operations()
CALLBACK = {"output": "out.children", "outputs": {"id": "out", "property": "children"}, "changedPropIds": ["b.n_clicks"],
            "inputs": [{"id": "b", "property": "n_clicks", "value": 3}]}  # fmt: skip


class Clock:
    """Stands still until a test moves it."""

    now = 1_000 * 10**9

    def __call__(self) -> int:
        return self.now


class Someone:
    """Asks from an address of its own, so that one test's wrong tries do not lock out another."""

    _numbers = itertools.count(2)
    _all: ClassVar[list[Someone]] = []

    def __init__(self, house: House) -> None:
        number = next(self._numbers)
        self.address = f"127.0.{number // 250}.{number % 250 + 1}"
        self.client = httpx.Client(base_url=house.url, transport=httpx.HTTPTransport(local_address=self.address), timeout=20.0)
        self._all.append(self)

    @classmethod
    def all_leave(cls) -> None:
        while cls._all:
            cls._all.pop().client.close()

    def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        for name, value in FILLED.items():
            path = path.replace(f"{{{name}}}", value)
        headers = {"Content-Type": "application/json"} if method == "POST" else {}
        if "dash-update" in path:
            headers["Sec-Fetch-Site"] = "same-origin"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = CALLBACK if "dash-update" in path else {"name": "reconnect", "args": {"venue": "okx"}}
        content = orjson.dumps(body) if method == "POST" else b""
        return self.client.request(method, path, headers=headers | options.pop("headers", {}), content=content, **options)


@pytest.fixture(scope="module")
def guarded() -> Iterator[House]:
    with serving(app=dash_app(), **BOTH) as running:
        yield running


@pytest.fixture(scope="module")
def half_open() -> Iterator[House]:
    """Everybody may read, operating needs the token."""
    with serving(app=dash_app(), api_token=OPERATE) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(guarded: House, half_open: House) -> Iterator[None]:
    """An engine that has just published, and afterwards nobody who stays connected."""
    guarded.publisher.publish()
    half_open.publisher.publish()
    yield
    Someone.all_leave()


def is_write(method: str, path: str) -> bool:
    """Whether it takes the token that operates."""
    return path == "/api/v1/audit" or (method != "GET" and "dash-update" not in path)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=str)
def test_every_operation_with_no_wrong_other_and_right_token(guarded: House, method: str, path: str) -> None:
    someone = Someone(guarded)
    statuses = {who: someone.ask(method, path, token).status_code for who, token in
                {"nobody": None, "wrong": "x" * 20, "reader": READ, "operator": OPERATE}.items()}  # fmt: skip
    if path in PUBLIC:
        assert set(statuses.values()) == {200}
        return
    assert (statuses["nobody"], statuses["wrong"]) == (401, 401)
    assert statuses["reader"] == 403 if is_write(method, path) else statuses["reader"] not in REFUSED
    assert statuses["operator"] not in REFUSED


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=str)
def test_with_one_token_everybody_reads_and_its_owner_operates(half_open: House, method: str, path: str) -> None:
    someone = Someone(half_open)
    nobody, operator = (someone.ask(method, path, token).status_code for token in (None, OPERATE))
    assert nobody == 401 if is_write(method, path) else nobody not in REFUSED
    assert operator not in REFUSED


def test_the_table_covers_all_that_is_described() -> None:
    assert len(OPERATIONS) > 15 and {"/api/v1/commands", "/metrics", "/api/v1/export/opportunities.{form}"} <= {p for _, p in OPERATIONS}


def test_a_refusal_says_what_to_show(guarded: House) -> None:
    someone = Someone(guarded)
    absent, wrong, other = (someone.ask("POST", "/api/v1/commands", token) for token in (None, "x" * 20, READ))
    assert absent.headers["www-authenticate"] == 'Bearer realm="dope"' and "/sign-in" in absent.json()["hint"]
    assert wrong.headers["www-authenticate"] == 'Bearer realm="dope", error="invalid_token"'
    assert other.headers["www-authenticate"] == 'Bearer realm="dope", error="insufficient_scope", scope="operate"'
    assert other.json()["error"] == "this token may only read"


@pytest.mark.parametrize("header", ["", "Bearer", f"Basic {OPERATE}", OPERATE, f"Bearer {OPERATE} x", f"Bearer {OPERATE[:-1]}"])
def test_only_the_whole_token_after_the_word_bearer_counts(guarded: House, header: str) -> None:
    assert Someone(guarded).ask("GET", "/api/v1/venues", headers={"Authorization": header}).status_code == 401


def test_a_token_in_the_address_is_never_looked_at(guarded: House) -> None:
    someone = Someone(guarded)
    for name in ("token", "access_token", "api_token", "api_key", "authorization"):
        assert someone.ask("GET", f"/api/v1/venues?{name}={OPERATE}").status_code == 401
    assert someone.ask("GET", "/", params={"token": READ}).status_code == 401


def test_after_ten_wrong_tokens_none_is_looked_at_from_that_address() -> None:
    with serving(app=dash_app(), clock_ns=Clock(), **BOTH) as guarded:
        guesser, other = Someone(guarded), Someone(guarded)
        answers = [guesser.ask("GET", "/api/v1/venues", f"guess-{i:014}") for i in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        right = guesser.ask("GET", "/api/v1/venues", OPERATE)
        assert right.status_code == 429 and 1 <= int(right.headers["retry-after"]) <= 6
        assert guesser.client.post("/sign-in", data={"token": OPERATE}, headers={"Origin": guarded.url}).status_code == 429
        assert other.ask("GET", "/api/v1/venues", OPERATE).status_code == 200


def sign_in(house: House, someone: Someone, token: str, to: str = "/") -> httpx.Response:
    return someone.client.post("/sign-in", data={"token": token, "to": to}, headers={"Origin": house.url})


def test_a_person_signs_in_once_and_out(guarded: House) -> None:
    someone = Someone(guarded)
    first = someone.client.get("/spreads")
    assert first.status_code == 401 and 'name="to" type="hidden" value="/spreads"' in first.text and "_dash-config" not in first.text
    assert "script" not in first.text and "default-src 'none'" in first.headers["content-security-policy"]
    done = sign_in(guarded, someone, OPERATE, "/spreads")
    assert (done.status_code, done.headers["location"]) == (303, "/spreads")
    cookie = done.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "secure" not in cookie and OPERATE not in done.headers["set-cookie"]
    assert someone.client.get("/spreads").status_code == 200
    own = {"Origin": guarded.url}
    assert someone.client.post("/api/v1/commands", json={"name": "reconnect", "args": {"venue": "okx"}}, headers=own).status_code == 202
    kept = someone.client.cookies[COOKIE]
    out = someone.client.post("/sign-out", headers=own)
    assert out.status_code == 303 and COOKIE not in someone.client.cookies
    someone.client.cookies.set(COOKIE, kept)
    assert someone.client.get("/").status_code == 401


def test_a_reader_who_signed_in_may_not_operate(guarded: House) -> None:
    someone = Someone(guarded)
    assert sign_in(guarded, someone, READ).status_code == 303
    assert someone.client.get("/").status_code == 200
    answer = someone.client.post("/api/v1/commands", json={"name": "train"}, headers={"Origin": guarded.url})
    assert answer.status_code == 403 and "only read" in answer.json()["error"]


def test_a_wrong_token_in_the_form_is_said_and_goes_nowhere_else(guarded: House) -> None:
    someone = Someone(guarded)
    answer = sign_in(guarded, someone, "<script>alert(1)</script>")
    assert answer.status_code == 401 and "not ours" in answer.text and "<script" not in answer.text and COOKIE not in someone.client.cookies
    for to in ("//evil.test", "https://evil.test/", "/nope", "javascript:alert(1)"):
        assert sign_in(guarded, Someone(guarded), OPERATE, to).headers["location"] == "/"
    foreign = someone.client.post("/sign-in", data={"token": OPERATE}, headers={"Origin": "http://evil.test"})
    assert foreign.status_code == 403
    assert someone.client.post("/sign-in", data={"token": OPERATE}).status_code == 403, "a form without Origin"


def test_the_cookie_is_for_https_only_where_the_browser_came_by_https() -> None:
    with serving(app=dash_app(), allowed_hosts=("desk.example",), **BOTH) as house:
        answer = house.client.post(
            "/sign-in", data={"token": READ}, headers={"Host": "desk.example", "Origin": "https://desk.example"}
        )  # fmt: skip
        assert answer.status_code == 303 and "secure" in answer.headers["set-cookie"].lower()


def test_an_old_cookie_is_no_wrong_try(guarded: House) -> None:
    someone = Someone(guarded)
    someone.client.cookies.set(COOKIE, "of-yesterday")
    assert {someone.client.get("/api/v1/venues").status_code for _ in range(15)} == {401}
    assert someone.ask("GET", "/api/v1/venues", READ).status_code == 200


def test_without_tokens_there_is_nothing_to_sign_in_with() -> None:
    with serving(app=dash_app()) as house:
        assert house.client.get("/sign-in").headers["location"] == "/"
        assert house.client.get("/api/v1/venues", headers={"Authorization": "Bearer whatever"}).status_code == 200


# -- streams -----------------------------------------------------------------------------------------------------------
async def first_of(house: House, *said: str, **options: Any) -> str | int:
    """The kind of the first message of the live stream, or the code or status of its end."""
    try:
        async with house.connect(**options) as connection:
            for text in said:
                await connection.send(text)
            return str(orjson.loads(await connection.recv())["type"])
    except InvalidStatus as refused:
        return refused.response.status_code
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def auth(token: str) -> str:
    return orjson.dumps({"type": "auth", "token": token}).decode()


def bearer(token: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


def test_a_stream_opens_with_header_cookie_or_first_message_and_not_otherwise(guarded: House) -> None:
    someone = Someone(guarded)
    sign_in(guarded, someone, READ)
    cookie = {"additional_headers": {"Cookie": f"{COOKIE}={someone.client.cookies[COOKIE]}"}}
    here = {"local_addr": (Someone(guarded).address, 0)}

    async def scene() -> list[str | int]:
        return [
            await first_of(guarded, **bearer(READ), **here),
            await first_of(guarded, origin=None, **bearer(OPERATE), **here),
            await first_of(guarded, **cookie, **here),
            await first_of(guarded, auth(READ), **here),
            await first_of(guarded, **bearer("x" * 20), **here),
            await first_of(guarded, auth("x" * 20), **here),
            await first_of(guarded, '{"type":"resync"}', **here),
            await first_of(guarded, '{"type":"auth","token":7}', **here),
            await first_of(guarded, "\x00", **here),
            await first_of(guarded, origin=None, **here),
            await first_of(guarded, origin="http://evil.test", **bearer(OPERATE), **here),
        ]

    assert asyncio.run(scene()) == ["snapshot"] * 4 + [401, 1008, 1008, 1008, 1008, 403, 403]


def test_guessing_over_streams_is_counted_too() -> None:
    with serving(clock_ns=Clock(), **BOTH) as guarded:
        here = {"local_addr": (Someone(guarded).address, 0)}

        async def scene() -> list[str | int]:
            for i in range(10):
                await first_of(guarded, auth(f"guess-{i:014}"), **here)
            return [await first_of(guarded, auth(READ), **here), await first_of(guarded, **bearer(READ), **here)]

        assert asyncio.run(scene()) == [1008, 429]


def test_whoever_shows_nothing_gets_nothing_and_is_sent_away(guarded: House) -> None:
    guarded.app.state.hub.manager.auth_s = 0.2
    assert asyncio.run(first_of(guarded, local_addr=(Someone(guarded).address, 0))) == 1008


def test_which_replays_there_are_is_told_to_readers_only(guarded: House) -> None:
    async def scene(**options: Any) -> str | int:
        try:
            address = f"ws://127.0.0.1:{guarded.port}/ws/v1/replay/77"
            async with websockets.connect(address, origin=guarded.url, local_addr=(Someone(guarded).address, 0), **options) as connection:
                return str(await connection.recv())
        except InvalidStatus as refused:
            return refused.response.status_code
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    assert asyncio.run(scene()) == 403
    assert asyncio.run(scene(**bearer(READ))) == 4404


def test_the_stream_of_the_dashboard_library_needs_header_or_cookie(guarded: House) -> None:
    async def scene() -> int:
        with pytest.raises(InvalidStatus) as refused:
            async with websockets.connect(f"ws://127.0.0.1:{guarded.port}/_dash-ws-callback", origin=guarded.url):
                pass
        return int(refused.value.response.status_code)

    assert asyncio.run(scene()) == 401


# -- the parts alone ---------------------------------------------------------------------------------------------------
def test_a_session_ends_by_itself_and_their_number_is_bounded() -> None:
    clock = Clock()
    tokens = Tokens(Settings(_env_file=None, **BOTH), clock)
    first = tokens.open_session(Access.READ)
    assert tokens.of_session(first) is Access.READ
    names = [tokens.open_session(Access.OPERATE) for _ in range(MAX_SESSIONS)]
    assert tokens.of_session(first) is Access.NOTHING and len(set(names)) == MAX_SESSIONS
    clock.now += 13 * 3600 * 10**9
    assert {tokens.of_session(name) for name in names} == {Access.NOTHING}


def test_a_bucket_allows_a_burst_then_its_rate_and_says_how_long_to_wait() -> None:
    clock = Clock()
    rates = Rates({"x": Limit(per_s=2.0, burst=3.0)}, clock)
    assert [rates.take("1.2.3.4", "x") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert rates.take("1.2.3.5", "x") == 0
    clock.now += 500_000_000
    assert [rates.take("1.2.3.4", "x") for _ in range(2)] == [0, 1]
    slow = Rates({"x": Limit(per_s=0.1, burst=1.0)}, clock)
    assert [slow.take("::1", "x"), slow.take("::1", "x")] == [0, 10]


def test_buckets_are_bounded_and_one_subscriber_is_one_address() -> None:
    rates = Rates({"x": Limit(1.0, 1.0)}, Clock())
    for i in range(MAX_BUCKETS + 500):
        rates.take(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", "x")
    assert len(rates._buckets) == MAX_BUCKETS
    assert block("2001:db8::1") == block("2001:db8::ffff:1") != block("2001:db8:0:1::1")
    assert block("::ffff:10.0.0.1") == block("10.0.0.1") and len(block("x" * 1000)) <= 64


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/v1/venues", "reads"), ("POST", "/_dash-update-component", "reads"), ("POST", "/api/v1/commands", "writes"),
        ("GET", "/api/v1/export/opportunities.csv", "costly"), ("GET", "/assets/x.js", None), ("GET", "/health", None),
        ("POST", "/sign-in", "writes"), ("DELETE", "/api/v1/venues", "writes"),
    ],
)  # fmt: skip
def test_each_request_is_of_one_kind(method: str, path: str, kind: str | None) -> None:
    assert kind_of(method, path) == kind


def test_too_many_of_a_kind_are_told_to_wait_and_other_kinds_and_addresses_are_not() -> None:
    with serving(app=FastAPI(), clock_ns=Clock(), reads_per_s=1, writes_per_s=1, costly_per_min=6) as house:
        reads = [house.get("/api/v1/venues") for _ in range(12)]
        assert [answer.status_code for answer in reads].count(429) >= 6 and reads[0].status_code == 200
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in reads if answer.status_code == 429)
        exports = [house.get("/api/v1/export/opportunities.csv").status_code for _ in range(6)]
        assert exports[:2] == [200, 200] and 429 in exports
        assert Someone(house).ask("GET", "/api/v1/venues").status_code == 200
        assert {house.get("/health").status_code for _ in range(50)} == {200}
        wishes = [house.client.post("/api/v1/commands", json={"name": "set", "args": {}}).status_code for _ in range(12)]
        assert wishes[0] == 202 and wishes.count(429) >= 6


@pytest.mark.parametrize("many", [100, pytest.param(10_000, marks=pytest.mark.full)])
def test_of_a_flood_of_trainings_one_runs_one_waits_and_the_rest_are_sent_away(many: int) -> None:
    wish = b'{"name":"train"}'

    async def ask(house: House, times: int) -> list[int]:
        """One after the other on a connection of its own."""
        head = f"POST /api/v1/commands HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nContent-Type: application/json\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        statuses = []
        for _ in range(times):
            writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(wish) + wish)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].split()[0]))
            statuses.append(int(answer.split()[1]))
            assert statuses[-1] != 429 or b"retry-after: " in answer
        writer.close()
        return statuses

    async def scene(house: House) -> list[int]:
        answers = await asyncio.gather(*(ask(house, many // 50) for _ in range(50)))
        return [status for of_one in answers for status in of_one]

    with serving(clock_ns=Clock()) as house:  # no rate limit: the number of places alone has to hold
        house.publisher.publish({"jobs": []})
        house.publisher.hesitates_s = 0.05  # long enough for others to look while one is asking
        statuses = asyncio.run(scene(house))
        assert sorted(set(statuses)) == [202, 429] and statuses.count(202) == 2 == len(house.publisher.commands)
