"""The door: which Host, Origin, path and body size a request may have, and the headers that every answer carries.

A page of another site can reach a server on 127.0.0.1 through the visitor's browser (DNS rebinding, cross-site
WebSockets, form posts); Dash by itself answers all of these. Programs that are no browser send neither ``Origin`` nor
``Sec-Fetch-*`` and are let through to the REST routes; WebSockets always need an ``Origin`` of ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dope.errors import SettingsError
from dope.settings import Settings

MAX_BODY = 64 * 1024  #: bytes of a request body
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
OPERATION = ("/health", "/ready", "/metrics", "/docs", "/openapi.json")
DASH = ("/_dash-layout", "/_dash-dependencies", "/_dash-update-component", "/_dash-ws-callback", "/_reload-hash", "/_favicon.ico")
EXACT = frozenset((*OPERATION, *DASH))
PREFIXES = ("/api/v1/", "/ws/v1/", "/assets/", "/docs/files/", "/_dash-component-suites/")
NAME = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}")
POLICY = "frame-ancestors 'none'; base-uri 'self'; object-src 'none'; form-action 'self'"
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
ERRORS = {
    400: ("this request is malformed", "send Content-Length as a number"),
    403: ("requests from other sites are refused", "open the dashboard at its own address, or list yours in DOPE_ALLOWED_ORIGINS"),
    404: ("there is nothing at this address", "the API is described at /docs"),
    413: (f"request bodies may have at most {MAX_BODY} bytes", ""),
    421: ("this Host name is not ours", "use 127.0.0.1 or localhost with our port, or list yours in DOPE_ALLOWED_HOSTS"),
}


def is_name(text: str) -> bool:
    """Whether ``text`` may be a symbol or an asset: ``fullmatch``, because ``$`` would let a trailing newline pass."""
    return NAME.fullmatch(text) is not None


def check_bind(settings: Settings) -> None:
    """Refuse to serve strangers by accident: beyond loopback only with an explicit list of Host names."""
    if not _is_loopback(settings.host) and not settings.allowed_hosts:
        raise SettingsError(f"host {settings.host!r} can be reached from other machines: set DOPE_ALLOWED_HOSTS to its names")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Door:
    """ASGI middleware, outermost. ``pages`` are the dashboard's paths; ``policy`` makes the Content-Security-Policy of one path."""

    def __init__(self, app: ASGIApp, settings: Settings, pages: Iterable[str], policy: Callable[[str], str], refused: Counter[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)
        self._pages = frozenset(pages)
        self._policy = policy
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status = self._judge(scope)
        if scope["type"] == "websocket":
            await self._websocket(status, scope, receive, send)
            return
        send = self._dressed(scope, send)
        if not status and scope["method"] not in ("GET", "HEAD"):
            body = await _read_body(receive)
            status = 413 if body is None else 0
            receive = _replay(body or b"", receive)
        if status:
            self._refused[str(status)] += 1
            await _refuse(status, send)
            return
        await self._app(scope, receive, send)

    async def _websocket(self, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        if not status:
            await self._app(scope, receive, send)
            return
        self._refused[str(status)] += 1
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": ERRORS[status][0]})  # before accept: HTTP 403

    def _judge(self, scope: Scope) -> int:
        """HTTP status of the refusal, 0 = welcome."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not self._known_host(hosts[0], scope):
            return 421
        path = scope["path"]
        if not (path in self._pages or path in EXACT or path.startswith(PREFIXES)) or "\x00" in path:
            return 404
        if not self._may(scope, hosts[0]):
            return 403
        return _length_trouble(scope)

    def _known_host(self, host: str, scope: Scope) -> bool:
        name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
        if host in self._hosts or name in self._hosts:
            return True
        ours = str((scope.get("server") or ("", ""))[1])
        return name in LOOPBACK_NAMES and (port == ours or (port == "" and ours == "80"))

    def _may(self, scope: Scope, host: str) -> bool:
        """Whether this request comes from ourselves, an allowed origin, or a program that is no browser."""
        origins, site = _values(scope, b"origin"), _values(scope, b"sec-fetch-site")
        own = {f"http://{host}", f"https://{host}"} | self._origins
        if scope["type"] == "websocket":
            return len(origins) == 1 and origins[0] in own
        if scope["method"] in ("GET", "HEAD"):
            return site in ([], ["same-origin"], ["none"]) or self._is_visit(scope) or (len(origins) == 1 and origins[0] in self._origins)
        if origins:
            return len(origins) == 1 and origins[0] in own
        fetch = [name for name, _ in scope["headers"] if name.startswith(b"sec-fetch-")]
        return not fetch or site == ["same-origin"]

    def _is_visit(self, scope: Scope) -> bool:
        """Following a link on another site to one of our pages: shows, and lets the other site read nothing."""
        page = scope["path"] in self._pages or scope["path"] == "/docs"
        return page and _values(scope, b"sec-fetch-mode") == ["navigate"] and _values(scope, b"sec-fetch-dest") == ["document"]

    def _dressed(self, scope: Scope, send: Send) -> Send:
        """``send`` that adds our headers to the start of the answer."""
        policy = self._policy(scope["path"]).encode("latin-1")

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                mine = [*HEADERS, (b"content-security-policy", policy)]
                taken = {name.lower() for name, _ in message["headers"]}
                if b"cache-control" not in taken:
                    mine.append((b"cache-control", b"no-store" if scope["path"].startswith("/api/") else b"no-cache"))
                message = {**message, "headers": [*message["headers"], *mine]}
            await send(message)

        return dressed


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").lower() for key, value in scope["headers"] if key == name]


def _length_trouble(scope: Scope) -> int:
    lengths = _values(scope, b"content-length")
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
        return 400
    return 413 if int(lengths[0]) > MAX_BODY else 0


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, None when it is larger than MAX_BODY; chunked bodies do not tell their length beforehand."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(status: int, send: Send) -> None:
    error, hint = ERRORS[status]
    body = orjson.dumps({"error": error, "hint": hint})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
