"""The Replay page: what has been recorded, and the buttons of the replay that is shown.

``assets/50-replay.js`` changes the whole page over to a replay and back; ``51-`` to ``53-*.js`` fill this one.
"""

from __future__ import annotations

from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from dope.board import Board, Snapshot
from dope.dashboard.blocks import blank, section, table
from dope.dashboard.parts import action, attrs, icon
from dope.dashboard.recording import log, panel

TITLE, ID, PATH, ICON = "Replay", "replay", "/replay", "rewind-circle"
REPLAYS = True

SPEEDS = ("0.25", "1", "5", "20", "50", "100", "max")
RECORDINGS = (
    ("Began", "UTC; a recording is one run of the program, in one or several tapes"),
    ("Length", ""),
    ("Market", "Who was recorded: live venues, the simulated market, or an import"),
    ("Frames", "Messages and clock frames"),
    ("Size", "On disk"),
    ("State", "Closed in order, still being written, or cut by a crash; sealed = its tables stand in the history"),
    ("Missing", "Frames known to be lost while recording"),
    ("", ""),
)
BUNDLES = (("Bundle", "In the folder bundles of the data folder; played by its own rules"), ("Recordings", ""), ("Size", ""), ("", ""))
SESSIONS = (("Replay", ""), ("State", ""), ("Reached", "Recorded time, UTC"), ("Speed", "Asked for · measured"), ("", ""))


def layout() -> Component:
    """The page without data."""
    return html.Div([_transport(), _calendar(), _sessions(), panel(), log()], className="stack")


def draw(snapshot: Snapshot) -> dict[str, Any]:
    """Nothing: recordings are read when somebody looks at this page. Pure."""
    return {}


def register(app: Dash, board: Board) -> None:
    """Nothing: the buttons speak to the API, the stream brings the rest."""


def _button(children: Any, act: str, label: str, *, css: str = "btn2", value: str = "") -> Component:
    names = {
        "data-act": act,
        "data-test": f"{act}-{value}" if value else act,
        "aria-label": label,
        **({"data-value": value} if value else {}),
    }
    return html.Button(children, type="button", className=css, title=label, **attrs(names))


def _transport() -> Component:
    speeds = [_button("max" if speed == "max" else f"×{speed}", "replay-speed", f"Speed {speed}", css="", value=speed) for speed in SPEEDS]
    buttons = [
        _button(["|◂", html.Span("Start")], "replay-start", "Back to the beginning"),
        _button(["◂", html.Span("Event")], "replay-back", "One event back (,)"),
        html.Button(
            [icon("play-fill"), html.Span("Play")],
            id="replay-play",
            type="button",
            className="btn2 pri play",
            title="Play or pause (Space)",
            **attrs({"data-act": "replay-play", "data-test": "replay-play"}),
        ),
        _button([html.Span("Event"), "▸"], "replay-step", "One event on (.)"),
        html.Div(speeds, id="replay-speeds", className="seg", role="group", **attrs({"aria-label": "Speed"})),
        _button("A", "replay-a", "Loop from here", css="chip"),
        _button("B", "replay-b", "Loop up to here", css="chip"),
        html.Span(id="replay-loop", className="mut", **attrs({"data-test": "replay-loop"})),
        html.Span(id="replay-said", className="why", role="status", **attrs({"data-test": "replay-said"})),
    ]
    body = [
        html.Div(
            [
                html.B(id="replay-clock", className="rclock", **attrs({"data-test": "replay-clock"})),
                html.Span(id="replay-state", className="rstate", **attrs({"data-test": "replay-state"})),
                html.Span(id="replay-pace", className="mut", **attrs({"data-test": "replay-pace"})),
            ],
            className="rnow",
        ),
        html.Div(
            [
                html.Div(id="replay-marks", className="rmarks", **attrs({"aria-hidden": "true"})),
                html.Div(id="replay-seek", className="rseek"),
            ],
            className="rbar",
        ),
        html.Div([html.Span(id="replay-from"), html.Span(id="replay-keys", className="mut"), html.Span(id="replay-to")], className="rends"),
        html.Div(buttons, className="rbuttons"),
        html.Dl(id="replay-facts", className="facts rfacts", **attrs({"data-test": "replay-facts"})),
    ]
    controls = [_button([icon("stop-fill"), "Stop"], "replay-stop", "End this replay", css="chip"), _live("chip")]
    part = section("replay-transport", "Replay", "", body, controls=controls, css="form transport")
    return html.Div(part, id="replay-shown", hidden=True, **attrs({"data-test": "replay-shown"}))


def _live(css: str) -> Component:
    return html.Button(
        [icon("broadcast"), "Back to live"], type="button", className=css, **attrs({"data-act": "back-live", "data-test": "back-live-page"})
    )


def _calendar() -> Component:
    nothing = html.Div(
        [
            blank("record-fill", "Nothing has been recorded yet", ""),
            html.Div(id="recordings-why", className="mut", **attrs({"data-test": "recordings-why"})),
            html.Div(
                _button("Record the sample market", "replay-sample", "Start the simulated market, which is recorded"),
                className="row-end mid",
            ),
        ],
        id="recordings-none",
        className="empty",
        hidden=True,
        **attrs({"data-test": "recordings-none"}),
    )
    body = [
        html.Div(
            [html.Div(className="skel") for _ in range(4)],
            id="recordings-wait",
            className="rwait",
            **attrs({"data-test": "recordings-wait"}),
        ),
        html.Div(id="recordings-trouble", className="oops", hidden=True, role="alert", **attrs({"data-test": "recordings-trouble"})),
        nothing,
        html.Div(id="recordings-days", className="rdays", **attrs({"data-test": "recordings-days"})),
        html.Div(table("recordings", RECORDINGS, "Recordings"), id="recordings-table", hidden=True),
        html.Div(table("bundles", BUNDLES, "Bundles"), id="bundles-table", hidden=True),
    ]
    again = action(icon("arrow-clockwise"), "recordings-reload", label="Read the recordings again")
    return section("recordings-card", "Recordings", "click a bar to play from there", body, controls=[again])


def _sessions() -> Component:
    return html.Div(
        section("replays-card", "Replays", "each in a process of its own, beside the live market", [table("replays", SESSIONS, "Replays")]),
        id="replays-box",
        hidden=True,
    )
