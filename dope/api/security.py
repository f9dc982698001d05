"""The door: which Host, Origin, path, token, rate and body size a request may have, and the headers that every answer carries.

A page of another site can reach a server on 127.0.0.1 through the visitor's browser (DNS rebinding, cross-site
WebSockets, form posts); Dash by itself answers all of these. Programs that are no browser send neither ``Origin`` nor
``Sec-Fetch-*``: they may read, write if they show what no foreign page can send (a token, or a body declared as JSON),
and open a stream with a token; any other WebSocket needs an ``Origin`` of ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dope.api.rates import Rates, kind_of
from dope.api.sign_in import page as sign_in_page
from dope.api.tokens import STREAMS, Tokens, Verdict, address_of, challenge
from dope.errors import SettingsError
from dope.settings import Settings

MAX_BODY = 64 * 1024  #: bytes of a request body
MAX_STRANGE_STREAMS = 64  #: WebSockets other than ours (the dashboard library's) at once
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
OPERATION = ("/health", "/ready", "/metrics", "/docs", "/openapi.json")
DASH = ("/_dash-layout", "/_dash-dependencies", "/_dash-update-component", "/_dash-ws-callback", "/_reload-hash", "/_favicon.ico")
ENTRANCE = ("/sign-in", "/sign-out")
EXACT = frozenset((*OPERATION, *DASH, *ENTRANCE))
STREAMED = "/ws/"
PREFIXES = ("/api/v1/", STREAMED, "/assets/", "/docs/files/", "/_dash-component-suites/")
NAME = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}")
#: what no answer of ours may do, whatever else its policy allows
CLOSED = "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
DATA_POLICY = f"default-src 'none'; {CLOSED}"  #: of every answer that is no page: opened as a document it can load and run nothing
FEATURES = ("camera", "microphone", "geolocation", "payment", "usb", "serial", "midi", "display-capture", "browsing-topics")
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{feature}=()" for feature in FEATURES).encode()),
)
CORS_METHODS, CORS_HEADERS = b"GET, POST, PUT, DELETE", b"authorization, content-type"  #: what pages of allowed origins may use
CORS_SHOWN = b"Content-Disposition, Retry-After, WWW-Authenticate, X-Dope-Meta, X-Dope-Rows"
CORS_AGE_S = b"600"
ERRORS = {
    400: ("this request is malformed", "send Content-Length as a number"),
    403: ("requests from other sites are refused", "open the dashboard at its own address, or list yours in DOPE_ALLOWED_ORIGINS"),
    401: ("a token is needed here", "send Authorization: Bearer …, or sign in at /sign-in"),
    404: ("there is nothing at this address", "the API is described at /docs"),
    413: (f"request bodies may have at most {MAX_BODY} bytes", ""),
    421: ("this Host name is not ours", "use 127.0.0.1 or localhost with our port, or list yours in DOPE_ALLOWED_HOSTS"),
    429: ("too many requests from this address", "wait as long as Retry-After says"),
}
READ_ONLY = ("this token may only read", "use the token that may operate")
WRONG_TOKENS = ("too many wrong tokens from this address", "wait as long as Retry-After says")


def is_name(text: str) -> bool:
    """Whether ``text`` may be a symbol or an asset: ``fullmatch``, because ``$`` would let a trailing newline pass."""
    return NAME.fullmatch(text) is not None


def check_bind(settings: Settings) -> None:
    """Refuse to serve strangers by accident: beyond loopback only with a token and an explicit list of Host names."""
    if _is_loopback(settings.host):
        return
    missing = []
    if not settings.api_token.get_secret_value():
        missing.append("DOPE_API_TOKEN (16 characters or more; DOPE_READ_TOKEN too if not everybody may read)")
    if not settings.allowed_hosts:
        missing.append("DOPE_ALLOWED_HOSTS to its names")
    if missing:
        raise SettingsError(f"host {settings.host!r} can be reached from other machines: set {' and '.join(missing)}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Door:
    """ASGI middleware, outermost. ``pages`` are the dashboard's paths; ``policy`` makes the Content-Security-Policy of one path."""

    def __init__(
        self, app: ASGIApp, settings: Settings, pages: Iterable[str], policy: Callable[[str], str], refused: Counter[str],
        *, tokens: Tokens, rates: Rates,
    ) -> None:  # fmt: skip
        self._app = app
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._origins = frozenset(settings.origins)
        self._pages = frozenset(pages)
        self._policy = policy
        self._refused = refused
        self._tokens, self._rates = tokens, rates
        self._strange_streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        status = self._judge(scope)
        if scope["type"] == "websocket":
            await self._websocket(status, scope, receive, send)
            return
        send = self._dressed(scope, send)
        if not status and self._is_preflight(scope):
            await _preflight(send)
            return
        if not status and await self._stopped(scope, receive, send):
            return
        if not status and scope["method"] not in ("GET", "HEAD"):
            body = await _read_body(receive)
            status = 413 if body is None else 0
            receive = _replay(body or b"", receive)
        if status:
            await self._refuse(status, send)
            return
        await self._app(scope, receive, send)

    async def _websocket(self, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        if not status:
            verdict = self._tokens.judge(scope)
            scope["dope.access"], status = verdict.access, verdict.status
        if not status and STREAMS.fullmatch(scope["path"]) is None and self._strange_streams >= MAX_STRANGE_STREAMS:
            status, verdict = 503, Verdict(503, wait_s=10)
        if not status:
            await self._stream(scope, receive, send)
            return
        self._refused[str(status)] += 1
        await receive()
        if status in (401, 429, 503):
            headers = [(name.lower().encode(), value.encode()) for name, value in challenge(verdict).items()]
            await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await send({"type": "websocket.close", "code": 1008, "reason": ERRORS[status][0]})  # before accept: HTTP 403

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        strange = STREAMS.fullmatch(scope["path"]) is None
        self._strange_streams += strange
        try:
            await self._app(scope, receive, send)
        finally:
            self._strange_streams -= strange

    async def _stopped(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Refuse who comes too often or without the right token; False = may go on."""
        kind = kind_of(scope["method"], scope["path"])
        if kind is not None and (wait := self._rates.take(address_of(scope), kind)):
            await self._refuse(429, send, headers={"Retry-After": str(wait)})
            return True
        verdict = self._tokens.judge(scope)
        scope["dope.access"] = verdict.access
        if not verdict.status:
            return False
        if scope["method"] == "GET" and (scope["path"] in self._pages or scope["path"] == "/docs") and verdict.status == 401:
            self._refused["401"] += 1
            answer = sign_in_page(401, to=scope["path"])
            answer.headers.update(challenge(verdict))
            await answer(scope, receive, send)
            return True
        words = {403: READ_ONLY, 429: WRONG_TOKENS}.get(verdict.status)
        await self._refuse(verdict.status, send, words=words, headers=challenge(verdict))
        return True

    async def _refuse(
        self, status: int, send: Send, *, words: tuple[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> None:  # fmt: skip
        self._refused[str(status)] += 1
        error, hint = words or ERRORS[status]
        body = orjson.dumps({"error": error, "hint": hint})
        lines = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        lines += [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": body})

    def _judge(self, scope: Scope) -> int:
        """HTTP status of the refusal, 0 = welcome."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not self._known_host(hosts[0], scope):
            return 421
        path = scope["path"]
        if not (path in self._pages or path in EXACT or path.startswith(PREFIXES)) or "\x00" in path:
            return 404
        if path.startswith(STREAMED) and scope["type"] != "websocket":
            return 404  # the dashboard library would answer with a page
        if not self._may(scope, hosts[0]):
            return 403
        return _length_trouble(scope)

    def _known_host(self, host: str, scope: Scope) -> bool:
        name, _, port = host.rpartition(":") if re.fullmatch(r".*:[0-9]+", host) else (host, "", "")
        if host in self._hosts or name in self._hosts:
            return True
        ours = str((scope.get("server") or ("", ""))[1])
        return name in LOOPBACK_NAMES and (port == ours or (port == "" and ours == "80"))

    def _may(self, scope: Scope, host: str) -> bool:
        """Whether this request comes from ourselves, an allowed origin, or a program that is no browser."""
        origins, site = _values(scope, b"origin"), _values(scope, b"sec-fetch-site")
        own = {f"http://{host}", f"https://{host}"} | self._origins
        if origins:
            return len(origins) == 1 and origins[0] in own
        if scope["type"] == "websocket":
            return self._shows_token(scope)
        if scope["method"] in ("GET", "HEAD"):
            return site in ([], ["same-origin"], ["none"]) or self._is_visit(scope)
        fetch = [name for name, _ in scope["headers"] if name.startswith(b"sec-fetch-")]
        if fetch:
            return site == ["same-origin"]
        json = _values(scope, b"content-type")[:1] and _values(scope, b"content-type")[0].partition(";")[0].strip() == "application/json"
        return scope["method"] != "POST" or self._shows_token(scope) or (bool(json) and scope["path"].startswith("/api/"))

    def _shows_token(self, scope: Scope) -> bool:
        """No page can add this header to a request to another site unless that site allows it beforehand."""
        return self._tokens.any and bool(_values(scope, b"authorization"))

    def _is_preflight(self, scope: Scope) -> bool:
        origin = _values(scope, b"origin")
        asks = scope["method"] == "OPTIONS" and _values(scope, b"access-control-request-method")
        return bool(asks) and len(origin) == 1 and origin[0] in self._origins

    def _is_visit(self, scope: Scope) -> bool:
        """Following a link on another site to one of our pages: shows, and lets the other site read nothing."""
        page = scope["path"] in self._pages or scope["path"] == "/docs"
        return page and _values(scope, b"sec-fetch-mode") == ["navigate"] and _values(scope, b"sec-fetch-dest") == ["document"]

    def _dressed(self, scope: Scope, send: Send) -> Send:
        """``send`` that adds our headers to the start of the answer."""
        policy = self._policy(scope["path"]).encode("latin-1")
        shared = self._shared(scope)

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                mine = [*HEADERS, *shared]
                taken = {name.lower() for name, _ in message["headers"]}
                if b"content-security-policy" not in taken:
                    mine.append((b"content-security-policy", policy))
                if b"cache-control" not in taken:
                    mine.append((b"cache-control", b"no-store" if scope["path"].startswith("/api/") else b"no-cache"))
                message = {**message, "headers": [*message["headers"], *mine]}
            await send(message)

        return dressed

    def _shared(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Lets pages of an allowed origin read the answer; the origin is written from our list."""
        if not self._origins:
            return []
        asked = _values(scope, b"origin")
        mine = [origin for origin in self._origins if [origin] == asked]
        shared = [(b"access-control-allow-origin", mine[0].encode()), (b"access-control-expose-headers", CORS_SHOWN)] if mine else []
        return [*shared, (b"vary", b"Origin")]


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


async def _preflight(send: Send) -> None:
    """What a page of an allowed origin may send; which origin that is, the dressing adds."""
    allowed = [(b"access-control-allow-methods", CORS_METHODS), (b"access-control-allow-headers", CORS_HEADERS)]
    await send({"type": "http.response.start", "status": 204, "headers": [*allowed, (b"access-control-max-age", CORS_AGE_S)]})
    await send({"type": "http.response.body", "body": b""})
