"""Who may do what: two tokens (read, operate), shown in the Authorization header or exchanged once for a session cookie.

Never in the address, which ends up in logs and histories. A wrong token counts against its address; after ten in a minute
no token from there is looked at for a while, right or wrong, so that guessing gains nothing. Sessions go on meanwhile.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple

from starlette.types import Scope

from dope.api.rates import READING_POSTS, Limit, Rates
from dope.settings import Settings

WRONG_TRIES = Limit(per_s=10 / 60, burst=10)  #: wrong tokens of one address
COOKIE = "dope_session"
SESSION_S = 12 * 3600.0  #: s that a signed-in browser stays so
MAX_SESSIONS = 1000  #: the oldest gives way
SESSION_BYTES = 32
BEARER = re.compile(r"bearer +([!-~]+)", re.IGNORECASE)
PUBLIC = frozenset({"/health", "/ready", "/sign-in", "/sign-out"})  #: for supervisors, and the way in
OPERATORS_ONLY = frozenset({"/api/v1/audit"})  #: reads that tell who did what from where
#: ours: they count their clients, and take a token as first message
STREAMS = re.compile(r"/ws/(v1/live|v1/replay/[0-9]{1,16}|ticker/[A-Za-z0-9\-]{1,64}|[a-z0-9_]{1,32})")


class Access(IntEnum):
    """What a request may do; each level contains the one below."""

    NOTHING = 0
    READ = 1
    OPERATE = 2


class Verdict(NamedTuple):
    """``status`` 0 = welcome with ``access``; 429 comes with the seconds to wait."""

    status: int
    access: Access = Access.NOTHING
    wait_s: int = 0
    wrong: bool = False  #: a token was shown, and it is none of ours


class Tokens:
    """Belongs to the web server's event loop, but for ``of_session``. ``clock_ns`` never falls."""

    def __init__(self, settings: Settings, clock_ns: Callable[[], int]) -> None:
        self._digests = {
            access: sha256(secret.get_secret_value().encode()).digest()
            for access, secret in ((Access.OPERATE, settings.api_token), (Access.READ, settings.read_token))
            if secret.get_secret_value()
        }
        self._clock_ns = clock_ns
        self._wrong = Rates({"tokens": WRONG_TRIES}, clock_ns)
        self._sessions: OrderedDict[str, tuple[Access, int]] = OrderedDict()

    @property
    def any(self) -> bool:
        """Whether there is anything to sign in with."""
        return bool(self._digests)

    def needed(self, method: str, path: str) -> Access:
        """What a request must show: nothing where no token of that kind is set."""
        if path in PUBLIC:
            return Access.NOTHING
        if path in OPERATORS_ONLY:
            return Access.OPERATE if Access.OPERATE in self._digests else Access.NOTHING
        reads = method in ("GET", "HEAD", "OPTIONS") or path in READING_POSTS
        need = Access.READ if reads else Access.OPERATE
        return need if need in self._digests else Access.NOTHING

    def judge(self, scope: Scope) -> Verdict:
        """Whether this request may pass."""
        path, method = scope["path"], scope.get("method", "GET")
        if not self._digests or path in PUBLIC:
            return Verdict(0, Access.NOTHING if self._digests else Access.OPERATE)
        need = self.needed(method, path)
        shown = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        if shown:
            bearer = BEARER.fullmatch(shown[0].strip()) if len(shown) == 1 else None
            verdict = self.of_token(bearer[1] if bearer else "", address_of(scope))
            if verdict.status:
                return verdict
            access = verdict.access
        else:
            access = self.of_session(cookie_of(scope))
        if access >= need:
            return Verdict(0, access)
        if scope["type"] == "websocket" and access is Access.NOTHING and STREAMS.fullmatch(path):
            return Verdict(0, access)
        return Verdict(403 if access else 401, access)

    def of_token(self, token: str, address: str) -> Verdict:
        """What ``token`` allows; 401 when it is wrong, 429 when too many were wrong."""
        if wait := self._wrong.wait(address, "tokens"):
            return Verdict(429, wait_s=wait)
        digest = sha256(token.encode()).digest()
        fits = [access for access, known in self._digests.items() if hmac.compare_digest(digest, known)]
        if fits:
            return Verdict(0, fits[0])
        self._wrong.take(address, "tokens")
        return Verdict(401, wrong=True)

    def open_session(self, access: Access) -> str:
        """The name of a new session, for a cookie."""
        name = secrets.token_urlsafe(SESSION_BYTES)
        self._sessions[_hidden(name)] = (access, self._clock_ns() + int(SESSION_S * 1e9))
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return name

    def of_session(self, name: str) -> Access:
        """What a session allows; one that is unknown or over allows nothing, and is no wrong try."""
        access, until = self._sessions.get(_hidden(name), (Access.NOTHING, 0))
        return access if self._clock_ns() < until else Access.NOTHING

    def close_session(self, name: str) -> None:
        """Forget it."""
        self._sessions.pop(_hidden(name), None)


def _hidden(name: str) -> str:
    """Sessions are found by a digest, so that no comparison of the name itself can be timed."""
    return sha256(name.encode("latin-1", "replace")).hexdigest()


def address_of(scope: Scope) -> str:
    """The peer's address; what a proxy says about others is not believed."""
    return str((scope.get("client") or ("",))[0])


def cookie_of(scope: Scope) -> str:
    """The session cookie, "" without one."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, content = part.strip().partition("=")
                if key == COOKIE:
                    return str(content)
    return ""


def challenge(verdict: Verdict) -> Mapping[str, str]:
    """The headers of a refusal."""
    if verdict.wait_s:
        return {"Retry-After": str(verdict.wait_s)}
    why = ', error="insufficient_scope", scope="operate"' if verdict.status == 403 else ', error="invalid_token"' if verdict.wrong else ""
    return {"WWW-Authenticate": f'Bearer realm="dope"{why}'}
