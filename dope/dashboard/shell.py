"""The frame around every page: top bar, rail, banners, status bar, dialogs. Scripts address its parts by id and by
``data-act`` (what a click on it does)."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dope import format as fmt
from dope.board import Snapshot
from dope.dashboard.dialogs import dialogs
from dope.dashboard.parts import action, attrs, icon

DISCLAIMER = "Monitoring tool, not advice. Verify before you trade."
#: what is not here is down
GLYPHS = {"live": ("ok", "●"), "rest": ("slow", "▲"), "degraded": ("slow", "▲"), "connecting": ("slow", "◌"), "halted": ("slow", "▲")}
WORDS = {"rest": "by REST"}


def layout(pages: Sequence[ModuleType], *, signed_in: bool = False) -> Component:
    """The whole frame with every page in it; scripts show the one that the address names. ``signed_in``: there is a way out."""
    holders = [_holder(page) for page in pages]
    return html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Interval(id="poll", interval=1000, disabled=True),
            html.A("Skip to content", href="#main", className="skip"),
            _top(signed_in),
            _rail(pages),
            html.Main([html.Div(id="banners", className="banners", role="alert"), *holders], id="main", className="main", tabIndex="-1"),
            _status(),
            *dialogs(),
            html.Div(id="toasts", className="toasts", role="status"),
            html.Div(id="spoken", className="visually-hidden", **attrs({"aria-live": "polite"})),
        ],
        id="dope-app",
        className="app",
    )


def _holder(page: ModuleType) -> Component:
    """One page; what it says instead while a replay is shown, unless it shows the replay."""
    names = {"data-path": page.PATH, "data-title": page.TITLE}
    if getattr(page, "REPLAYS", False):
        return html.Div(page.layout(), id=f"page-{page.ID}", className="page", **attrs({**names, "data-replays": "1"}))
    text = f"A replay is shown. {page.TITLE} works on the live market, which goes on being watched and recorded meanwhile."
    live = html.Button("Back to live", type="button", className="btn2 pri", **attrs({"data-act": "back-live"}))
    head = html.H3(f"{page.TITLE} is not part of a replay")
    cover = html.Div([icon("rewind-circle"), head, html.P(text), live], className="empty covered")
    return html.Div([page.layout(), cover], id=f"page-{page.ID}", className="page", **attrs(names))


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Mode, market banner and venue pills as they stand, so that the first paint already answers "can I trust it?"."""
    data = snapshot.data
    mode = data.get("mode") or {}
    banner, scenario = mode.get("banner"), mode.get("scenario")
    text = [html.Span(_sentence(banner or "")), html.Small(f"What you should see: {scenario['see']}" if scenario else "")]
    words = {"sim": "SIMULATED", "tape": "REPLAY"}.get(mode.get("source", ""), "CONNECTING")
    return {
        "mode-text": words,
        "venues": [_pill(venue) for venue in data.get("venues") or []],
        "banners": [html.Div([icon("exclamation-triangle"), html.Div(text)], className="banner sim")] if banner else [],
    }


def _sentence(banner: str) -> str:
    return banner if banner.upper().startswith("SIMULATED") else f"SIMULATED MARKET: {banner}"


def _pill(venue: dict[str, Any]) -> Component:
    css, glyph = GLYPHS.get(venue["state"], ("down", "■"))
    delay = venue.get("excess_p50_ms")
    tail = fmt.number(delay) if venue["state"] == "live" else WORDS.get(venue["state"], venue["state"])
    return html.Button(
        [html.Span(glyph, className="g"), html.B(venue["short"]), html.Span(tail, className="ms")],
        type="button", className=f"vp {css}", title=venue["label"],
    )


def _top(signed_in: bool) -> Component:
    # a form of the page, not a script: it works in every state, and the answer leads to the sign-in page
    way_out = html.Form(
        html.Button("Sign out", type="submit", className="btn2", title="End the session of this browser"),
        action="/sign-out", method="post", className="sign-out", **attrs({"data-test": "sign-out"}),
    )  # fmt: skip
    return html.Header(
        [
            html.Div(html.Div(icon("activity"), className="logo"), className="brand"),
            html.H1("DOPE"),
            html.Div(id="assets", className="seg", role="group", **attrs({"aria-label": "Asset", "data-test": "assets"})),
            html.Div(id="kinds", className="seg", role="group", **attrs({"aria-label": "Product kind", "data-test": "kinds"})),
            html.Button(
                [html.Span(className="pulse"), html.Span("CONNECTING", id="mode-text", **attrs({"data-test": "mode"}))],
                type="button", id="mode", className="mode wait", title="Freeze or resume (Space)", **attrs({"data-act": "pause"}),
            ),
            html.Button(
                [icon("broadcast"), html.Span("Back to live")], type="button", className="btn2 pri back-live",
                **attrs({"data-act": "back-live", "data-test": "back-live-top"}),
            ),
            html.Div(id="venues", className="venues", **attrs({"aria-label": "Venues", "data-test": "venues"})),
            html.Button(
                [html.Span(fmt.UNKNOWN, id="clock-text"), html.Small("UTC", id="clock-zone")],
                type="button", className="clock hidem", title="Switch between UTC and local time", **attrs({"data-act": "zone"}),
            ),
            action(icon("search"), "jump", label="Jump to", key="/", css="ib hidem"),
            action(icon("link-45deg"), "link", label="Copy a link to this view", key="L", css="ib hidem"),
            action(icon("question-lg"), "help", label="Help", key="?", css="ib hidem"),
            *([way_out] if signed_in else []),
            html.Div(id="dial-menu", className="pop dial-menu", hidden=True, role="menu",
                     **attrs({"aria-label": "Scenario of the simulated market", "data-test": "dial-menu"})),
            html.Div(id="venue-card", className="pop venue-card", hidden=True, role="dialog", **attrs({"data-test": "venue-card"})),
        ],
        className="top",
    )


def _rail(pages: Sequence[ModuleType]) -> Component:
    links = [
        dcc.Link(
            [icon(page.ICON), html.Span(page.TITLE)], href=page.PATH, id=f"rail-{page.ID}",
            title=f"{page.TITLE} ({number})",
        )
        for number, page in enumerate(pages, start=1)
    ]
    return html.Nav(links, className="rail", **attrs({"aria-label": "Pages"}))


def _status() -> Component:
    def part(name: str, before: str = "", after: str = "") -> Component:
        value = html.B(fmt.UNKNOWN, id=f"st-{name}", **attrs({"data-test": f"st-{name}"}))
        return html.Span([before, value, after], className=f"st st-{name}")

    recording = html.Span(fmt.UNKNOWN, id="st-rec", **attrs({"data-test": "st-rec"}))
    keys = [(key, word) for key, word in (("Space", "freeze"), ("/", "jump"), ("F", "filter"), ("?", "all keys"))]
    return html.Footer(
        [
            part("venues", after=" venues"),
            part("rate", after=" msg/s"),
            part("latency", before="event → screen "),
            part("wire"),
            html.Span([html.Span("●", id="st-rec-dot", className="dot"), " ", recording], className="st st-rec"),
            html.Span(DISCLAIMER, className="disclaimer", **attrs({"data-test": "disclaimer"})),
            html.Span([part for key, word in keys for part in (html.Kbd(key), f" {word} ")], className="keys"),
        ],
        className="foot",
    )
