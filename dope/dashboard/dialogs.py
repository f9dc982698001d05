"""Dialogs of the frame: first-run tour, help, jump box, export, inspector. Empty shells; scripts fill what moves."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component

from dope.dashboard.parts import attrs, icon

KEYS = (
    ("Space", "freeze or resume the screen"), ("/", "jump to an asset, venue or page"), ("1 … 9  0", "pages, 0 = the tenth: Settings"),
    ("F", "filter the table"), ("J  K", "next, previous opportunity"), ("Enter", "inspect the opportunity"),
    ("Esc", "close"), ("E", "export"), (",  .", "in a replay: one event back, one on"),
    ("R", "retrain the spread model"), ("L", "copy a link to this view"), ("[  ]", "shorter, longer chart"), ("?", "this help"),
)
TERMS = (
    ("net", "sell proceeds ÷ buy cost − 1, after both taker fees and the depth walked"),
    ("spread", "gross: what the two books differ by at that size, before fees"),
    ("wall", "the two taker fees that a route must beat"),
    ("quote age", "time since anything proved the older of the two books current"),
    ("stale", "a book that is not proven current; never counted as an opportunity"),
    ("scenario", "what the simulated market plays; its banner has the menu"),
    ("event → screen", "from the receipt of the newest event to the paint of this browser"),
)
TOUR = (
    ("1", "Top bar = can I trust it?", "● ok ▲ slow ■ down. Dimmed numbers are stale."),
    ("2", "Table = what pays now", "Profit after fees, for a size that the books really hold."),
    ("3", "Matrix = where it pays", "Row buys, column sells. Blue pays, orange costs; Settings has other colours."),
    ("4", "Tape = why it moved", "Openings, closings and outages, in order."),
)
FORMATS = (("csv", "CSV"), ("parquet", "Parquet"), ("json", "JSON"))


def dialogs() -> list[Component]:
    """All dialogs, closed."""
    return [_tour(), _help(), _jump(), _export(), _inspector()]


def _close(name: str) -> Component:
    names = attrs({"data-act": "close", "data-test": f"{name}-close", "aria-label": "Close"})
    return html.Button(icon("x-lg"), type="button", className="ib x", title="Close (Esc)", **names)


def _box(name: str, title: str, children: list[Any], *, css: str = "") -> Component:
    return html.Dialog(
        [html.Div([html.H2(title, id=f"{name}-title"), _close(name)], className="dlg-hd"), html.Div(children, className="dlg-body")],
        id=name, className=f"dlg {css}", **attrs({"data-test": name, "aria-labelledby": f"{name}-title"}),
    )


def _tour() -> Component:
    cards = [html.Li([html.Span(number, className="k"), html.Div([html.B(head), html.Span(text)])]) for number, head, text in TOUR]
    return html.Dialog(
        [
            html.H3("DOPE watches one price at several venues at once.", id="tour-title"),
            html.P("When buying at one and selling at another pays after fees, you see it here.", className="mut"),
            html.Ol(cards),
            html.Div(
                [
                    html.Button("Show me", type="button", className="btn2 pri", **attrs({"data-act": "close", "data-test": "tour-close"})),
                    html.Span([html.Kbd("?"), " help · ", html.Kbd("Space"), " freezes the screen"], className="mut r"),
                ],
                className="row-end",
            ),
        ],
        id="tour", className="dlg tour", **attrs({"data-test": "tour", "aria-labelledby": "tour-title"}),
    )


def _help() -> Component:
    keys = [item for key, text in KEYS for item in (html.Dt([html.Kbd(part) for part in key.split("  ")]), html.Dd(text))]
    terms = [item for term, text in TERMS for item in (html.Dt(term), html.Dd(text))]
    tour = html.Button("Show the tour", type="button", className="btn2", **attrs({"data-act": "tour"}))
    body = [html.Div([html.Div([html.H3("Keys"), html.Dl(keys)]), html.Div([html.H3("Words"), html.Dl(terms), tour])], className="two-col")]
    return _box("help", "Help", body)


def _jump() -> Component:
    return html.Dialog(
        [
            html.Div(id="jump-holder", className="jump-holder"),
            html.Ul(id="jump-list", className="jump-list", role="listbox"),
        ],
        id="jump", className="dlg jump", **attrs({"data-test": "jump", "aria-label": "Jump to"}),
    )


def _export() -> Component:
    body = [
        html.P("Raw numbers, ISO 8601 times in UTC, ASCII minus: opens as numbers in any spreadsheet.", className="mut"),
        html.Div(id="export-what", className="choices"),
        html.Div(
            [
                html.A([icon("download"), label], id=f"export-{kind}", href=f"/api/v1/export/opportunities.{kind}",
                       className="btn2", download="", **attrs({"data-test": f"export-{kind}"}))
                for kind, label in FORMATS
            ],
            className="row-end start",
        ),
    ]
    return _box("export", "Export opportunities", body)


def _inspector() -> Component:
    return html.Aside(
        [html.Div([html.H2("Opportunity", id="inspector-title"), _close("inspector")], className="dlg-hd"),
         html.Div(id="inspector-body", className="dlg-body")],
        id="inspector", className="drawer", hidden=True, **attrs({"data-test": "inspector", "aria-labelledby": "inspector-title"}),
    )
