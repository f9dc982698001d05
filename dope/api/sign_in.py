"""Signing in with a browser: a form that takes a token once and leaves a cookie that scripts cannot read."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from dope.api.tokens import COOKIE, SESSION_S, Access, Tokens, Verdict, address_of, challenge, cookie_of

STYLE = (
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:#0F151E;color:#E6EAF0;font:16px system-ui,sans-serif}"
    "form{width:min(22rem,90vw);display:grid;gap:.75rem}h1{font-size:1.25rem;margin:0}p{margin:0;color:#A9B4C2}p[role]{color:#FF9B8A}"
    "input,button{font:inherit;padding:.6rem .75rem;border-radius:.375rem;border:1px solid #52606F}"
    "input{background:#18212D;color:inherit}button{background:#2F81F7;color:#fff;border-color:transparent;cursor:pointer}"
)
_STYLE_DIGEST = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
SIGN_IN_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAID = {401: "This token is not ours.", 403: "This token may only read.", 429: "Too many wrong tokens. Try again in a minute."}

router = APIRouter()


def page(status: int, said: str = "", to: str = "/") -> HTMLResponse:
    """The form; ``to`` is the page to go on to."""
    note = f'<p role="alert">{escape(said)}</p>' if said else "<p>This dashboard asks for an access token.</p>"
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>DOPE: sign in</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>'
        f'<form method="post" action="/sign-in"><h1>DOPE</h1>{note}<label for="token">Access token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus maxlength="512">'
        f'<input name="to" type="hidden" value="{escape(to)}"><button>Sign in</button></form></body></html>'
    )
    return HTMLResponse(text, status, {"Content-Security-Policy": SIGN_IN_POLICY, "Cache-Control": "no-store"})


@router.get("/sign-in", include_in_schema=False)
async def form(request: Request) -> Response:
    """The empty form."""
    tokens: Tokens = request.app.state.tokens
    return page(200) if tokens.any else RedirectResponse("/", 303)


@router.post("/sign-in", include_in_schema=False)
async def sign_in(request: Request) -> Response:
    """Exchange a token for a session."""
    tokens: Tokens = request.app.state.tokens
    fields = parse_qs((await request.body()).decode("latin-1"), max_num_fields=8)
    to = fields.get("to", ["/"])[0]
    to = to if to in request.app.state.pages else "/"
    verdict = tokens.of_token(fields.get("token", [""])[0].strip(), address_of(request.scope)) if tokens.any else Verdict(0)
    if verdict.status:
        answer = page(verdict.status, SAID[verdict.status], to)
        answer.headers.update(challenge(verdict))
        return answer
    done = RedirectResponse(to, 303)
    if verdict.access is not Access.NOTHING:
        tokens.close_session(cookie_of(request.scope))
        done.set_cookie(
            COOKIE, tokens.open_session(verdict.access), int(SESSION_S), httponly=True, samesite="strict", secure=_is_secure(request)
        )  # fmt: skip
    return done


@router.post("/sign-out", include_in_schema=False)
async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    request.app.state.tokens.close_session(cookie_of(request.scope))
    done = RedirectResponse("/sign-in", 303)
    done.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_secure(request))
    return done


def _is_secure(request: Request) -> bool:
    """Behind a proxy that ends TLS only the browser's own Origin tells that it came by https."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
