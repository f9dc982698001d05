"""The Backtest page: every opportunity of a recording executed, naively and honestly, side by side.

``assets/45-`` to ``47-backtest*.js`` run it and show its report, which arrives with the job in the stream.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dash import Dash, Input, Output, html
from dash.development.base_component import Component

from dope import format as fmt
from dope.board import Board, Snapshot
from dope.dashboard.blocks import blank, chart, section, table
from dope.dashboard.grid_trades import trades_grid
from dope.dashboard.parts import action, attrs, icon
from dope.errors import DopeError

TITLE, ID, PATH, ICON = "Backtest", "backtest", "/backtest", "graph-up"
MAX_TAPES = 200  #: newest recordings that are offered

SENSITIVITY = (
    ("Latency", "From decision to arrival at both venues"),
    ("Orders", "Sent, with both legs arrived before the data ended"),
    ("Both filled", "Share of orders whose two legs were filled"),
    ("Partial", "One leg only, or one leg more than the other: the rest was unwound at market"),
    ("Missed", "Neither leg filled"),
    ("Win rate", "Share of orders that ended above zero"),
    ("Net", "After depth, fees, latency and unwinding"),
    ("Per order", "Mean, with its 95 % bootstrap interval"),
    ("Drawdown", "Largest fall below the highest point so far"),
)
SOURCES = {"live": "live", "sim": "simulated", "import": "imported"}


def layout() -> Component:
    """The form, and an empty state instead of a result."""
    return html.Div([_form(), html.Div(id="backtest-warnings", className="banners"), _empty(), _result()], className="stack")


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing yet: a report is drawn as soon as the stream brings it. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """The list of recordings, read in a thread: it touches files."""

    @app.callback(
        Output("backtest-tape", "children"),
        Output("backtest-tapes-note", "children"),
        Input("url", "pathname"),
        Input("backtest-reload", "n_clicks"),
    )
    async def list_tapes(path: str | None, clicks: int | None) -> tuple[list[Component], str]:
        try:
            tapes = await asyncio.to_thread(board.query, "tapes")
        except (DopeError, OSError) as error:
            return [_this_run()], f"recordings cannot be listed: {error}"
        newest = sorted(tapes, key=lambda tape: int(tape["first"]), reverse=True)
        left_out = f", the newest {MAX_TAPES} are listed" if len(newest) > MAX_TAPES else ""
        return [_this_run(), *map(_option, newest[:MAX_TAPES])], f"{fmt.number(len(tapes))} recordings{left_out}"


def _this_run() -> Component:
    return html.Option("What this run has recorded", value="", key="this-run")


def _option(tape: dict[str, Any]) -> Component:
    """One recording; one that cannot be read or is empty can be seen, but not chosen."""
    if tape["error"]:
        words = [tape["name"], f"unreadable: {tape['error']}"]
    else:
        seconds = (tape["last"] - tape["first"]) / 1e9
        state = "" if tape["complete"] else "not closed"
        lost = f"{fmt.number(tape['lost'])} frames lost" if tape["lost"] else ""
        start = fmt.iso(tape["first"])[:16].replace("T", " ")
        words = [
            start,
            SOURCES.get(tape["source"], tape["source"]),
            fmt.age(seconds),
            fmt.file_size(tape["bytes"]),
            state,
            lost,
            tape["name"],
        ]
    unusable = bool(tape["error"]) or not tape["frames"]
    return html.Option(" · ".join(filter(None, words)), value=tape["name"], key=tape["name"], disabled=unusable)


def _form() -> Component:
    tape = html.Label(
        [html.Span("Recording"), html.Select([_this_run()], id="backtest-tape", className="sel", **attrs({"data-test": "backtest-tape"}))],
        className="fieldset grow",
    )
    return section(
        "backtest-form",
        "Backtest",
        "every opportunity of a recording executed: naively and honestly",
        [
            html.Div(
                [
                    tape,
                    html.Div([html.Span("\u00a0", **attrs({"aria-hidden": "true"})), _reload()], className="fieldset"),
                    html.Div(id="backtest-fields", className="fields"),
                    html.Div([html.Span("\u00a0", **attrs({"aria-hidden": "true"})), _run()], className="fieldset"),
                ],
                className="fields",
            ),
            html.Div(
                [
                    html.Span(id="backtest-why", className="why", **attrs({"data-test": "backtest-why"})),
                    html.Span(id="backtest-tapes-note", className="why r"),
                ],
                className="under",
            ),
            html.Div(id="backtest-job", **attrs({"data-test": "backtest-job"})),
        ],
        css="form",
    )


def _run() -> Component:
    return html.Button(
        [icon("play-fill"), html.Span("Run backtest")],
        id="run-backtest",
        type="button",
        className="btn2 pri",
        disabled=True,
        **attrs({"data-act": "run-backtest", "data-test": "run-backtest", "aria-describedby": "backtest-why"}),
    )


def _reload() -> Component:
    again = "Read the list of recordings again"
    return html.Button(
        icon("arrow-clockwise"),
        id="backtest-reload",
        type="button",
        className="ib",
        title=again,
        n_clicks=0,
        **attrs({"aria-label": again}),
    )


def _empty() -> Component:
    text = (
        "The naive side fills everything at once at the touch. The honest side walks the book, pays fees, waits for its "
        "latency, and unwinds what only one side has filled. The difference is what a screen of spreads does not show."
    )
    return html.Div(
        blank("flask", "No backtest yet", text), id="backtest-empty", className="card blank", **attrs({"data-test": "backtest-empty"})
    )


def _result() -> Component:
    exports = [
        html.Label(
            [
                html.Span("Result", className="visually-hidden"),
                html.Select(id="backtest-shown", className="sel", **attrs({"data-test": "backtest-shown", "aria-label": "Result shown"})),
            ]
        ),
        action([icon("filetype-csv"), "Trades"], "trades-csv", label="Save the trades as CSV: raw numbers, ISO 8601 times", css="chip"),
        action([icon("filetype-json"), "Report"], "report-json", label="Save the whole report as JSON", css="chip"),
    ]
    body = [
        section(
            "backtest-head",
            "Result",
            "",
            [html.Div(id="backtest-about", className="about", **attrs({"data-test": "backtest-about"}))],
            controls=exports,
        ),
        html.Div(
            [
                section("backtest-naive", "Naive", "", [], css="side naive"),
                section("backtest-honest", "Honest", "", [], css="side honest"),
                section("backtest-way", "Where the promise goes", "", [], css="side"),
            ],
            className="thirds",
        ),
        html.Div(
            [
                section(
                    "backtest-curve",
                    "Equity",
                    "cumulative net, quote currency",
                    [chart("backtest-graph", "Equity curves, naive and honest"), html.Div(id="backtest-legend", className="leg keys-row")],
                    css="fill",
                ),
                section(
                    "backtest-latency",
                    "Other latencies",
                    "the same orders, sent with other delays",
                    [table("latency", SENSITIVITY, "Results by latency")],
                ),
            ],
            className="halves tall",
        ),
        html.Div(
            [
                section("backtest-trades", "Trades", "", [html.Div(trades_grid(), className="gwrap")], css="fill"),
                section("backtest-rests", "What it rests on", "", [html.Ul(id="backtest-assumptions", className="plain")], css="form"),
            ],
            className="side-row trades",
        ),
    ]
    return html.Div(body, id="backtest-result", className="stack", hidden=True, **attrs({"data-test": "backtest-result"}))
