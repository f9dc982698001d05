"""The Trust page: what the program promises of itself, what was measured, of how many samples; ``assets/63-trust.js`` fills it."""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope.board import Board, Snapshot
from dope.dashboard.blocks import section, table
from dope.dashboard.parts import attrs

TITLE, ID, PATH, ICON = "Trust", "trust", "/trust", "shield-check"

PROMISES = (
    ("State", "● kept, ■ broken, ◌ too few samples to say"),
    ("Promise", "and how it is measured"),
    ("Promised", ""),
    ("Measured", "p50 = median, p99 = 99 of 100 are not above it"),
    ("Samples", "measured so far; below the number needed nothing is said"),
    ("Since", "UTC"),
    ("Proved by", "The test of the project that shows it under load and faults"),
)


def layout() -> Component:
    """The page without data."""
    tested = [
        html.P("Waiting for the first self-test", id="self-test-state", className="tested", role="status",
               **attrs({"data-test": "self-test-state"})),
        html.Dl(id="self-test-facts", className="facts kept", **attrs({"data-test": "self-test-facts"})),
    ]  # fmt: skip
    trouble = html.P(id="promises-trouble", className="oops", hidden=True, role="alert", **attrs({"data-test": "promises-trouble"}))
    return html.Div(
        [
            section("self-test", "Self-test", "a hidden opportunity of known size and net, laid out by the program itself", tested),
            section("promises", "Promises", "", [trouble, table("promises", PROMISES, "Promises")], css="promises"),
        ],
        className="stack",
    )


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing: the stream and the API bring everything. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """Nothing: nobody can change anything here."""
