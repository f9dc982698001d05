"""Blocks of the pages that show a model or a backtest: cards of one figure, titled sections, tables, charts, empty states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dope import format as fmt
from dope.dashboard.parts import attrs, icon

NO_FRAME = "rgba(0,0,0,0)"


def figure_card(name: str, label: str, unit: str, empty: str, tip: str) -> Component:
    """One figure: ``{name}-v`` its value, ``{name}-u`` its unit, ``{name}-d`` what it rests on; ``empty`` says why there is none."""
    value = html.Span(fmt.UNKNOWN, id=f"{name}-v", **attrs({"data-test": name}))
    return html.Div(
        [
            html.Div(
                [html.Span(label, id=f"{name}-l"), html.Span("?", className="tip", title=tip, role="img", **attrs({"aria-label": tip}))],
                className="l",
            ),
            html.Div([value, html.Small(unit, id=f"{name}-u")], className="v"),
            html.Div(empty, id=f"{name}-d", className="d", **attrs({"data-empty": empty, "data-test": f"{name}-detail"})),
        ],
        id=f"{name}-card",
        className="card kpi",
    )


def section(name: str, title: str, note: str, body: Sequence[Any], *, controls: Sequence[Any] = (), css: str = "") -> Component:
    """A titled block; its title, note and body have the ids ``{name}-title``, ``{name}-note`` and ``{name}-body``."""
    head = [html.H2(title, id=f"{name}-title"), html.Span(note, id=f"{name}-note", className="n"), html.Div(list(controls), className="r")]
    return html.Section(
        [html.Div(head, className="hd"), html.Div(list(body), id=f"{name}-body", className="body")],
        id=name,
        className=f"card dimmable {css}",
        **attrs({"aria-labelledby": f"{name}-title", "data-test": name}),
    )


def table(name: str, columns: Sequence[tuple[str, str]], label: str) -> Component:
    """An empty table with (header, tip) columns; its script fills ``{name}-rows`` and shows ``{name}-empty`` while there are none."""
    heads = [html.Th(head, title=tip or None, scope="col") for head, tip in columns]
    return html.Div(
        [
            html.Table(
                [html.Thead(html.Tr(heads)), html.Tbody(id=f"{name}-rows", **attrs({"data-test": f"{name}-rows"}))],
                className="kv wide",
                **attrs({"aria-label": label}),
            ),
            html.P("Waiting for the first data", id=f"{name}-empty", className="hint", **attrs({"data-test": f"{name}-empty"})),
        ],
        className="scroll",
        tabIndex="0",
        role="region",
        **attrs({"aria-label": label}),
    )


def chart(name: str, label: str) -> Component:
    """A Plotly chart that a script draws into ``{name}``; ``{name}-empty`` covers it and says why it is empty."""
    layout = {"paper_bgcolor": NO_FRAME, "plot_bgcolor": NO_FRAME, "xaxis": {"visible": False}, "yaxis": {"visible": False}}
    config: Any = {"displayModeBar": False, "responsive": True, "doubleClick": False, "displaylogo": False}
    graph = dcc.Graph(id=name, figure={"data": [], "layout": layout}, config=config, responsive=True, className="plot")
    return html.Div(
        [graph, html.Div(id=f"{name}-empty", className="overlay")], className="plot-wrap", role="img", **attrs({"aria-label": label})
    )


def blank(glyph: str, title: str, text: str) -> Component:
    """Why there is nothing to show, in one sentence."""
    return html.Div([icon(glyph), html.H3(title), html.P(text)], className="empty")
