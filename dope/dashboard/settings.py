"""The Settings page: what is watched, by which figures it is judged, which fees count, and how this browser shows it.

``assets/61-watchlist.js``, ``62-settings.js`` and ``64-detectors.js`` fill it; ``15-display.js`` applies what this browser keeps.
"""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope.board import Board, Snapshot
from dope.dashboard.blocks import section, table
from dope.dashboard.parts import attrs

TITLE, ID, PATH, ICON = "Settings", "settings", "/settings", "gear"

FINDS = (
    ("Market", "Canonical symbol: BTC-USDT spot, BTC-USDT-PERP perpetual"),
    ("Venue", ""),
    ("Own name", "What this venue calls it; grey = from the table shipped with this program, the venue's own list is not read yet"),
    ("ccxt", "Its name in ccxt"),
    ("Kind", "Inverse = margined and settled in base currency"),
    ("Tick", "Step of prices, quote currency"),
    ("Lot", "Step of sizes, base currency"),
    ("Least order", "Size in base or value in quote currency"),
    ("Contract", "Base currency per contract, quote if inverse; not known = it is shown, but never a leg"),
    ("", ""),
)
DETECTORS = (
    ("Detector", ""),
    ("Parameter", "Its name in DOPE_PARAMETERS and in the API"),
    ("Value", "What runs; a changed one is asked for until it does"),
    ("Unit", ""),
    ("Range", "Both ends are allowed; behind it the value as shipped"),
    ("What it does", ""),
)
FEES = (
    ("Venue", ""),
    ("Kind", ""),
    ("Taker", "Basis points of what is traded, less what is let off"),
    ("Maker", "For legs that pay as maker; where it is not known they pay as taker"),
    ("Buys as", "Which of the two a leg pays that buys here; prices stay those of taking. Usual: DOPE_BUY_AS"),
    ("Sells as", "Likewise a leg that sells here. Usual: DOPE_SELL_AS"),
    ("Of a buy", "In which currency the fee of a buy is taken"),
    ("Tier", "Yours, of those that are known: chosen here, or by DOPE_FEE_TIERS"),
    ("As of", "Amber = older than 90 days"),
    ("Trust", "How good the source is: high, medium or low"),
    ("Source", "Where the fee was read; your own are set by DOPE_FEES"),
)


def layout() -> Component:
    """The page without data."""
    refused = html.P(id="watch-trouble", className="trouble", hidden=True, role="alert", **attrs({"data-test": "watch-trouble"}))
    search = html.Div(id="finds-box", className="finds-box", role="search")
    meant = html.Div(id="finds-meant", className="meant")
    watched = html.Ul(id="watched-list", className="watched", **attrs({"data-test": "watched-list", "aria-label": "What is watched"}))
    return html.Div(
        [
            html.Div(
                [
                    section("finds", "Watchlist", "", [search, refused, meant, table("finds", FINDS, "Markets found")], css="finds"),
                    section("watched", "Watched", "", [html.Div(watched, className="scroll")], css="watched-card"),
                ],
                className="watch-row",
            ),
            html.Div(
                [
                    section("figures", "Trading figures", "of the program: the same for everybody", [html.Div(id="figures-form")]),
                    section("display", "Display", "of this browser", [html.Div(id="display-form")]),
                    section("fees", "Fees", "", [table("fees", FEES, "Fees")], css="fees"),
                ],
                className="set-row",
            ),
            section("detectors", "Detectors", "of the program: the same for everybody", [html.Form(
                [
                    html.P(id="detectors-trouble", className="trouble", hidden=True, role="alert"),
                    table("detectors", DETECTORS, "Parameters of detectors"),
                    html.Div(
                        [
                            html.Button("Apply", type="submit", id="detectors-apply", className="btn2 pri", disabled=True,
                                        **attrs({"data-test": "detectors-apply"})),
                            html.Button("Back to what runs", type="button", className="btn2", id="detectors-revert", disabled=True,
                                        **attrs({"data-act": "detectors-revert", "data-test": "detectors-revert"})),
                            html.Span(id="detectors-said", className="why", role="status", **attrs({"data-test": "detectors-said"})),
                        ],
                        className="act",
                    ),
                ],
                id="detectors-form",
            )], css="detectors"),
        ],
        className="stack",
    )


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing: the stream brings what runs, the browser keeps the rest. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """Nothing: its buttons speak to the API."""
