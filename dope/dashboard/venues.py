"""The Venues page: how well each exchange is heard, and what proves its books right; ``assets/60-venues.js`` fills it."""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope.board import Board, Snapshot
from dope.dashboard.blocks import section, table
from dope.dashboard.parts import attrs

TITLE, ID, PATH, ICON = "Venues", "venues", "/venues", "hdd-network"
REPLAYS = True

FLEET = (
    ("Venue", "Click for its books alone"),
    ("State", "● live = every book is known to be right, ▲ slow, degraded or by REST because no socket delivers, ■ down; for how long"),
    ("Last hour", "State over the last hour, oldest at the left, and the share of it that was live"),
    ("Books", "Order books known to be right, of all that are wanted"),
    ("Msg/s", "Messages of the last second"),
    ("Excess delay p50 · p99", "ms by which messages came later than the fastest one of this venue; raw latency cannot be known"),
    ("Proof", "What proves its books right: a number on every message, checksums, whole books, or nothing (unverifiable)"),
    ("Gaps", "Holes found in its book streams since start; each makes the book stale until it is fetched anew"),
    ("Checksums", "That matched · that did not, since start"),
    ("Faults", "Messages that could not be read since start"),
    ("Reconnects", "Since start"),
    ("Topics", "Subscriptions acknowledged, of all asked for"),
    ("Breaker", "open = not tried for a while, after too many failures"),
    ("Last error", "and when it is tried again"),
    ("", ""),
)
BOOKS = (
    ("Market", ""),
    ("State", "LIVE = known to be right; any other state shows no price"),
    ("For", "How long it has been in this state"),
    ("Bid", "Quote currency"),
    ("Ask", "Quote currency"),
    ("Spread", "bps"),
    ("Confirmed", "Since the venue last confirmed this book"),
    ("Unchanged", "Since its best prices moved"),
    ("Checked", "Since the last number, checksum or whole book was found right"),
    ("Gaps", "Holes found in its stream since start"),
    ("Bad checksums", "Since start"),
    ("Why not live", ""),
)


def layout() -> Component:
    """The page without data."""
    names = {"data-act": "venue-pick", "data-test": "venue-pick-all"}
    everything = html.Button("All venues", type="button", className="chip", **attrs(names))
    refused = html.P(id="venue-refused", className="hint", hidden=True, role="status", **attrs({"data-test": "venue-refused"}))
    return html.Div(
        [
            section("fleet", "Venues", "", [table("fleet", FLEET, "Venues")], css="fleet"),
            section("books", "Books", "", [refused, table("books", BOOKS, "Books")], controls=[everything], css="books"),
        ],
        className="stack",
    )


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing: the stream brings everything. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """Nothing: the one button speaks to the API."""
