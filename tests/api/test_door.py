"""Who may come in: Host, Origin, Fetch metadata, path, size; and which headers every answer carries. On the real dashboard app."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus

from dope.api import mount
from dope.api.security import CLOSED, MAX_BODY, is_name
from dope.board import Board
from dope.errors import SettingsError
from dope.settings import Settings
from tests.api.house import House, dash_app, serving

CALLBACK = {
    "output": "out.children",
    "outputs": {"id": "out", "property": "children"},
    "inputs": [{"id": "b", "property": "n_clicks", "value": 3}],
    "changedPropIds": ["b.n_clicks"],
}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with serving(app=dash_app(), allowed_hosts=("desk.example",), allowed_origins=("https://friend.example",)) as running:
        yield running


FOREIGN = [
    "http://evil.test",
    "null",
    "http://127.0.0.1.evil.test:{port}",
    "http://evil127.0.0.1:{port}",
    "http://127.0.0.1:{port}.evil.test",
    "http://127.0.0.1:1",
    "http://localhost:{port}",  # another name of this machine is another origin
    "http://127.0.0.1:{port}@evil.test",
    "https://friend.example.evil.test",
    "file://",
    "",
]


@pytest.mark.parametrize("origin", [None, *FOREIGN])
def test_a_websocket_from_elsewhere_is_refused_before_any_data(house: House, origin: str | None) -> None:
    async def scene() -> int:
        headers = {} if origin is None else {"Origin": origin.format(port=house.port)}
        with pytest.raises(InvalidStatus) as refused:
            async with house.connect(origin=None, additional_headers=headers):
                pass
        return refused.value.response.status_code

    assert asyncio.run(scene()) == 403


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1:1", "127.0.0.1.evil.test:{port}", "localhost.evil.test"])
def test_a_websocket_under_a_foreign_host_name_is_refused(house: House, host: str) -> None:
    request = (
        f"GET /ws/v1/live HTTP/1.1\r\nHost: {host.format(port=house.port)}\r\nOrigin: http://{host.format(port=house.port)}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert raw(house, request.encode()).startswith(b"HTTP/1.1 403")


def test_a_websocket_from_an_allowed_origin_gets_in(house: House) -> None:
    async def scene() -> str:
        async with house.connect(origin="https://friend.example") as connection:
            return str(await connection.recv())

    assert '"snapshot"' in asyncio.run(scene())[:30]


def test_the_stream_of_the_dashboard_library_is_behind_the_same_door(house: House) -> None:
    async def scene() -> int:
        with pytest.raises(InvalidStatus) as refused:
            async with __import__("websockets").connect(f"ws://127.0.0.1:{house.port}/_dash-ws-callback", origin="http://evil.test"):
                pass
        return int(refused.value.response.status_code)

    assert asyncio.run(scene()) == 403


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/venues", "/_dash-layout", "/assets/x.js"])
@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:{port}", "127.0.0.1:1", "localhost", "127.0.0.1.evil.test:{port}", "[::1]", "", "x@127.0.0.1:{port}"]
)
def test_an_unknown_host_is_misdirected(house: House, path: str, host: str) -> None:
    answer = house.client.get(path, headers={"Host": host.format(port=house.port)})
    assert answer.status_code == 421
    assert set(answer.json()) == {"error", "hint"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}", "desk.example", "desk.example:9000"]
)
def test_our_own_names_are_welcome(house: House, host: str) -> None:
    assert house.client.get("/health", headers={"Host": host.format(port=house.port)}).status_code == 200


def test_two_host_headers_are_no_host(house: House) -> None:
    answer = raw(house, f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nHost: evil.test\r\n\r\n".encode())
    assert answer.split()[1] in (b"421", b"400")


WRITES = ["/api/v1/commands", "/_dash-update-component", "/api/v1/jobs/1000/cancel"]


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        *[{"Origin": origin} for origin in FOREIGN if origin],
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Origin": "http://evil.test", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_no_write_from_another_site(house: House, path: str, headers: dict[str, str]) -> None:
    house.publisher.commands.clear()
    body = CALLBACK if "dash" in path else {"name": "train"}
    answer = house.client.post(path, json=body, headers={name: value.format(port=house.port) for name, value in headers.items()})
    assert answer.status_code == 403
    assert house.publisher.commands == []


def test_a_program_says_json_where_a_browser_says_its_origin(house: House) -> None:
    """A form of another site can post neither JSON nor a token; browsers too old to send Origin are kept out by that."""
    house.publisher.commands.clear()
    assert house.client.post("/api/v1/commands", content='{"name":"train"}', headers={"Content-Type": "text/plain"}).status_code == 403
    assert house.client.post("/api/v1/jobs/1000/cancel").status_code == 403
    assert house.client.post("/_dash-update-component", json=CALLBACK).status_code == 403
    assert house.publisher.commands == []
    assert house.client.post("/api/v1/jobs/1000/cancel", headers={"Content-Type": "application/json"}).status_code == 202


@pytest.mark.parametrize(
    "headers", [{"Origin": "own"}, {"Origin": "own", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_our_own_page_and_programs_may_write(house: House, headers: dict[str, str]) -> None:
    house.app.state.asked.clear()
    headers = {name: house.url if value == "own" else value for name, value in headers.items()}
    assert house.client.post("/api/v1/commands", json={"name": "train"}, headers=headers).status_code == 202
    answer = house.client.post("/_dash-update-component", json=CALLBACK, headers=headers)
    assert answer.status_code == 200 and answer.json()["response"]["out"]["children"] == "3"


def test_another_site_may_not_read_but_a_link_to_a_page_opens_it(house: House) -> None:
    def read(path: str, **fetch: str) -> int:
        return house.client.get(path, headers={f"Sec-Fetch-{name.title()}": value for name, value in fetch.items()}).status_code

    assert read("/api/v1/venues", site="cross-site", mode="no-cors", dest="script") == 403
    assert read("/api/v1/venues", site="cross-site", mode="navigate", dest="document") == 403
    assert read("/", site="cross-site", mode="navigate", dest="iframe") == 403
    assert read("/", site="cross-site", mode="navigate", dest="document") == 200
    assert read("/", site="none", mode="navigate", dest="document") == 200
    assert read("/api/v1/venues", site="same-origin", mode="cors", dest="empty") == 200


@pytest.mark.parametrize(
    "path", ["/nope", "/spreads/", "/_mcp", "/wp-admin", "/redoc", "/static/../etc/passwd", "/%00", "/health/", "/docs2"]
)
def test_unknown_paths_are_not_the_page(house: House, path: str) -> None:
    answer = house.client.get(path)
    assert answer.status_code == 404 and "error" in answer.json()


@pytest.mark.parametrize("target", ["//evil.test", "//evil.test/", "/..//", "/%2e%2e/", "/spreads%2f.."])
def test_unusual_targets_are_not_the_page_either(house: House, target: str) -> None:
    assert raw(house, f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\n\r\n".encode()).startswith(b"HTTP/1.1 404")


def test_known_pages_are_the_page(house: House) -> None:
    for path in ("/", "/spreads"):
        answer = house.client.get(path)
        assert answer.status_code == 200 and "_dash-config" in answer.text


def test_no_tool_protocol_is_served(house: House) -> None:
    answer = house.client.post("/_mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert answer.status_code == 404 and "jsonrpc" not in answer.text


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY - 100, 422), (MAX_BODY + 1, 413), (10 * MAX_BODY, 413)])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_are_bounded(house: House, size: int, status: int, chunked: bool) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'
    content = (body[i : i + 8192] for i in range(0, size, 8192)) if chunked else body
    try:
        answer = house.client.post("/api/v1/commands", content=content, headers={"Content-Type": "application/json"})
    except (httpx.WriteError, httpx.RemoteProtocolError):
        assert status == 413  # the server closed while we still wrote
    else:
        assert answer.status_code == status


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "99999999999999999999999"])
def test_a_length_that_is_no_number_is_refused(house: House, length: str) -> None:
    request = f"POST /api/v1/commands HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nContent-Length: {length}\r\n\r\n"
    assert raw(house, request.encode()).split()[1] in (b"400", b"413")


@pytest.mark.parametrize(
    "path", ["/", "/health", "/api/v1/venues", "/nope", "/docs", "/assets/none.js", "/_dash-layout", "/api/v1/books/NOPE"]
)
def test_every_answer_carries_the_protective_headers(house: House, path: str) -> None:
    headers = house.client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] in ("no-cache", "no-store")
    assert "access-control-allow-origin" not in headers and "server" not in headers


def test_the_dashboard_may_bring_a_stricter_policy() -> None:
    app = FastAPI()
    mount(app, Board(), Settings(_env_file=None), alive=lambda: True, page_policy=CLOSED + "; font-src 'self'")
    door = next(m for m in app.user_middleware if m.cls.__name__ == "Door")
    assert door.kwargs["policy"]("/").endswith("font-src 'self'") and not door.kwargs["policy"]("/docs").endswith("font-src 'self'")
    assert door.kwargs["policy"]("/api/v1/venues").startswith("default-src 'none'")


TOKEN = "operate-0123456789"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_a_host_that_others_can_reach_needs_a_token_and_a_list_of_names(host: str) -> None:
    for given, missing in [({}, "DOPE_API_TOKEN .* and DOPE_ALLOWED_HOSTS"), ({"api_token": TOKEN}, "DOPE_ALLOWED_HOSTS"),
                           ({"allowed_hosts": ("desk.example",)}, "set DOPE_API_TOKEN")]:  # fmt: skip
        with pytest.raises(SettingsError, match=missing):
            mount(FastAPI(), Board(), Settings(_env_file=None, host=host, **given), alive=lambda: True)
    both = Settings(_env_file=None, host=host, allowed_hosts=("desk.example",), api_token=TOKEN)
    mount(FastAPI(), Board(), both, alive=lambda: True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "localhost", "::1"])
def test_loopback_needs_none(host: str) -> None:
    mount(FastAPI(), Board(), Settings(_env_file=None, host=host), alive=lambda: True)


def test_large_files_are_compressed_once_and_kept_by_browsers(house: House) -> None:
    page = house.client.get("/").text
    script = next(part.split('"')[0] for part in page.split('src="') if part.startswith("/_dash-component-suites/dash/dash-renderer"))
    packed = house.client.get(script)
    assert packed.headers["content-encoding"] == "gzip" and "immutable" in packed.headers["cache-control"]
    plain = house.client.get(script, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.content == packed.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2


@pytest.mark.parametrize("name", ["BTC-USDT", "BTC-USDT-PERP", "1INCH-USDT", "A" * 32])
def test_names_of_markets_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "BTC-USDT\n", "-BTC", "btc", "A" * 33, "BTC/USDT", "../BTC", "BTC\u0661", "BTC USDT", "BTC\x00"])
def test_everything_else_is_not(name: str) -> None:
    assert not is_name(name)


def raw(house: House, request: bytes) -> bytes:
    """Bytes to the server and its whole answer."""
    with socket.create_connection(("127.0.0.1", house.port)) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer
