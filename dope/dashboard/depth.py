"""The Depth page: liquidity through time, the book as it stands, and what an order of my size costs at each venue.

The scripts ``assets/73-`` to ``75-`` ask ``/api/v1/depth`` once a second while somebody looks: nothing of it travels in the stream.
"""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope.board import Board, Snapshot
from dope.dashboard.blocks import section, table
from dope.dashboard.parts import attrs, skeleton

TITLE, ID, PATH, ICON = "Depth", "depth", "/depth", "layers"

WINDOWS = (("60", "1m"), ("300", "5m"), ("1800", "30m"))
MAPS = (("default", "Colour"), ("grey", "Grey"))
VENUES = (
    ("Venue", ""),
    ("Bid depth ±10 bps", "Base units within 10 bps of the mid; ≥ = the known levels end inside"),
    ("Ask depth ±10 bps", "The same on the other side"),
    ("Imbalance", "(bids − asks) ÷ (bids + asks) of these two"),
    ("Fee", "Taker fee in force, bps"),
    ("Buy my size", "Average price against the mid plus the fee, bps; – = the known levels do not hold it"),
    ("Sell my size", "The same for selling"),
    ("Book", "State, and its confirmed age"),
)
LADDER = (("Price from", "Where the bucket begins"), ("Side", ""), ("Size", "Base units in the bucket"), ("Venues", "That have some of it"))
HELP = (
    "Colour = base units standing in a price bucket; dots = trades of a moment at their average price, the larger the more; line = mid. "
    "Drag moves, wheel zooms, double-click follows again. Keys on the map: arrows, + and −, 0 follows. What no venue tells is dark, too."
)


def layout() -> Component:
    """The page without data."""
    return html.Div(
        [
            html.P(id="depth-trouble", className="oops", hidden=True, role="alert", **attrs({"data-test": "depth-trouble"})),
            html.Div([_heat(), _book()], className="depth-row"),
            section(
                "depth-venues", "Depth by venue", "what your size really costs", [table("depth-costs", VENUES, "Depth and cost by venue")],
                controls=[html.Div(id="depth-order-holder")], css="depth-costs",
            ),
        ],
        className="stack",
    )  # fmt: skip


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing: the API brings everything. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """Nothing: nobody can change anything here."""


def _button(act: str, value: str, text: str) -> Component:
    names = {"data-act": act, "data-value": value, "data-test": f"{act}-{value}", "aria-pressed": "false"}
    return html.Button(text, type="button", **attrs(names))


def _heat() -> Component:
    def select(name: str, label: str) -> Component:
        return html.Select(id=f"depth-{name}", className="sel", **attrs({"data-test": f"depth-{name}", "aria-label": label}))

    windows = html.Div([_button("depth-window", *each) for each in WINDOWS], id="depth-window", className="seg", role="group",
                       **attrs({"aria-label": "Time range"}))  # fmt: skip
    contrast = html.Button(
        ["contrast ", html.B("–", id="depth-contrast-now")], type="button", className="chip",
        title="Cut-offs and colours", **attrs({"data-act": "depth-contrast", "data-test": "depth-contrast", "aria-haspopup": "true"}),
    )  # fmt: skip
    follow = html.Button(
        "follow", id="depth-follow", type="button", className="chip on", title="Stay at now and at the mid (0)",
        **attrs({"data-act": "depth-follow", "data-test": "depth-follow", "aria-pressed": "true"}),
    )  # fmt: skip
    step = select("step", "Width of a price bucket")
    controls = [select("symbol", "Market"), html.Div(id="depth-venue-holder"), windows, step, contrast, follow]
    label = "Liquidity through time; the table beside has the newest moment"
    canvas = html.Canvas(
        id="depth-canvas", tabIndex="0", role="img",
        **attrs({"data-test": "depth-canvas", "aria-label": label, "aria-describedby": "depth-help"}),
    )  # fmt: skip
    body = [
        html.Div([canvas, skeleton(6, "depth-empty"), html.P(id="depth-stale", className="depth-stale", hidden=True, role="status")],
                 id="depth-wrap", className="depth-wrap"),
        html.Div(id="depth-tip", className="pop tip-pop", hidden=True),
        html.Div(id="depth-pop", className="pop", hidden=True, role="dialog",
                 **attrs({"aria-label": "Contrast and colours", "data-test": "depth-pop"})),
        html.P(HELP, id="depth-help", className="visually-hidden"),
    ]  # fmt: skip
    made = section("depth-heat", "Liquidity through time", "", body, controls=controls, css="depth-heat")
    made["depth-heat-title"].title = HELP
    return made


def _book() -> Component:
    toggle = html.Button("table", id="depth-table-toggle", type="button", className="chip", title="The newest moment in numbers",
                         **attrs({"data-act": "depth-table", "data-test": "depth-table", "aria-pressed": "false"}))  # fmt: skip
    bars = html.Canvas(id="depth-bars", role="img", **attrs({"aria-label": "Sizes by price bucket, now", "data-test": "depth-bars"}))
    body = [
        html.Div(bars, id="depth-bars-wrap", className="depth-wrap"),
        html.Div(table("depth-ladder", LADDER, "Sizes by price bucket, now"), id="depth-ladder", className="visually-hidden"),
    ]
    return section("depth-book", "Book now", "", body, controls=[toggle], css="depth-book")
