"""Two panels of the Replay page: how the recording is kept and what of it is missing; who asked for what, and past jobs.

``assets/53-storage.js`` and ``54-log.js`` fill them.
"""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dope.dashboard.blocks import section, table
from dope.dashboard.parts import action, attrs, icon

#: hours, what stands on the button, its tip
SPANS = (
    ("1", "1 h", "The last hour"),
    ("24", "24 h", "The last day"),
    ("168", "7 d", "The last seven days"),
    ("8784", "1 y", "The last year"),
)
GAPS = (
    ("From", "UTC"),
    ("Until", "UTC; complete again from then on"),
    ("Lasted", ""),
    ("What", "book = an order book was not known to be right; connection = a venue was not heard; recording, rows, file = not on the disk"),
    ("Where", "Venue and market; all = everything"),
    ("Why", ""),
    ("Lost", "Frames or rows known to be lost"),
)
COMMANDS = (("When", "UTC"), ("Who", "Address of whoever asked"), ("What", ""), ("With", ""))
JOBS = (("Asked", "UTC"), ("Job", ""), ("Became", ""), ("Took", ""), ("With", ""))


def panel() -> Component:
    """The panel without data."""
    chips = [
        html.Button(text, type="button", title=tip, **attrs({"data-act": "gaps-span", "data-value": hours, "data-test": f"gaps-{hours}"}))
        for hours, text, tip in SPANS
    ]
    controls = [
        html.Div(chips, id="gaps-spans", className="seg", role="group", **attrs({"aria-label": "Time looked at"})),
        action(icon("arrow-clockwise"), "storage-reload", label="Look again"),
    ]
    more = html.Button("Show more", type="button", id="gaps-more", className="chip", hidden=True,
                       **attrs({"data-act": "gaps-more", "data-test": "gaps-more"}))  # fmt: skip
    summary = html.P(id="gaps-sum", className="hint", role="status", **attrs({"data-test": "gaps-sum"}))
    waiting = [html.Div(className="skel") for _ in range(3)]
    body = [
        html.Div(waiting, id="storage-wait", className="rwait", **attrs({"data-test": "storage-wait"})),
        html.Div(id="storage-trouble", className="oops", hidden=True, role="alert", **attrs({"data-test": "storage-trouble"})),
        html.Dl(id="storage-facts", className="facts kept", **attrs({"data-test": "storage-facts"})),
        html.Div([summary, table("gaps", GAPS, "What is missing"), more], id="gaps-box", hidden=True),
    ]
    return section("storage", "Recording", "", body, controls=controls)


def log() -> Component:
    """Commands and past jobs without data."""
    body = [
        html.Div(id="log-trouble", className="oops", hidden=True, role="alert", **attrs({"data-test": "log-trouble"})),
        table("commands", COMMANDS, "Commands"),
        table("past", JOBS, "Past jobs"),
    ]
    return section("log", "Commands and past jobs", "newest first; they outlive the program", body)
