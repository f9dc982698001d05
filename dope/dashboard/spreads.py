"""The Spreads page: every venue against every other, now and at any moment of the last hour, and one pair of them over time.

One tab a subject; ``assets/70-`` to ``72-*.js`` fill them while somebody looks. The address names the tab: ``/spreads?tab=carry``.
"""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope.board import Board, Snapshot
from dope.dashboard.blocks import chart, section, table
from dope.dashboard.parts import action, attrs, icon, skeleton
from dope.dashboard.spread_tabs import carry, market_map, segment, survival, tip, triangles, trouble

TITLE, ID, PATH, ICON = "Spreads", "spreads", "/spreads", "grid-3x3-gap"

TABS = (("matrix", "Matrix"), ("carry", "Carry"), ("triangles", "Triangles"), ("survival", "Survival"), ("map", "Market map"))
VALUES = (("net", "Net"), ("gross", "Gross"), ("z", "z"))
HOURS = (("0.25", "15m"), ("1", "1h"), ("6", "6h"), ("24", "24h"))

PAST = (
    ("Time", "UTC, beginning of the seconds that one row stands for"),
    ("Gross", "Sell bid over buy ask − 1, bps before fees, at the best prices"),
    ("Net", "Gross less the fee wall of now, bps"),
    ("Lowest", "Of gross, bps"),
    ("Highest", "Of gross, bps"),
    ("Mid spread", "How much dearer the selling venue's mid is, bps"),
    ("z", "Mid spread less its mean over the range, in standard deviations"),
)
ACROSS = (
    ("Asset", ""),
    ("Currencies", "What the two markets are quoted in"),
    ("Pairs", "Of live books, both ways"),
    ("Widest", "The two venues that would seem to pay most"),
    ("As if one", "What that would be if the two currencies were one, bps: they are not"),
    ("Why not", "What is missing to compare them"),
)
BINS = (("From", "Gross, bps"), ("To", "Gross, bps"), ("Seconds", "Seconds whose gross lay there"), ("Share", "of all seconds with data"))


def layout() -> Component:
    """The page without data: each tab has its place, one of them is shown."""
    tabs = [
        html.Button(text, type="button", id=f"spreads-tab-{name}", role="tab",
                    **attrs({"data-act": "spreads-tab", "data-value": name, "data-test": f"spreads-tab-{name}",
                             "aria-controls": f"spreads-{name}"}))
        for name, text in TABS
    ]  # fmt: skip
    bodies = {"matrix": _matrix, "carry": carry, "triangles": triangles, "survival": survival, "map": market_map}
    panels = [
        html.Div(bodies[name](), id=f"spreads-{name}", role="tabpanel", className="tabbed",
                 **attrs({"aria-labelledby": f"spreads-tab-{name}"}))
        for name, _ in TABS
    ]  # fmt: skip
    bar = html.Div(tabs, className="seg tabs", id="spreads-tabs", role="tablist", **attrs({"aria-label": "Subject"}))
    return html.Div([bar, *panels], className="stack spreads")


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing: the stream and the API bring everything. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """Nothing: the page's own scripts speak to the API."""


def _matrix() -> Component:
    return html.Div([html.Div([_matrices(), _pair()], className="spread-row"), _across()], className="stack")


def _across() -> Component:
    about = "Prices in two currencies compare through a live market that exchanges them, at the side that is traded; never as if one."
    return section(
        "across", "Not comparable", "", [trouble("across"), table("across", ACROSS, "Pairs in two currencies that cannot be compared")],
        controls=[tip(about)], css="across",
    )  # fmt: skip


def _matrices() -> Component:
    canvas = html.Canvas(
        id="spreads-canvas", tabIndex="0", role="img",
        **attrs({"data-test": "spreads-canvas", "aria-label": "Spread matrices: arrow keys go from cell to cell, Enter shows the pair",
                 "aria-describedby": "spreads-tip"}),
    )  # fmt: skip
    body = html.Div(
        [
            html.Div(canvas, id="spreads-wrap", className="canvas-wrap grown"),
            skeleton(6, "spreads-empty"),
            html.Div(id="spreads-table", className="visually-hidden", **attrs({"data-test": "spreads-table"})),
            html.Div(id="spreads-tip", className="pop hover-tip", hidden=True, **attrs({"data-test": "spreads-tip"})),
        ],
        className="matrix-body", id="spreads-matrices",
    )  # fmt: skip
    legend = html.Div(
        [html.Span("−wall"), html.Span(className="bar"), html.Span("+10 bps"), html.Span(id="spreads-size", className="mut"),
         html.Span("hatched = same venue", className="r")],
        className="leg",
    )  # fmt: skip
    none = html.Div(id="spreads-none", className="blank", hidden=True, **attrs({"data-test": "spreads-none"}))
    about = "Row buys, column sells. Net = gross at my size less the fees of both legs. Colours run from −wall to +10 bps."
    size = html.Label(
        [html.Span("my size"), html.Span(id="spreads-order-holder"), "$"],
        className="chip field", title="Order size in quote currency: what net and gross are reckoned for",
    )  # fmt: skip
    controls = [tip(about), size, segment("spreads-mode", VALUES, "Value")]
    shown = [_slider(), trouble("then"), none, body, legend]
    return section("spreads-card", "Spread matrices", "", shown, controls=controls, css="matrices")


def _slider() -> Component:
    bar = html.Span(id="spreads-back-holder", className="slide")
    now = action("Now", "spreads-now", label="Back to the matrices of now", css="chip on")
    moment = html.Span("now", id="spreads-moment", className="moment", role="status", **attrs({"data-test": "spreads-moment"}))
    return html.Div([html.Span("−1 h", className="mut"), bar, now, moment], className="timeline")


def _pair() -> Component:
    def choice(name: str, word: str) -> Component:
        return html.Label(
            [html.Span(word), html.Select(id=f"pair-{name}", className="sel", **attrs({"data-test": f"pair-{name}", "aria-label": word}))],
            className="legged",
        )  # fmt: skip

    about = "At the best prices and the end of each second. Net = gross less the fee wall; z = mid spread in standard deviations."
    controls = [
        tip(about),
        segment("pair-hours", HOURS, "Horizon"),
        action([icon("filetype-csv"), "CSV"], "pair-csv", label="Export what is shown as CSV, raw numbers", css="chip"),
        action([icon("filetype-json"), "JSON"], "pair-json", label="Export what is shown as JSON, raw numbers", css="chip"),
    ]
    swap = action([icon("arrow-repeat"), "Swap"], "pair-swap", label="Buy where is sold and sell where is bought", css="chip")
    head = html.Div([choice("market", "Market"), choice("buy", "Buy"), choice("sell", "Sell"), swap], className="legs")
    history = html.Div(
        [chart("pair-graph", "Gross or net of the pair over the horizon with its fee line, or the z-score of its mid spread with its band"),
         html.Div(id="pair-legend", className="leg keys-row")],
        className="fill tall",
    )  # fmt: skip
    spread = html.Div(
        [html.Div([chart("pair-bins", "Distribution of gross over the horizon, seconds in each bin")], className="fill low"),
         html.Dl(id="pair-facts", className="facts", **attrs({"data-test": "pair-facts"}))],
        className="pair-lower",
    )  # fmt: skip
    tables = html.Div(
        [
            html.Details([html.Summary("History as a table"), table("pair-past", PAST, "History of the pair")], id="pair-tables"),
            html.Details([html.Summary("Distribution as a table"), table("pair-dist", BINS, "Distribution of gross")]),
        ],
        className="tables",
    )
    return section(
        "pair", "Pair", "", [head, trouble("pair"), history, spread, tables], controls=controls, css="pair-card",
    )  # fmt: skip
