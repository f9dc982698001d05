"""The Live page: what pays now (cards, table), where (matrix, prices by venue) and why (event tape).

``layout`` is the page without data, ``draw`` fills it for the first paint; the scripts ``assets/3*.js`` keep it current.
"""

from __future__ import annotations

from typing import Any

from dash import Dash, dcc, html
from dash.development.base_component import Component

from dope import format as fmt
from dope.board import Board, Snapshot
from dope.dashboard.grid import opportunities_grid
from dope.dashboard.parts import action, attrs, icon, skeleton

TITLE, ID, PATH, ICON = "Live", "live", "/", "broadcast"
REPLAYS = True

#: id, label, unit, what it says while there is nothing to show, tip (at most 20 words, with its formula)
CARDS = (
    ("best", "Best net now", "bps", "waiting for two live books", "net = sell proceeds ÷ buy cost − 1, both taker fees included"),
    ("total", "Opportunities", "", "none seen yet", "Openings counted since start: net at or above the threshold with both books live"),
    ("avg", "Average profit", "%", "needs one closed", "Mean profit after fees, percent of the buy cost, all opportunities since start"),
    ("max", "Maximum profit", "%", "needs one closed", "Largest profit after fees, in percent of the buy cost, since start"),
    ("recent", "Last 5 min", "", "none in 5 min", "Opportunities opened in the last five minutes"),
    ("open", "Open now", "routes", "needs one closed", "Routes that pay now; beside it how long closed ones lived (median, p90)"),
    ("fleet", "Venues live", "", "connecting", "Venues connected with confirmed books; beside it the first that is not"),
    ("screen", "Event → screen", "ms", "measuring", "From receipt of the newest event to the paint of this browser: median, p99"),
)
EVENT_KINDS = (
    ("opp", "opps"), ("jump", "jumps"), ("burst", "bursts"), ("whale", "whales"), ("link", "links"), ("venue", "venues"), ("book", "books"),
    ("model", "model"), ("system", "system"),
)  # fmt: skip
VALUES = (("net", "Net"), ("gross", "Gross"), ("z", "z"))
MARKS = (("jump", "▲▼ jumps"), ("burst", "◆◇ bursts"))  #: what may be marked on the lines of the chart
SPANS = (("60", "1m"), ("240", "4m"), ("900", "15m"))


def layout() -> Component:
    """The page without data: cards say "–" and why, blocks show their skeletons."""
    return html.Div(
        [
            html.Div([_card(*card) for card in CARDS], className="kpis", **attrs({"data-test": "cards"})),
            html.Div([_opportunities(), _matrix()], className="row1"),
            html.Div([_chart(), _tape()], className="row2"),
        ],
        className="live",
    )


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Card values as they stand. Pure: reads the snapshot, changes nothing."""
    cards, venues = snapshot.data.get("cards") or {}, snapshot.data.get("venues") or []
    if not cards and not venues:
        return {}
    best = cards.get("best") or {}
    live = sum(venue["state"] == "live" for venue in venues)
    values = {
        "best": fmt.bps(best.get("net_bps")), "total": fmt.number(cards.get("total")), "recent": fmt.number(cards.get("recent_5m")),
        "avg": fmt.signed(cards.get("avg_pct"), 3), "max": fmt.signed(cards.get("max_pct"), 3),
        "open": fmt.number(cards.get("open")), "fleet": f"{live} / {len(venues)}",
    }  # fmt: skip
    drawn: dict[str, Any] = {f"card-{name}-v": value for name, value in values.items()}
    if best:
        drawn["card-best-d"] = f"{best['symbol']} · {best['buy_venue']} → {best['sell_venue']} · {fmt.money(best['net'], best['quote'])}"
    return drawn


def register(app: Dash, board: Board) -> None:
    """Nothing: this page is kept current by the live stream alone."""


def _card(name: str, label: str, unit: str, empty: str, tip: str) -> Component:
    value = html.Span(fmt.UNKNOWN, id=f"card-{name}-v", **attrs({"data-test": f"card-{name}"}))
    return html.Div(
        [
            html.Div([html.Span(label), html.Span("?", className="tip", title=tip, **attrs({"aria-label": tip}))], className="l"),
            html.Div([value, html.Small(unit)], className="v"),
            html.Div(empty, id=f"card-{name}-d", className="d", **attrs({"data-empty": empty})),
            html.Div(id=f"card-{name}-s", className="spark"),
        ],
        id=f"card-{name}", className="card kpi", **attrs({"data-act": f"card-{name}", "data-test": f"card-{name}-box"}),
    )


def _head(title: str, note: str, controls: list[Any], *, name: str) -> Component:
    return html.Div(
        [html.H2(title, id=f"{name}-title"), html.Span(note, className="n", id=f"{name}-note"), html.Div(controls, className="r")],
        className="hd",
    )


def _opportunities() -> Component:
    controls = [
        html.Div(id="grid-controls", className="controls"),
        action([icon("eye-slash"), "hide stale"], "hide-stale", label="Hide rows of books that are not proven current", css="chip"),
        action([icon("sliders"), "filters"], "filters", label="More filters: net at most, executable size", css="chip"),
        action([icon("layers"), "views"], "views", label="Saved views: these filters under a name", css="chip"),
        action([icon("layout-three-columns")], "columns", label="Choose columns", css="chip"),
        action([icon("download"), "Export"], "export", label="Export (E)", css="chip"),
    ]
    return html.Section(
        [
            _head("Opportunities", "", controls, name="opps"),
            html.Div(
                [
                    opportunities_grid(),
                    skeleton(6, "opps-empty"),
                    html.Div(id="filters-pop", className="pop", hidden=True, **attrs({"data-test": "filters-pop"})),
                    html.Div(id="views-pop", className="pop", hidden=True, **attrs({"data-test": "views-pop"})),
                    html.Div(id="columns-pop", className="pop", hidden=True, **attrs({"data-test": "columns-pop"})),
                ],
                className="gwrap",
            ),
        ],
        id="opps", className="card dimmable", **attrs({"aria-labelledby": "opps-title", "data-test": "opps"}),
    )


def _segment(name: str, options: tuple[tuple[str, str], ...], label: str) -> Component:
    buttons = [
        html.Button(text, type="button", **attrs({"data-act": name, "data-value": value, "data-test": f"{name}-{value}"}))
        for value, text in options
    ]
    return html.Div(buttons, id=name, className="seg", role="group", **attrs({"aria-label": label}))


def _matrix() -> Component:
    canvas = html.Canvas(id="matrix-canvas", **attrs({"data-test": "matrix-canvas", "aria-hidden": "true"}))
    return html.Section(
        [
            _head("Net spread matrix", "row buys, column sells", [_segment("matrix-mode", VALUES, "Value")], name="matrix"),
            html.Div(
                [
                    html.Div(canvas, id="matrix-wrap", className="canvas-wrap"),
                    skeleton(4, "matrix-empty"),
                    html.Div(id="matrix-table", className="visually-hidden", **attrs({"data-test": "matrix-table"})),
                    html.Div(id="matrix-tip", className="pop hover-tip", hidden=True),
                ],
                className="matrix-body",
            ),
            html.Div(
                [html.Span("−wall"), html.Span(className="bar"), html.Span("+10 bps"), html.Span(id="matrix-size", className="mut"),
                 html.Span("hatched = same venue", className="r")],
                className="leg",
            ),
        ],
        id="matrix", className="card dimmable", **attrs({"aria-labelledby": "matrix-title", "data-test": "matrix"}),
    )


def _chart() -> Component:
    figure = {
        "data": [],
        "layout": {
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font": {"family": "Inter", "color": "#8090A6", "size": 11},
            "margin": {"l": 48, "r": 110, "t": 10, "b": 26}, "xaxis": {"visible": False}, "yaxis": {"visible": False},
        },
    }
    config: Any = {"displayModeBar": False, "responsive": True, "doubleClick": False, "displaylogo": False}
    legend = [
        html.Button(text, type="button", className="chip",
                    **attrs({"data-act": "chart-mark", "data-value": kind, "data-test": f"mark-{kind}"}))
        for kind, text in MARKS
    ]
    controls = [
        html.Div(legend, id="chart-marks", className="controls", role="group", **attrs({"aria-label": "Marks"})),
        _segment("chart-mode", (("dev", "Deviation"), ("px", "Price")), "Value"), _segment("chart-span", SPANS, "Time range"),
    ]  # fmt: skip
    return html.Section(
        [
            _head("Price by venue", "", controls, name="chart"),
            html.Div(
                [
                    dcc.Graph(id="chart-graph", figure=figure, config=config, responsive=True, className="plot"),
                    skeleton(4, "chart-empty"),
                ],
                className="plot-wrap",
            ),
        ],
        id="chart", className="card dimmable", **attrs({"aria-labelledby": "chart-title", "data-test": "chart"}),
    )


def _tape() -> Component:
    def chip(kind: str, text: str) -> Component:
        names = attrs({"data-act": "tape-kind", "data-value": kind, "data-test": f"tape-{kind}"})
        return html.Button(text, type="button", className="chip", **names)

    chips = [chip(*kind) for kind in EVENT_KINDS]
    return html.Section(
        [
            _head("Event tape", "", [html.Div(chips, id="tape-kinds", className="controls")], name="tape"),
            html.Div(
                [skeleton(4, "tape-empty"), html.Ul(id="tape-rows")],
                id="tape-body", className="tape", tabIndex="0", role="log", **attrs({"aria-live": "off", "aria-labelledby": "tape-title"}),
            ),
        ],
        id="tape", className="card dimmable", **attrs({"data-test": "tape"}),
    )
