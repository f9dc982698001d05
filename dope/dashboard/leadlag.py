"""The Lead-lag page: which market moves first, by how much, on which evidence, and how sure the clocks are; assets/76 and 77 fill it."""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope.board import Board, Snapshot
from dope.dashboard.blocks import chart, section, table
from dope.dashboard.parts import action, attrs, icon

TITLE, ID, PATH, ICON = "Lead-lag", "leadlag", "/lead-lag", "diagram-2"

#: control → (label, tip, choices); what is asked of the API under that name
CONTROLS = (
    ("symbol", "Asset", "All its markets, those that change most often first", (("BTC", "BTC"),)),
    ("window", "Window", "How far to look back", (("120", "2 min"), ("300", "5 min"), ("600", "10 min"), ("900", "15 min"))),
    ("series", "Prices", "Mids of the best prices, or prices of trades: they may disagree", (("quotes", "quotes"), ("trades", "trades"))),
    ("clock", "Clock", "Ours; the venues' own stamps; those moved by each venue's smallest delay",
     (("receipt", "receipt (ours)"), ("exchange", "exchange stamps"), ("corrected", "stamps, corrected"))),
    ("grid", "Lags", "How far apart the markets may be", (("fine", "± 0.5 s"), ("wide", "± 2 s"), ("slow", "± 60 s"))),
)
EVIDENCE = (
    ("Pair", "The market that leads first; by name where none does"),
    ("Says", "leads; not resolved = the lag is below the delays; not related = no peak; too few changes"),
    ("Lag", "ms, where the contrast is largest"),
    ("Sub-windows", "Middle half of the lags of eight sub-windows, ms"),
    ("Top", "Lags whose contrast reaches 95 % of the peak: it may be any of them, ms"),
    ("Contrast", "At the peak. No correlation: it may exceed 1"),
    ("LLR", "Contrasts squared where the first one leads, divided by those where the second does"),
    ("z", "How far the peak stands out of lags far from it, in standard deviations; 6 are needed"),
    ("Changes", "Of both in the window; 200 of each are needed"),
    ("Receipt", "Lag by our clock, ms"),
    ("Stamps", "Lag by the venues' own stamps, ms"),
    ("Corrected", "Lag by the stamps, each moved by its venue's smallest delay, ms"),
    ("Jumps", "Linked jumps in which the first one was first, of all; median lag; p of a sign test; 20 are needed"),
    ("Share", "Hasbrouck's bounds of the first one's share of the common price, of the last hour"),
)
FOLLOW = (
    ("Leader → follower", "At each jump of the leader the follower is taken in the same direction, and given up again"),
    ("Says", "pays = the whole interval of net is above 0; no; too few = less than 20 jumps"),
    ("Jumps", "Of the leader, at which the follower's prices were known; jumps that overlap count once"),
    ("Expected move", "Of the follower's mid from when the order is there until it is given up, bps; mean and its 95 % interval"),
    ("Spread", "Paid for crossing it, half of it at either end, bps"),
    ("Fees", "The follower's taker fee twice, bps"),
    ("Net", "What is left, bps of what is traded; mean and its 95 % interval"),
)
VENUES = (
    ("Venue", ""),
    ("Smallest delay", "Receive − stamp time, ms, of five minutes; negative where our clock is behind. Clock and way cannot be told apart"),
    ("Sure to", "How far that moves within five minutes, and the step of the stamps, ms"),
    ("Drift", "How it moves, ms per hour, over the last hour; needs five minutes"),
    ("Excess p50 · p99", "ms by which messages came later than the fastest ones"),
    ("Stamps' step", "ms, as measured"),
    ("Messages", "With stamps, since start"),
)


def layout() -> Component:
    """The page without data."""
    trouble = html.P(id="leadlag-trouble", className="oops", hidden=True, role="alert", **attrs({"data-test": "leadlag-trouble"}))
    network = html.Div(id="leadlag-network", className="network", role="img", **attrs({"data-test": "leadlag-network"}))
    numbers = html.Details([html.Summary("The same as numbers"), table("paths", (("Market", ""),), "Average moves around jumps, bps")])
    matrix = [trouble, html.Div(id="leadlag-matrix", className="scroll", tabIndex="0", role="region",
                                **attrs({"aria-label": "Who leads whom", "data-test": "leadlag-matrix"}))]  # fmt: skip
    pops = ("lead-venues-pop", "lead-views-pop")
    matrix += [html.Div(id=name, className="pop", hidden=True, **attrs({"data-test": name})) for name in pops]
    few = action(["venues: ", html.B("all", id="lead-venues-now")], "lead-venues", label="Whose markets are compared", css="chip")
    controls = [
        *map(_choice, CONTROLS), few, _toggle("lead-only", "findings only", "Hide what is not sure"),
        action([icon("layers"), "views"], "views", label="Saved views: these controls under a name", css="chip"),
    ]
    return html.Div(
        [
            section("lead", "Who leads whom", "", matrix, controls=controls, css="lead"),
            html.Div(
                [
                    section("leadnet", "Network", "from the leader to the follower, strong lines stand out most", [network], css="leadnet"),
                    section("leadpaths", "Around jumps", "", [chart("paths-graph", "Average moves of all markets around jumps"), numbers],
                            css="leadpaths"),
                ],
                className="lead-row",
            ),
            section("follow", "Would trading the follower pay?", "", [table("follow", FOLLOW, "What following each market would bring")],
                    css="follow"),
            section("evidence", "Evidence", "", [table("evidence", EVIDENCE, "Every pair with its evidence")],
                    controls=[_toggle("lead-shares", "price shares", "Reckon each market's share of the common price, from the last hour")],
                    css="evidence"),
            section("clocks", "Clocks", "", [table("clocks", VENUES, "Delays and clocks of the venues")], css="clocks"),
        ],
        className="stack",
    )  # fmt: skip


def _choice(control: tuple[str, str, str, tuple[tuple[str, str], ...]]) -> Component:
    name, label, tip, choices = control
    options = [html.Option(text, value=value) for value, text in choices]
    return html.Label([html.Span(label), html.Select(options, id=f"lead-{name}", className="sel", **attrs({"data-test": f"lead-{name}"}))],
                      title=tip, className="choice")  # fmt: skip


def _toggle(act: str, text: str, tip: str) -> Component:
    names = attrs({"data-act": act, "data-test": act, "aria-pressed": "false"})
    return html.Button(text, type="button", className="chip", title=tip, **names)


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing: the API brings everything. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """Nothing: nobody can change anything here."""
